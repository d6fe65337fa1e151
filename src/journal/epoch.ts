import { hash } from 'node:crypto'
import { type Db, sql } from '../database/client.ts'

/**
 * SQL: the parts of an epoch, which is one history of one database. They are the cluster, its timeline (a failover,
 * which may lose the newest commits, begins another one), and the random name that `renewEpoch` changes. A cursor of
 * another epoch may have versions that never were, or that are other ones now.
 */
export const EPOCH = `select (select epoch from "Journal") as name,
  (select system_identifier::text from pg_control_system()) as system,
  left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline`

/** The epoch, from what `EPOCH` selected: a short text that is part of each cursor. */
export const epochOf = ({ name, system, timeline }: { name: string; system: string; timeline: string }): string =>
  hash('sha256', `${system} ${timeline} ${name}`, 'base64url').slice(0, 8)

/** The most events that are updated in one statement. */
const PAGE = 10_000
/** PostgreSQL's FrozenTransactionId, which every snapshot sees. */
const FROZEN = '2'

/**
 * Begins another epoch, for a database that was restored from a dump or from a copied data folder. Cursors from before
 * are then recognized as old, and every stream sends a fresh snapshot. Events get the frozen transaction number: their
 * own ones are from another cluster, and this one has not reached them yet. Returns how many events were changed;
 * `progress` receives the number so far. If it is interrupted, run it again.
 */
export async function renewEpoch(db: Db, progress: (freed: number) => void = () => {}): Promise<number> {
  let freed = 0
  for (;;) {
    const count = await db.$executeRaw(sql`
      update "Event" set xid = ${FROZEN}::text::xid8 where ("rootType", "rootId", version) in (
        select "rootType", "rootId", version from "Event"
        where xid > ${FROZEN}::text::xid8 and xid <> pg_current_xact_id() limit ${PAGE}::int
      )`)
    progress((freed += count))
    if (count < PAGE) break
  }
  await db.$executeRaw(sql`update "Journal" set epoch = gen_random_uuid()::text, "prunedXid" = null`)
  return freed
}
