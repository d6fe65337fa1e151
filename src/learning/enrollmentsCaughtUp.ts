import type { Reaction } from '../api/module.ts'
import type { Log } from '../operator/log.ts'
import { type Repeated, repeat } from '../operator/repeat.ts'
import { type CatchUpOptions, catchUpAll } from './overdueEnrollments.ts'

interface KeepCaughtUpOptions extends Pick<CatchUpOptions, 'db' | 'commit'> {
  /** How often it looks for overdue enrollments when nothing rings. */
  readonly everyMs?: number
  readonly log?: Pick<Log, 'info' | 'warn'>
}

/**
 * Evaluates overdue enrollments as long as the process runs. It remembers nothing: what is overdue is in the database.
 * So it continues where a killed process stopped, and survives an outage.
 */
export function keepCaughtUp({ db, commit, everyMs = 3_000, log }: KeepCaughtUpOptions): Repeated {
  let failures = 0
  return repeat(everyMs, async (signal) => {
    try {
      const { reevaluated, left } = await catchUpAll({ db, commit, signal })
      if (failures) log?.info({ failures }, 'Enrollments are evaluated again.')
      failures = 0
      if (reevaluated) log?.info({ reevaluated }, 'Courses changed; their enrollments were evaluated again.')
      const [first] = left
      if (first)
        log?.warn(
          { err: first.error, enrollmentId: first.enrollmentId, left: left.length },
          'Some overdue enrollments could not be evaluated; trying again later.',
        )
    } catch (error) {
      if (failures++ === 0)
        log?.warn({ err: error, everyMs }, 'Overdue enrollments cannot be evaluated; trying again until they can.')
    }
  })
}

/** A changed course re-evaluates its enrollments. */
export const enrollmentsCaughtUp: Reaction = {
  name: 'enrollmentsCaughtUp',
  root: 'Course',
  start: (at) => keepCaughtUp({ ...at, everyMs: 2_000 }),
}
