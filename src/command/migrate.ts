import { json } from '../api/command.ts'
import { migrate as migrateUp, migrateDown, migrationStatus } from '../database/migrate.ts'
import { parseConfig } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { aligned, complain, print, printJson } from '../operator/print.ts'
import { openDatabase } from './openDatabase.ts'
import { strictCommand } from './strictCommand.ts'

/** Applies or undoes migrations, or lists them. */
export const migrate = strictCommand({
  examples: ['migrate', 'migrate status'],
  args: {
    what: { type: 'positional', required: false, default: 'up', description: 'up, down or status' },
    to: {
      type: 'string',
      valueHint: 'NAME',
      description: 'The last migration that is then applied; for down also: none',
    },
    json,
  },
  async run({ args: { what, to, json } }) {
    if (!['up', 'down', 'status'].includes(what))
      throw new OperatorError(`It is migrate up, down or status, not ${what}.`, exitCode.usage)
    if (what === 'down' && to === undefined) {
      throw new OperatorError(
        'Undoing migrations deletes what their tables hold: say how far, with --to NAME, or --to none for all.',
        exitCode.usage,
      )
    }
    if (what === 'status' && to !== undefined)
      throw new OperatorError('It is --to that goes with up and down; status tells of all migrations.', exitCode.usage)
    const log = { info: (message: string) => void (json || print(message)), warn: complain, error: complain }
    const database = await openDatabase(parseConfig(), { ...log, info: () => {} })
    try {
      if (what === 'status') {
        const status = await migrationStatus(database.url)
        if (json) printJson(status)
        else print(aligned(status.map(({ name, state }) => [state, name])))
        return
      }
      const done =
        what === 'up' ? await migrateUp(database.url, { to, log }) : await migrateDown(database.url, { to: to!, log })
      if (json) printJson({ [what === 'up' ? 'applied' : 'undone']: done })
      else if (done.length === 0) print('There was nothing to do.')
    } finally {
      await database.close()
    }
  },
})
