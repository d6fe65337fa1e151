import { dryRun, json } from '../api/command.ts'
import { beginHistories } from '../journal/beginHistories.ts'
import { prune as pruneJournal } from '../journal/prune.ts'
import { modules } from '../modules.ts'
import { type Config, parseConfig } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { print, printJson } from '../operator/print.ts'
import { progressBar } from '../operator/progressBar.ts'
import { patientDesk } from './desk.ts'
import { strictCommand } from './strictCommand.ts'

const aggregates = modules.flatMap(({ aggregates }) => aggregates)

const prune = strictCommand({
  meta: { name: 'prune', description: 'Fold events that are older than so many days into one per root' },
  examples: ['journal prune --days 365 --dry-run', 'journal prune --days 365'],
  args: { days: { type: 'string', description: 'How many days; without it, JOURNAL_DAYS' }, 'dry-run': dryRun, json },
  async run({ args: { days: given, 'dry-run': dryRun, json } }) {
    const config = parseConfig()
    const days = daysOf(given, config)
    const desk = patientDesk(config)
    const { roots, events } = dryRun
      ? await desk.look({
          empty: () => ({ roots: 0, events: 0 }),
          found: ({ db }) => pruneJournal({ db, aggregates, days, dryRun }),
        })
      : await desk.work(async ({ db, signal, stopIfInterrupted }) => {
          const would = await pruneJournal({ db, aggregates, days, dryRun: true })
          const bar = progressBar('roots', would.roots)
          const progress = ({ roots }: { roots: number }) => bar.update(roots)
          try {
            const done = await pruneJournal({ db, aggregates, days, signal, progress })
            stopIfInterrupted(`Interrupted. ${done.events} events of ${done.roots} roots were folded; run it again.`)
            return done
          } finally {
            bar.stop()
          }
        })
    if (json) printJson({ dryRun, days, roots, events })
    else print(`${events} events of ${roots} roots ${dryRun ? 'would be' : 'were'} folded.`)
  },
})

/** A request that is sent again within the days of its idempotency key is answered from the journal. */
function daysOf(given: string | undefined, { journalDays, idempotencyKeyDays }: Config): number {
  const days = given === undefined ? journalDays : /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN
  if (days > idempotencyKeyDays) return days
  const setting = journalDays ? `JOURNAL_DAYS is ${journalDays}` : 'JOURNAL_DAYS is 0, so that events are kept for ever'
  throw new OperatorError(
    `${given === undefined ? setting : `--days is ${JSON.stringify(given)}`}. ` +
      `Wanted is --days with a whole number above ${idempotencyKeyDays} (IDEMPOTENCY_KEY_DAYS), ` +
      'since a request sent again is answered from the journal.',
    exitCode.usage,
  )
}

const begin = strictCommand({
  meta: {
    name: 'begin',
    description: 'Give each root that came from elsewhere, without history, the first event of one',
  },
  examples: ['journal begin --dry-run', 'journal begin'],
  args: { 'dry-run': dryRun, json },
  async run({ args: { 'dry-run': dryRun, json } }) {
    const desk = patientDesk(parseConfig())
    const roots = dryRun
      ? await desk.look({
          empty: () => 0,
          found: ({ db }) => beginHistories({ db, aggregates, dryRun }),
        })
      : await desk.work(async ({ db, stopIfInterrupted }) => {
          const bar = progressBar('roots', await beginHistories({ db, aggregates, dryRun: true }))
          const progress = ({ roots }: { roots: number }) => {
            bar.update(roots)
            stopIfInterrupted(`Interrupted. The histories of ${roots} roots began; run it again for the others.`)
          }
          try {
            return await beginHistories({ db, aggregates, progress })
          } finally {
            bar.stop()
          }
        })
    if (json) printJson({ dryRun, roots })
    else print(`The histories of ${roots} roots ${dryRun ? 'would begin' : 'began'}.`)
  },
})

/** Keeps the journal in order. */
export const journal = { subCommands: { prune, begin } }
