import { type Db, sql } from '../database/client.ts'

const PAGE = 5_000

/** Deletes idempotency keys older than so many days, in pages to keep each lock short. Returns how many. */
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

/** Forgets old keys now and every hour, until it is stopped; whatever fails is tried again at the next hour. */
export function keepForgetting({
  db,
  days,
  log,
}: {
  db: Db
  days: number
  log: { info(detail: object, message: string): void; warn(detail: object, message: string): void }
}) {
  const ended = new AbortController()
  let running = Promise.resolve()
  const pass = () => {
    running = running
      .then(() => forgetOldKeys(db, days, ended.signal))
      .then(
        (forgotten) => void (forgotten && log.info({ forgotten, days }, 'Old idempotency keys were forgotten.')),
        (error) => log.warn({ err: error }, 'Old idempotency keys could not be forgotten; trying again in an hour.'),
      )
  }
  pass()
  const timer = setInterval(pass, 3_600_000)
  return {
    /** Resolves when nothing is under way any more. */
    stop() {
      ended.abort()
      clearInterval(timer)
      return running
    },
  }
}
