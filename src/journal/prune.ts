import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { type Db, type Sql, sql } from '../database/client.ts'
import { retry } from '../database/retry.ts'
import { GENESIS } from './event.ts'
import { fold } from './fold.ts'

/** The most old events that are looked at in one statement. */
const MOST_OLD_EVENTS = 10_000

export interface PruneOptions {
  readonly db: Db
  readonly aggregates: readonly Aggregate<Shape>[]
  /** Events older than this many days are folded. */
  readonly days: number
  /** Writes nothing, and returns what would be folded. */
  readonly dryRun?: boolean
  /** Stops it between two roots. */
  readonly signal?: AbortSignal
  /** Is called after each root with the sum so far. */
  readonly progress?: (pruned: Pruned) => void
}
/** How many roots were folded, and how many of their events were deleted. */
export interface Pruned {
  readonly roots: number
  readonly events: number
}

/** The newest old event of a root, which becomes its genesis. */
interface OldRoot {
  readonly rootType: string
  readonly rootId: string
  readonly version: number
}

/**
 * Folds the events that are older than `days` when it begins: those of a root become one, its genesis event, which has
 * the state that they amount to and takes the place of the newest of them. Later events stay. If it is interrupted, run
 * it again; two that run at once do the same.
 */
export async function prune({ db, aggregates, days, dryRun = false, signal, progress }: PruneOptions): Promise<Pruned> {
  // Read once: what grows old meanwhile is left to the next run, or this one would not end beside many commits.
  const [{ end } = { end: '' }] = await db.$queryRaw<{ end: string }[]>(
    sql`select (now() - make_interval(days => ${days}::int))::text as end`,
  )
  const old = sql`at < ${end}::timestamptz`
  if (dryRun) return wouldPrune(db, old)
  const total = { roots: 0, events: 0 }
  const left: string[] = [] // roots that cannot be folded; they stay as they are
  while (!signal?.aborted) {
    const roots = await oldRoots(db, old, left)
    if (!roots.length) break
    for (const { rootType, rootId, version } of roots) {
      if (signal?.aborted) break
      const aggregate = aggregates.find(({ root }) => root === rootType)
      const deleted = aggregate && (await retry(() => pruneRoot(db, aggregate, rootId, version)))
      if (deleted === undefined) left.push(`${rootType} ${rootId}`)
      if (!deleted) continue
      total.events += deleted
      total.roots++
      progress?.({ ...total })
    }
  }
  return total
}

async function wouldPrune(db: Db, old: Sql): Promise<Pruned> {
  const [row] = await db.$queryRaw<Pruned[]>(sql`
    select count(*) filter (where n > 1)::int as roots, coalesce(sum(n - 1), 0)::int as events from (
      select (
        select count(*) from "Event" e
        where e."rootType" = r."rootType" and e."rootId" = r."rootId" and e.version <= r.version
      ) as n from (
        select "rootType", "rootId", max(version) as version from "Event"
        where ${old} and kind <> 'genesis' group by 1, 2
      ) r
    ) c`)
  return row!
}

/** Some of the roots that have old events, but for `left`. */
function oldRoots(db: Db, old: Sql, left: readonly string[]): Promise<OldRoot[]> {
  return db.$queryRaw<OldRoot[]>(sql`
    select r.*, (
      select max(e.version) from "Event" e
      where e."rootType" = r."rootType" and e."rootId" = r."rootId" and ${old}
    ) as version from (
      select distinct "rootType", "rootId" from (
        select "rootType", "rootId" from "Event"
        where ${old} and kind <> 'genesis' and "rootType" || ' ' || "rootId" <> all(${left}::text[])
        order by at limit ${MOST_OLD_EVENTS}::int
      ) e
    ) r`)
}

/**
 * Makes the event with this version the genesis of its root, and deletes the events before it. Returns how many, 0 if
 * another process has done it meanwhile; undefined if the history cannot be folded.
 */
async function pruneRoot(
  db: Db,
  aggregate: Aggregate<Shape>,
  id: string,
  version: number,
): Promise<number | undefined> {
  const ofRoot = sql`"rootType" = ${aggregate.root} and "rootId" = ${id}`
  const state = (await fold(db, aggregate, new Map([[id, version]]))).get(id)
  if (!state) return undefined
  if (state.version !== version) return 0
  const { id: _, version: __, ...data } = state
  const [row] = await db.$queryRaw<{ count: number }[]>(sql`
    with old as (
      select max(xid::text::numeric)::text::xid8 as xid from "Event" where ${ofRoot} and version <= ${version}::int
    ),
    kept as (
      update "Event" set kind = ${GENESIS}, data = ${JSON.stringify(data)}::jsonb
      where ${ofRoot} and version = ${version}::int returning 1
    ),
    gone as (
      delete from "Event" where ${ofRoot} and version < ${version}::int and exists (select from kept) returning 1
    ),
    noted as (update "Journal" set "prunedXid" = greatest("prunedXid", old.xid) from old)
    select count(*)::int as count from gone`)
  return row!.count
}
