import { type Aggregate, type Shape, whole } from '../commit/aggregate.ts'
import { type Db, raw, sql } from '../database/client.ts'
import { isTransient } from '../database/conflict.ts'
import { columns, type EventRow, eventOf, GENESIS } from './event.ts'
import { evolved } from './fold.ts'

/** So many roots, so many events of one, and so many old events, at a time. */
const [ROOTS, EVENTS, FOUND] = [100, 1_000, 10_000]

export interface PruneOptions {
  readonly db: Db
  readonly aggregates: readonly Aggregate<Shape>[]
  /** Events older than so many days are folded into one per root, its genesis. */
  readonly days: number
  /** Only says what it would do. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
  readonly progress?: (pruned: Pruned) => void
}
export interface Pruned {
  readonly roots: number
  readonly events: number
}

/**
 * Folds what is older than so many days, as it begins, into one event per root, the genesis, which bears the state that
 * those events amount to. What is newer stays, and so does the newest of what is older, as the genesis itself.
 * Interrupted, it can be run again; two at once do the same.
 */
export async function prune({ db, aggregates, days, dryRun = false, signal, progress }: PruneOptions): Promise<Pruned> {
  const total = { roots: 0, events: 0 }
  // looked up once: what grows old while it runs is the next run's, or a run would never end beside those who commit
  // faster than it folds
  const [{ end } = { end: '' }] = await db.$queryRaw<{ end: string }[]>(
    sql`select (now() - make_interval(days => ${days}::int))::text as end`,
  )
  const old = sql`at < ${end}::timestamptz`
  if (dryRun) {
    const [row] = await db.$queryRaw<
      Pruned[]
    >(sql`select count(*) filter (where n > 1)::int as roots, coalesce(sum(n - 1), 0)::int as events from (
      select (select count(*) from "Event" e where e."rootType" = r."rootType" and e."rootId" = r."rootId" and e.version <= r.version) as n from (
        select "rootType", "rootId", max(version) as version from "Event" where ${old} and kind <> 'genesis' group by 1, 2) r) c`)
    return row!
  }
  const left: string[] = [] // what can't be folded stays as it is
  while (!signal?.aborted) {
    const roots = await db.$queryRaw<{ rootType: string; rootId: string; version: number }[]>(sql`select r.*,
        (select max(e.version) from "Event" e where e."rootType" = r."rootType" and e."rootId" = r."rootId" and ${old}) as version
      from (select distinct "rootType", "rootId" from (select "rootType", "rootId" from "Event"
        where ${old} and kind <> 'genesis' and "rootType" || ' ' || "rootId" <> all(${left}::text[]) order by at limit ${FOUND}::int) e) r`)
    if (!roots.length) break
    for (const { rootType, rootId, version } of roots) {
      if (signal?.aborted) break
      const aggregate = aggregates.find(({ root }) => root === rootType)
      const gone = aggregate && (await again(() => pruneRoot(db, aggregate, rootId, version)))
      if (gone === undefined) left.push(`${rootType} ${rootId}`)
      if (!gone) continue
      total.events += gone
      total.roots++
      progress?.({ ...total })
    }
  }
  return total
}

/** Where somebody else does the same, one of the two is told so at REPEATABLE READ, and looks again. */
async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt === 8 || !isTransient(error)) throw error
    }
  }
}

/**
 * Makes the event with this version the genesis of its root. Answers how many others went; undefined if they can't be
 * folded.
 */
async function pruneRoot(
  db: Db,
  aggregate: Aggregate<Shape>,
  id: string,
  version: number,
): Promise<number | undefined> {
  const of = sql`"rootType" = ${aggregate.root} and "rootId" = ${id}`
  let state = aggregate.blank(id)
  for (;;) {
    const rows = await db.$queryRaw<{ event: EventRow }[]>(
      sql`select ${columns} as event from "Event" e where ${of} and version > ${state.version}::int and version <= ${version}::int order by version limit ${EVENTS}::int`,
    )
    for (const event of rows.map(({ event }) => eventOf(event))) {
      // what came before is not known: there is nothing that it could be folded onto
      if (event.kind !== GENESIS && event.version !== state.version + 1) return undefined
      state = evolved(aggregate, state, event)
    }
    if (rows.length < EVENTS) break
  }
  if (state.version !== version) return 0 // somebody else has done it meanwhile
  const { id: _, version: __, ...data } = state
  const [row] = await db.$queryRaw<{ count: number }[]>(sql`
    with old as (select max(xid::text::numeric)::text::xid8 as xid from "Event" where ${of} and version <= ${version}::int),
      kept as (update "Event" set kind = ${GENESIS}, data = ${JSON.stringify(data)}::jsonb where ${of} and version = ${version}::int returning 1),
      gone as (delete from "Event" where ${of} and version < ${version}::int and exists (select from kept) returning 1),
      noted as (update "Journal" set "prunedXid" = greatest("prunedXid", old.xid) from old)
    select count(*)::int as count from gone`)
  return row!.count
}

/**
 * Gives each root that is older than the journal a genesis event, with the state that it has now: rows that came from
 * elsewhere can then be followed, and replayed. Answers how many.
 */
export async function beginHistories({
  db,
  aggregates,
  dryRun = false,
  progress,
}: Omit<PruneOptions, 'days'>): Promise<number> {
  let begun = 0
  for (const aggregate of aggregates) {
    const table = raw(`"${aggregate.root}"`)
    for (let behind = ''; ; ) {
      const roots = await db.$queryRaw<{ id: string }[]>(sql`select id from ${table} r where id > ${behind}
        and not exists (select from "Event" e where e."rootType" = ${aggregate.root} and e."rootId" = r.id and e.version = r.version) order by id limit ${ROOTS}::int`)
      for (const { id } of roots) {
        if (!dryRun) await again(() => beginHistory(db, aggregate, id))
        begun++
        progress?.({ roots: begun, events: begun })
      }
      if (roots.length < ROOTS) break
      behind = roots.at(-1)!.id
    }
  }
  return begun
}

/** What it was at the version at which it was read, whoever changes it meanwhile. */
async function beginHistory(db: Db, aggregate: Aggregate<Shape>, id: string): Promise<void> {
  const rows = await db.$queryRaw<{ row: unknown }[]>(aggregate.read(whole(id)))
  const state = aggregate.load(rows.map(({ row }) => row) as never).find(({ version }) => version > 0)
  if (!state) return
  const { id: _, version, ...data } = state
  await db.$executeRaw(sql`insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
    values (${aggregate.root}, ${id}, ${version}::int, ${aggregate.topic(state)}, ${GENESIS}, ${JSON.stringify(data)}::jsonb, ${JSON.stringify(aggregate.view(state))}::jsonb, 'system', now())
    on conflict do nothing`)
}
