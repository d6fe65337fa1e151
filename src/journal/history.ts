import { type Db, raw, sql } from '../database/client.ts'
import { EVENT_COLUMNS, type EventRow, eventOf, GENESIS, type JournalEvent } from './event.ts'

/** Some versions of a root: between two others, which are not included, `limit` at most. */
export interface VersionRange {
  readonly rootId: string
  readonly above: number
  readonly below: number
  readonly limit: number
  /** Beginning with the oldest instead of the newest. */
  readonly oldestFirst: boolean
}

/** What the journal has of a range. */
export interface VersionPage {
  readonly events: readonly JournalEvent[]
  /** The oldest version that the root's history has; null: it has none. */
  readonly oldest: number | null
}

/** One version of a root. */
export interface VersionName {
  readonly rootId: string
  readonly version: number
}

/** What the journal has of a version. */
export interface FoundVersion {
  /** Null: it is not there. */
  readonly event: JournalEvent | null
  /** The oldest version that the root's history has; null: it has none. */
  readonly oldest: number | null
  readonly newest: number | null
}

/** SQL: the events. Of a genesis only the view is shown, so its `data`, which may be large, is left out. */
const EVENTS = raw(`(
  select "rootType", "rootId", version, topic, kind, view, actor, at, xid,
    case when kind = '${GENESIS}' then '{}'::jsonb else data end as data
  from "Event")`)

/** Reads ranges of versions, in one statement. The pages are in the order of the ranges. */
export async function readVersionPages(
  db: Db,
  rootType: string,
  ranges: readonly VersionRange[],
): Promise<VersionPage[]> {
  const ofRoot = sql`e."rootType" = ${rootType} and e."rootId" = x.id`
  const inRange = sql`${ofRoot} and e.version > x.above and e.version < x.below`
  const rows = await db.$queryRaw<{ oldest: number | null; events: EventRow[] | null }[]>(sql`
    select (select min(e.version) from "Event" e where ${ofRoot}) as oldest, (
      select json_agg(p.event) from (
        (select ${EVENT_COLUMNS} as event from ${EVENTS} e
          where ${inRange} and not x.upward order by e.version desc limit x.most)
        union all
        (select ${EVENT_COLUMNS} as event from ${EVENTS} e
          where ${inRange} and x.upward order by e.version limit x.most)) p) as events
    from unnest(${ranges.map(({ rootId }) => rootId)}::text[], ${ranges.map(({ above }) => above)}::int[],
      ${ranges.map(({ below }) => below)}::int[], ${ranges.map(({ limit }) => limit)}::int[],
      ${ranges.map(({ oldestFirst }) => oldestFirst)}::boolean[])
      with ordinality as x (id, above, below, most, upward, i)
    order by x.i`)
  return rows.map(({ oldest, events }) => ({ oldest, events: (events ?? []).map(eventOf) }))
}

/** Reads single versions, in one statement. What is found is in the order of the names. */
export async function readVersions(db: Db, rootType: string, names: readonly VersionName[]): Promise<FoundVersion[]> {
  const ofRoot = sql`e."rootType" = ${rootType} and e."rootId" = x.id`
  const rows = await db.$queryRaw<{ event: EventRow | null; oldest: number | null; newest: number | null }[]>(sql`
    select (select ${EVENT_COLUMNS} from ${EVENTS} e where ${ofRoot} and e.version = x.version) as event,
      (select min(e.version) from "Event" e where ${ofRoot}) as oldest,
      (select max(e.version) from "Event" e where ${ofRoot}) as newest
    from unnest(${names.map(({ rootId }) => rootId)}::text[], ${names.map(({ version }) => version)}::int[])
      with ordinality as x (id, version, i)
    order by x.i`)
  return rows.map(({ event, ...bounds }) => ({ event: event && eventOf(event), ...bounds }))
}

/** Counts the versions that the histories of roots have, in one statement, in the order of the ids. */
export async function countVersions(db: Db, rootType: string, rootIds: readonly string[]): Promise<number[]> {
  const rows = await db.$queryRaw<{ count: number }[]>(sql`
    select (select count(*) from "Event" e where e."rootType" = ${rootType} and e."rootId" = x.id)::int as count
    from unnest(${rootIds}::text[]) with ordinality as x (id, i) order by x.i`)
  return rows.map(({ count }) => count)
}
