import { instant } from '../commit/aggregate.ts'
import { type Db, raw, type Sql, sql } from '../database/client.ts'
import type { JournalEvent } from './event.ts'
import { MOST_STORED } from './fold.ts'

/** What made a version: the event without `data` and `view`, which may be large. */
export type VersionHead = Pick<JournalEvent, 'rootId' | 'version' | 'kind' | 'actor' | 'at'>

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
  readonly heads: readonly VersionHead[]
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
  readonly head: VersionHead | null
  /** The oldest version that the root's history has; null: it has none. */
  readonly oldest: number | null
  readonly newest: number | null
}

/** SQL: the row `e` of "Event" as the JSON that `headOf` reads. */
const HEAD = raw(`json_build_array(e."rootId", e.version, e.kind, e.actor, e.at)`)
type HeadRow = readonly [string, number, string, string, string]
const headOf = ([rootId, version, kind, actor, at]: HeadRow): VersionHead => ({
  ...{ rootId, version, kind, actor },
  at: instant(at),
})

/** Reads ranges of versions, in one statement. The pages are in the order of the ranges. */
export async function readVersionPages(
  db: Db,
  rootType: string,
  ranges: readonly VersionRange[],
): Promise<VersionPage[]> {
  const ofRoot = sql`e."rootType" = ${rootType} and e."rootId" = x.id`
  const inRange = sql`${ofRoot} and e.version > x.above and e.version < x.below`
  const rows = await db.$queryRaw<{ oldest: number | null; heads: HeadRow[] | null }[]>(sql`
    select (select min(e.version) from "Event" e where ${ofRoot}) as oldest, (
      select json_agg(p.head) from (
        (select ${HEAD} as head from "Event" e
          where ${inRange} and not x.upward order by e.version desc limit x.most)
        union all
        (select ${HEAD} as head from "Event" e
          where ${inRange} and x.upward order by e.version limit x.most)) p) as heads
    from unnest(${ranges.map(({ rootId }) => rootId)}::text[], ${ranges.map(({ above }) => above)}::int[],
      ${ranges.map(({ below }) => below)}::int[], ${ranges.map(({ limit }) => limit)}::int[],
      ${ranges.map(({ oldestFirst }) => oldestFirst)}::boolean[])
      with ordinality as x (id, above, below, most, upward, i)
    order by x.i`)
  return rows.map(({ oldest, heads }) => ({ oldest, heads: (heads ?? []).map(headOf) }))
}

/** Reads single versions, in one statement. What is found is in the order of the names. */
export async function readVersions(db: Db, rootType: string, names: readonly VersionName[]): Promise<FoundVersion[]> {
  const ofRoot = sql`e."rootType" = ${rootType} and e."rootId" = x.id`
  const rows = await db.$queryRaw<{ head: HeadRow | null; oldest: number | null; newest: number | null }[]>(sql`
    select (select ${HEAD} from "Event" e where ${ofRoot} and e.version = x.version) as head,
      (select min(e.version) from "Event" e where ${ofRoot}) as oldest,
      (select max(e.version) from "Event" e where ${ofRoot}) as newest
    from unnest(${names.map(({ rootId }) => rootId)}::text[], ${names.map(({ version }) => version)}::int[])
      with ordinality as x (id, version, i)
    order by x.i`)
  return rows.map(({ head, ...bounds }) => ({ head: head && headOf(head), ...bounds }))
}

/**
 * Reads what versions show besides their heads, in the order of the names; null: it is not there. `shown` is the SQL of
 * it, as JSON, from the row `e` of "Event". One statement reads a bounded number of bytes; the rest follows in further
 * ones. `reads` is told the stored bytes of each, and throws to stop.
 */
export async function readShown(
  db: Db,
  {
    rootType,
    shown,
    names,
  }: { readonly rootType: string; readonly shown: Sql; readonly names: readonly VersionName[] },
  reads: (bytes: number) => void,
): Promise<(object | null)[]> {
  const found: (object | null)[] = []
  while (found.length < names.length) {
    const left = names.slice(found.length)
    // the sizes come first, since they are known without unpacking what is stored
    const rows = await db.$queryRaw<{ shown: object | null; bytes: number }[]>(sql`
      select ${shown} as shown, e.bytes
      from (
        select x.i, v.kind, v.data, v.view, coalesce(v.bytes, 0) as bytes,
          sum(coalesce(v.bytes, 0)) over (order by x.i) - coalesce(v.bytes, 0) as before
        from unnest(${left.map(({ rootId }) => rootId)}::text[], ${left.map(({ version }) => version)}::int[])
          with ordinality as x (id, version, i)
        left join lateral (
          select e.kind, e.data, e.view, pg_column_size(e.view) as bytes from "Event" e
          where e."rootType" = ${rootType} and e."rootId" = x.id and e.version = x.version) v on true
      ) e
      where e.before < ${MOST_STORED}::int order by e.i`)
    found.push(...rows.map(({ shown }) => shown))
    reads(rows.reduce((sum, { bytes }) => sum + bytes, 0))
  }
  return found
}

/** Counts the versions that the histories of roots have, in one statement, in the order of the ids. */
export async function countVersions(db: Db, rootType: string, rootIds: readonly string[]): Promise<number[]> {
  const rows = await db.$queryRaw<{ count: number }[]>(sql`
    select (select count(*) from "Event" e where e."rootType" = ${rootType} and e."rootId" = x.id)::int as count
    from unnest(${rootIds}::text[]) with ordinality as x (id, i) order by x.i`)
  return rows.map(({ count }) => count)
}
