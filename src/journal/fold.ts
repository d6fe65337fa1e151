import { setImmediate } from 'node:timers/promises'
import { type Aggregate, instant, type Shape } from '../commit/aggregate.ts'
import { type Db, sql } from '../database/client.ts'
import { GENESIS, type JournalEvent } from './event.ts'

/** The most events that are read in one statement. */
const MOST_EVENTS = 1_000
/**
 * The most bytes, as stored, of events that are read in one statement; one event may have more. PostgreSQL's
 * compression makes text up to 90 times smaller (pglz; lz4: 250 times), so unpacked they are some megabytes at most.
 */
export const MOST_STORED = 128 * 1_024
/** The longest that folding holds the event loop at a time, in ms; one event may take longer. */
const LONGEST_TURN = 5

/** What of an event is folded. */
type FoldedEvent = Pick<JournalEvent, 'rootId' | 'version' | 'kind' | 'data' | 'at'>

/** The state after an event. A genesis event has that state in its `data`. */
export function evolved<S extends Shape>(
  aggregate: Aggregate<S>,
  state: S['state'],
  { rootId, version, kind, data, at }: FoldedEvent,
): S['state'] {
  const after =
    kind === GENESIS
      ? { ...aggregate.blank(rootId), ...data }
      : aggregate.evolve(state, { kind, ...data } as S['event'], at) // as it was written by this aggregate
  return { ...after, version }
}

/** Takes part in a fold. */
export interface FoldOptions<State> {
  /** Is called with each state on the way. */
  passed?(state: State): void
  /** Is told what folding has cost since it was last told. Throws to stop. */
  spent?(cost: FoldCost): void
}
/** The cost of a part of a fold. */
export interface FoldCost {
  readonly events: number
  /** The characters of the events. */
  readonly characters: number
  /** The time that it held the event loop, in ms. */
  readonly ms: number
}

/**
 * Folds the histories of roots, each up to a version. Resolves with their states by id; undefined: the first events of
 * the root are missing. A state of another version than the wanted one means that the wanted event is not there.
 * However long the histories are, the event loop is free again every few milliseconds.
 */
export async function fold<S extends Shape>(
  db: Db,
  aggregate: Aggregate<S>,
  upTo: ReadonlyMap<string, number>,
  { passed, spent }: FoldOptions<S['state']> = {},
): Promise<ReadonlyMap<string, S['state'] | undefined>> {
  const states = new Map<string, S['state'] | undefined>([...upTo.keys()].map((id) => [id, aggregate.blank(id)]))
  for (;;) {
    const left = [...upTo].flatMap(([id, to]) => {
      const from = states.get(id)?.version ?? to
      return from < to ? [{ id, from, to }] : []
    })
    const rows = left.length ? await readEvents(db, aggregate.root, left) : []
    if (!rows.length) return states
    for (let next = 0; next < rows.length; ) {
      const cost = turn(rows, next, (event) => {
        const before = states.get(event.rootId)
        if (!before) return
        const follows = event.kind === GENESIS || event.version === before.version + 1
        const after = follows ? evolved(aggregate, before, event) : undefined
        states.set(event.rootId, after)
        if (after) passed?.(after)
      })
      next += cost.events
      spent?.(cost)
      await setImmediate()
    }
  }
}

/** Applies the next events for as long as a turn of the event loop may take. */
function turn(rows: readonly string[], from: number, apply: (event: FoldedEvent) => void): FoldCost {
  const start = performance.now()
  let [events, characters, ms] = [0, 0, 0]
  while (from + events < rows.length && ms < LONGEST_TURN) {
    const text = rows[from + events++]!
    characters += text.length
    const [rootId, version, kind, data, at] = JSON.parse(text) as FoldedRow
    apply({ rootId, version, kind, data, at: instant(at) })
    ms = performance.now() - start
  }
  return { events, characters, ms }
}

type FoldedRow = readonly [rootId: string, version: number, kind: string, data: object, at: string]

/**
 * Reads the next events of roots, each as JSON, each root's in order. There is no order between roots: the limits cut
 * anywhere. At least one event is read, if there is one.
 */
async function readEvents(
  db: Db,
  rootType: string,
  ranges: readonly { readonly id: string; readonly from: number; readonly to: number }[],
): Promise<string[]> {
  // the rows reach the sum in the order in which the joins find them; the sizes are known without unpacking `data`
  const rows = await db.$queryRaw<{ event: string }[]>(sql`
    select json_build_array(e."rootId", e.version, e.kind, e.data, e.at)::text as event
    from (
      select e.*, sum(e.bytes) over (rows unbounded preceding) - e.bytes as before
      from (
        select e.*
        from unnest(${ranges.map(({ id }) => id)}::text[], ${ranges.map(({ from }) => from)}::int[],
          ${ranges.map(({ to }) => to)}::int[]) as x (id, "from", "to")
        cross join lateral (
          select e."rootId", e.version, e.kind, e.data, e.at, pg_column_size(e.data) as bytes from "Event" e
          where e."rootType" = ${rootType} and e."rootId" = x.id and e.version > x."from" and e.version <= x."to"
          order by e.version limit ${MOST_EVENTS}::int) e
        limit ${MOST_EVENTS}::int) e
    ) e
    where e.before < ${MOST_STORED}::int`)
  return rows.map(({ event }) => event)
}
