import type { Chore } from '../api/module.ts'
import type { Workplace } from '../api/workplace.ts'
import { system } from '../commit/aggregate.ts'
import { type Db, sql } from '../database/client.ts'
import { removeExpiredSessions } from './removeExpiredSessions.ts'
import { UserNotFound } from './userAggregate.ts'

/** How many sessions are looked up at once. */
const PAGE = 500
/** After so many failures, the cause is most likely one that the other users have too. */
const MOST_FAILURES = 10

/**
 * Removes the sessions that expired more than a day ago, and with them all other expired sessions of the same users.
 * Resolves with the number of sessions removed. If some users fail, the others are still done, and then it rejects with
 * the first error; the next run tries again.
 */
export const expiredSessions: Chore = {
  name: 'expiredSessions',
  async run({ db, commit, signal }) {
    const failures: unknown[] = []
    let removed = 0
    for await (const userId of usersWithExpired(db)) {
      if (signal.aborted || failures.length >= MOST_FAILURES) break
      try {
        removed += await removeFrom(userId, commit)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length) throw failures[0]
    return removed
  },
}

/** Returns the number of sessions removed; 0 if the user was deleted in the meantime, and their sessions with them. */
async function removeFrom(userId: string, commit: Workplace['commit']): Promise<number> {
  try {
    const { answer } = await commit(removeExpiredSessions, { actor: system, input: { userId } })
    return answer.removed
  } catch (error) {
    if (error instanceof UserNotFound) return 0
    throw error
  }
}

interface Place {
  readonly expiresAt: string
  readonly id: string
}

/** The users of sessions that expired more than a day ago, page by page; a user may be found more than once. */
async function* usersWithExpired(db: Db): AsyncGenerator<string> {
  let after: Place = { expiresAt: '-infinity', id: '' }
  for (;;) {
    const page: (Place & { readonly userId: string })[] = await db.$queryRaw(sql`
      select "expiresAt"::text as "expiresAt", id, "userId" from "Session"
      where "expiresAt" < now() - interval '1 day'
        and ("expiresAt", id) > (${after.expiresAt}::text::timestamptz, ${after.id})
      order by "expiresAt", id limit ${PAGE}::int`)
    yield* new Set(page.map(({ userId }) => userId))
    if (page.length < PAGE) return
    after = page.at(-1)!
  }
}
