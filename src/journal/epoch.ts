import { hash } from 'node:crypto'
import type { Db } from '../database/client.ts'
import { sql } from '../database/client.ts'

/**
 * One history of one database: which cluster, which timeline of it (another one after a failover, which may have lost
 * the newest commits), and the random name that `renewEpoch` changes. A cursor of another epoch may name versions that
 * were never, or are other ones now.
 */
export const EPOCH = `select (select epoch from "Journal") as name, (select system_identifier::text from pg_control_system()) as system, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline`

/** What `EPOCH` returned, as the short text that is part of each cursor. */
export const epochOf = ({ name, system, timeline }: { name: string; system: string; timeline: string }): string =>
  hash('sha256', `${system} ${timeline} ${name}`, 'base64url').slice(0, 8)

/** So many events at a time are freed of their transactions' numbers. */
const PAGE = 10_000
/** PostgreSQL's FrozenTransactionId: seen by every snapshot. */
const FROZEN = '2'

/**
 * For a database that was restored from a dump or a copied data folder: every cursor from before is told apart from now
 * on, and events no longer bear the numbers of transactions of another cluster, which this one has not come to yet.
 * Whoever watches gets a fresh snapshot. Answers how many events were freed; `progress` is told as it goes.
 * Interrupted, it can be run again.
 */
export async function renewEpoch(db: Db, progress: (freed: number) => void = () => {}): Promise<number> {
  let freed = 0
  for (;;) {
    const count =
      await db.$executeRaw(sql`update "Event" set xid = ${FROZEN}::text::xid8 where ("rootType", "rootId", version) in (
      select "rootType", "rootId", version from "Event" where xid > ${FROZEN}::text::xid8 and xid <> pg_current_xact_id() limit ${PAGE}::int)`)
    progress((freed += count))
    if (count < PAGE) break
  }
  await db.$executeRaw(sql`update "Journal" set epoch = gen_random_uuid()::text, "prunedXid" = null`)
  return freed
}
