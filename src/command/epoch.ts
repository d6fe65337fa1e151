import { defineCommand } from 'citty'
import { renewEpoch } from '../journal/epoch.ts'
import { progressBar } from '../operator/progressBar.ts'
import { print, printJson } from '../operator/print.ts'
import { withDatabase } from './withDatabase.ts'

const renew = defineCommand({
  meta: {
    name: 'renew',
    description:
      'After a restore, or a copy of the data folder: begin another epoch, so that cursors from before are told apart',
  },
  args: { json: { type: 'boolean', default: false, description: 'Answer in JSON' } },
  run: ({ args: { json } }) =>
    withDatabase(async ({ db }) => {
      const bar = progressBar('events', await db.event.count())
      const freed = await renewEpoch(db, (freed) => bar.update(freed))
      bar.stop()
      if (json) printJson({ events: freed })
      else
        print(
          `Another epoch has begun (${freed} events were freed of the numbers of old transactions). Whoever watches gets a fresh snapshot.`,
        )
    }),
})

/** What is to be done when a database is another one than it was. */
export const epoch = defineCommand({
  meta: { name: 'epoch', description: 'Tell a restored database from what it was before' },
  subCommands: { renew },
})
