import { type Aggregate, type Shape, system, whole } from '../commit/aggregate.ts'
import { type Db, raw, sql } from '../database/client.ts'
import { retry } from '../database/retry.ts'
import { GENESIS } from './event.ts'
import type { PruneOptions } from './prune.ts'

/** The most roots that are looked up in one statement. */
const MOST_ROOTS = 100

/**
 * Gives each root whose version has no event a genesis event, with its present state. Rows that another system wrote
 * can then be followed and replayed. Returns how many roots that were or, with `dryRun`, would be.
 */
export async function beginHistories({
  db,
  aggregates,
  dryRun = false,
  progress,
}: Omit<PruneOptions, 'days' | 'signal'>): Promise<number> {
  let begun = 0
  for (const aggregate of aggregates) {
    for (let behind: string | undefined = ''; behind !== undefined; ) {
      const ids = await withoutHistory(db, aggregate, behind)
      for (const id of ids) {
        if (!dryRun) await retry(() => beginHistory(db, aggregate, id))
        begun++
        progress?.({ roots: begun, events: begun })
      }
      behind = ids.length === MOST_ROOTS ? ids.at(-1) : undefined
    }
  }
  return begun
}

/** The ids of the next roots whose version has no event. */
async function withoutHistory(db: Db, { root }: Aggregate<Shape>, behind: string): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>(sql`
    select id from ${raw(`"${root}"`)} r
    where id > ${behind} and not exists (
      select from "Event" e where e."rootType" = ${root} and e."rootId" = r.id and e.version = r.version
    )
    order by id limit ${MOST_ROOTS}::int`)
  return rows.map(({ id }) => id)
}

/** The genesis has the version at which the root was read: commits that go on meanwhile append theirs. */
async function beginHistory(db: Db, aggregate: Aggregate<Shape>, id: string): Promise<void> {
  const rows = await db.$queryRaw<{ row: unknown }[]>(aggregate.read(whole(id)))
  // the type of its rows is known to the aggregate alone, which wrote both the query and `load`
  const state = aggregate.load(rows.map(({ row }) => row) as never).find(({ version }) => version > 0)
  if (!state) return
  const { id: _, version, ...data } = state
  const [topic, view] = [aggregate.topic(state), aggregate.view(state)]
  await db.$executeRaw(sql`
    insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
    values (${aggregate.root}, ${id}, ${version}::int, ${topic}, ${GENESIS}, ${JSON.stringify(data)}::jsonb,
      ${JSON.stringify(view)}::jsonb, ${system.id}, now())
    on conflict do nothing`)
}
