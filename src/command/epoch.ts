import { json } from '../api/command.ts'
import { renewEpoch } from '../journal/epoch.ts'
import { parseConfig } from '../operator/config.ts'
import { print, printJson } from '../operator/print.ts'
import { progressBar } from '../operator/progressBar.ts'
import { patientDesk } from './desk.ts'
import { strictCommand } from './strictCommand.ts'

const renew = strictCommand({
  meta: {
    name: 'renew',
    description:
      'After a restore, or a copy of the data folder: begin another epoch, so that cursors from before are told apart',
  },
  examples: ['epoch renew'],
  args: { json },
  async run({ args: { json } }) {
    const freed = await patientDesk(parseConfig()).work(async ({ db, stopIfInterrupted }) => {
      const bar = progressBar('events', await db.event.count())
      try {
        return await renewEpoch(db, (freed) => {
          bar.update(freed)
          stopIfInterrupted(`Interrupted. ${freed} events were freed, and no other epoch has begun; run it again.`)
        })
      } finally {
        bar.stop()
      }
    })
    if (json) printJson({ events: freed })
    else
      print(
        `Another epoch has begun (${freed} events were freed of the numbers of old transactions). ` +
          'Subscribers get a fresh snapshot.',
      )
  },
})

/** Tells a restored or copied database from the original. */
export const epoch = { subCommands: { renew } }
