import { defineCommand } from 'citty'
import { parseConfig } from '../operator/config.ts'
import { beginHistories } from '../journal/beginHistories.ts'
import { prune as pruneJournal } from '../journal/prune.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { modules } from '../modules.ts'

const aggregates = modules.flatMap(({ aggregates }) => aggregates)
import { progressBar } from '../operator/progressBar.ts'
import { print, printJson } from '../operator/print.ts'
import { withDatabase } from './withDatabase.ts'

const json = { type: 'boolean', default: false, description: 'Answer in JSON' } as const
const dryRun = { type: 'boolean', default: false, description: 'Say what would be done, and do nothing' } as const

const prune = defineCommand({
  meta: { name: 'prune', description: 'Fold events that are older than so many days into one per root' },
  args: { days: { type: 'string', description: 'How many days; without it, JOURNAL_DAYS' }, 'dry-run': dryRun, json },
  run: ({ args }) => {
    const { journalDays, idempotencyKeyDays } = parseConfig()
    const days = args.days === undefined ? journalDays : /^\d{1,5}$/.test(args.days) ? Number(args.days) : Number.NaN
    if (!(days > idempotencyKeyDays)) {
      const found =
        args.days === undefined
          ? journalDays
            ? `JOURNAL_DAYS is ${journalDays}`
            : 'JOURNAL_DAYS is 0, so that events are kept for ever'
          : `--days is ${JSON.stringify(args.days)}`
      throw new OperatorError(
        `${found}. Wanted is --days with a whole number above ${idempotencyKeyDays} (IDEMPOTENCY_KEY_DAYS), since a request sent again is answered from the journal.`,
        exitCode.usage,
      )
    }
    return withDatabase(async ({ db }) => {
      const would = await pruneJournal({ db, aggregates, days, dryRun: true })
      if (args['dry-run']) {
        if (args.json) printJson({ dryRun: true, days, ...would })
        else print(`${would.events} events of ${would.roots} roots would be folded.`)
        return
      }
      const bar = progressBar('roots', would.roots)
      const done = await pruneJournal({ db, aggregates, days, progress: ({ roots }) => bar.update(roots) })
      bar.stop()
      if (args.json) printJson({ dryRun: false, days, ...done })
      else print(`${done.events} events of ${done.roots} roots were folded.`)
    })
  },
})

const begin = defineCommand({
  meta: {
    name: 'begin',
    description: 'Give each root that came from elsewhere, without history, the first event of one',
  },
  args: { 'dry-run': dryRun, json },
  run: ({ args }) =>
    withDatabase(async ({ db }) => {
      const would = await beginHistories({ db, aggregates, dryRun: true })
      const bar = progressBar('roots', args['dry-run'] ? 0 : would)
      const begun = args['dry-run']
        ? would
        : await beginHistories({ db, aggregates, progress: ({ roots }) => bar.update(roots) })
      bar.stop()
      if (args.json) printJson({ dryRun: args['dry-run'], roots: begun })
      else
        print(
          args['dry-run'] ? `The histories of ${begun} roots would begin.` : `The histories of ${begun} roots began.`,
        )
    }),
})

/** Keeps the journal in order. */
export const journal = defineCommand({
  meta: { name: 'journal', description: 'Fold old events, or begin the history of rows that came from elsewhere' },
  subCommands: { prune, begin },
})
