import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { type Db, sql } from '../database/client.ts'
import { EVENT_COLUMNS, type EventRow, eventOf, GENESIS, type JournalEvent } from './event.ts'

/** The most events that are read in one statement. */
const MOST_EVENTS = 1_000

/** The state after an event. A genesis event has that state in its `data`. */
export function evolved<S extends Shape>(
  aggregate: Aggregate<S>,
  state: S['state'],
  { rootId, version, kind, data, at }: Pick<JournalEvent, 'rootId' | 'version' | 'kind' | 'data' | 'at'>,
): S['state'] {
  const after =
    kind === GENESIS
      ? { ...aggregate.blank(rootId), ...data }
      : aggregate.evolve(state, { kind, ...data } as S['event'], at) // as it was written by this aggregate
  return { ...after, version }
}

/**
 * Folds the histories of roots, each up to a version. Resolves with their states by id; undefined: the first events of
 * the root are missing. `passed` is called with each state on the way. A state of another version than the wanted one
 * means that the wanted event is not there.
 */
export async function fold<S extends Shape>(
  db: Db,
  aggregate: Aggregate<S>,
  upTo: ReadonlyMap<string, number>,
  passed: (state: S['state']) => void = () => {},
): Promise<ReadonlyMap<string, S['state'] | undefined>> {
  const states = new Map<string, S['state'] | undefined>([...upTo.keys()].map((id) => [id, aggregate.blank(id)]))
  for (;;) {
    const left = [...upTo].flatMap(([id, to]) => {
      const from = states.get(id)?.version ?? to
      return from < to ? [{ id, from, to }] : []
    })
    const events = left.length ? await readEvents(db, aggregate.root, left) : []
    for (const event of events) {
      const before = states.get(event.rootId)
      if (!before) continue
      const follows = event.kind === GENESIS || event.version === before.version + 1
      const after = follows ? evolved(aggregate, before, event) : undefined
      states.set(event.rootId, after)
      if (after) passed(after)
    }
    if (events.length < MOST_EVENTS) return states
  }
}

/** Reads the next events of roots, each root's in order. There is no order between roots: the limit cuts anywhere. */
async function readEvents(
  db: Db,
  rootType: string,
  ranges: readonly { readonly id: string; readonly from: number; readonly to: number }[],
): Promise<JournalEvent[]> {
  const rows = await db.$queryRaw<{ event: EventRow }[]>(sql`
    select ${EVENT_COLUMNS} as event
    from unnest(${ranges.map(({ id }) => id)}::text[], ${ranges.map(({ from }) => from)}::int[],
      ${ranges.map(({ to }) => to)}::int[]) as x (id, "from", "to")
    cross join lateral (
      select * from "Event" e
      where e."rootType" = ${rootType} and e."rootId" = x.id and e.version > x."from" and e.version <= x."to"
      order by e.version limit ${MOST_EVENTS}::int) e
    limit ${MOST_EVENTS}::int`)
  return rows.map(({ event }) => eventOf(event))
}
