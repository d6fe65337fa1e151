import { type Db, sql } from '../database/client.ts'

/** How many are forgotten in one statement, so that nothing waits for long. */
const PAGE = 5_000

/** Forgets idempotency keys older than so many days, until aborted. Resolves with how many. */
export async function forgetOldKeys(db: Db, days: number, signal?: AbortSignal): Promise<number> {
  let forgotten = 0
  while (!signal?.aborted) {
    const count = await db.$executeRaw(
      sql`delete from "IdempotencyKey" where (actor, key) in (
        select actor, key from "IdempotencyKey" where at < now() - make_interval(days => ${days}::int)
        limit ${PAGE}::int)`,
    )
    forgotten += count
    if (count < PAGE) break
  }
  return forgotten
}
