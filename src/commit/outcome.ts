import { setTimeout as sleep } from 'node:timers/promises'
import { isDisconnection } from '../database/conflict.ts'
import { type Db, sql } from '../database/client.ts'

/** What became of a transaction whose connection was lost at COMMIT. */
export type Outcome = 'committed' | 'aborted' | 'unknown'

/** The place of an event in the journal. */
export interface Place {
  readonly rootType: string
  readonly rootId: string
  readonly version: number
}

/** The pause before the database is asked again grows from this to that. */
const [SHORTEST_MS, LONGEST_MS] = [20, 500]

/**
 * Asks the database whether the transaction was committed, again and again for `askMs` while it can't be reached or the
 * transaction is in progress. `event` is one of the events that it wrote, if it wrote any.
 */
export async function outcomeOf(db: Db, xid: string, event: Place | undefined, askMs: number): Promise<Outcome> {
  const until = performance.now() + askMs
  for (let pause = SHORTEST_MS; performance.now() < until; pause = Math.min(pause * 2, LONGEST_MS)) {
    try {
      const outcome = await ask(db, xid, event)
      if (outcome !== 'in progress') return outcome
    } catch (error) {
      // It does not know the transaction: this is another server than the one that began it.
      if (!isDisconnection(error)) return 'unknown'
    }
    await sleep(pause)
  }
  return 'unknown'
}

/**
 * PostgreSQL remembers the outcome of a transaction, also through a crash. But if its number had not reached the disk
 * by then, the number is assigned again. So a committed number counts only if the event was written under it.
 */
async function ask(db: Db, xid: string, event: Place | undefined): Promise<Outcome | 'in progress'> {
  const [row] = await db.$queryRaw<{ status: string | null }[]>(
    sql`select pg_xact_status(${xid}::text::xid8) as status`,
  )
  const status = row?.status
  if (status === 'committed' && event) return (await isWritten(db, xid, event)) ? 'committed' : 'aborted'
  return status === 'committed' || status === 'aborted' || status === 'in progress' ? status : 'unknown'
}

async function isWritten(db: Db, xid: string, { rootType, rootId, version }: Place): Promise<boolean> {
  const rows = await db.$queryRaw<object[]>(
    sql`select 1 from "Event" where "rootType" = ${rootType} and "rootId" = ${rootId} and version = ${version}::int
      and xid = ${xid}::text::xid8`,
  )
  return rows.length > 0
}
