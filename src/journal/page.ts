import { type Db, join, raw, sql, type Sql } from '../database/client.ts'
import type { Place } from './cursor.ts'
import { EVENT_COLUMNS, type EventRow, eventOf, type JournalEvent, NEWEST, ORDER } from './event.ts'
import type { RootSubject, Source, TopicSubject } from './follow.ts'
import { lasting } from './snapshot.ts'
import type { Window } from './listeners.ts'

/** A page of what a follower missed. */
export interface Page {
  /** The snapshot at the time of reading, whether or not all of it lasts through a crash. */
  readonly now: string
  /** The part of `now` that lasts. Later pages of a topic are read within it. */
  readonly seen: string
  readonly events: readonly JournalEvent[]
  /** Of a root: its version at the time of reading; null: it has no events. */
  readonly version: number | null
  /** Of a topic: the newest transaction that was pruned from. */
  readonly pruned: bigint | null
}

/** A window that may be open: without `to`, it ends with the snapshot at the time of reading. */
export type OpenWindow = Pick<Window, 'from'> & { readonly to: string | undefined }

/** Reads the present, and the snapshot that it was read in. Throws the source's `missing()`. */
export async function readPresent<Present>(db: Db, source: Source<Present>) {
  const [row] = await db.$queryRaw<{ now: string; newest: string | null; rows: string | null }[]>(
    sql`select pg_current_snapshot()::text as now, ${raw(NEWEST)} as newest,
      (select json_agg(s.row) from (${source.read}) s)::text as rows`,
  )
  // the type of its rows is known to the source alone, which wrote both the query and `load`
  const present = source.load(JSON.parse(row!.rows ?? '[]') as never)
  if (!present) throw source.missing()
  return { present, seen: lasting(row!.now, row!.newest) }
}

/** Reads the events of a root behind a version, `limit` at most. */
export function readRootPage(db: Db, { rootType, rootId }: RootSubject, after: number, limit: number): Promise<Page> {
  const place = sql`e."rootType" = ${rootType} and e."rootId" = ${rootId}`
  return readPage(
    db,
    sql`select ${EVENT_COLUMNS} as event from "Event" e
      where ${place} and e.version > ${after}::int order by e.version limit ${limit}::int`,
    sql`(select max(e.version) from "Event" e where ${place})`,
  )
}

/** Reads the events of a topic that are new in a window, behind a place in it, `limit` at most. */
export function readTopicPage(
  db: Db,
  { topic, rootType }: TopicSubject,
  { from, to }: OpenWindow,
  place: Place | null,
  limit: number,
): Promise<Page> {
  const conditions = [sql`e.topic = ${topic} and e."rootType" = ${rootType}`]
  if (to !== undefined) conditions.push(sql`pg_visible_in_snapshot(e.xid, ${to}::text::pg_snapshot)`)
  if (place) conditions.push(sql`(${raw(ORDER)}) > (${place[0]}::text, ${place[1]}::text, ${place[2]}::int)`)
  return readPage(
    db,
    sql`select ${EVENT_COLUMNS} as event from (
        select e.* from "Event" e where e.xid >= pg_snapshot_xmax(${from}::text::pg_snapshot) and e.topic = ${topic}
        union all
        select e.* from pg_snapshot_xip(${from}::text::pg_snapshot) as x (xid) join "Event" e on e.xid = x.xid
      ) e where ${join(conditions, ' and ')} order by ${raw(ORDER)} limit ${limit}::int`,
    sql`null::int`,
  )
}

async function readPage(db: Db, events: Sql, version: Sql): Promise<Page> {
  const [row] = await db.$queryRaw<
    { now: string; newest: string | null; events: string | null; version: number | null; pruned: string | null }[]
  >(
    sql`select pg_current_snapshot()::text as now, ${raw(NEWEST)} as newest,
      (select json_agg(event)::text from (${events}) e) as events,
      ${version} as version, (select "prunedXid"::text from "Journal") as pruned`,
  )
  const { now, newest, pruned } = row!
  const rows: EventRow[] = JSON.parse(row!.events ?? '[]')
  return {
    now,
    seen: lasting(now, newest),
    events: rows.map(eventOf),
    version: row!.version,
    pruned: pruned === null ? null : BigInt(pruned),
  }
}
