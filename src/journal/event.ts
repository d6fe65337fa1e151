import { instant } from '../commit/aggregate.ts'
import { raw } from '../database/client.ts'

/** One committed change of one root. Its place in the journal is (rootType, rootId, version). */
export interface JournalEvent {
  readonly rootType: string
  readonly rootId: string
  readonly version: number
  /** The feed over many roots that the event also belongs to. */
  readonly topic: string
  /** What happened, in the past tense; or `GENESIS`. */
  readonly kind: string
  /** The facts, from which `evolve` makes the next state; of a genesis event, the state itself. */
  readonly data: object
  /** The view of the root after the change. */
  readonly view: object
  /** The id of the user who made the change, or `system`. */
  readonly actor: string
  /** The time of the commit: ISO 8601 in UTC. */
  readonly at: string
  /** The transaction that wrote it. */
  readonly xid: bigint
}

/** The kind of an event that replaces all events before it: its `data` is the state that those amount to. */
export const GENESIS = 'genesis'

/** SQL: the row `e` of "Event" as one JSON array, which `eventOf` reads. */
export const COLUMNS = `json_build_array(
  e."rootType", e."rootId", e.version, e.topic, e.kind, e.data, e.view, e.actor, e.at, e.xid::text)`
/** The same, for a statement made by `sql`. */
export const EVENT_COLUMNS = raw(COLUMNS)

/** SQL: the order of events. Those of a root are in the order of their versions. */
export const ORDER = `e."rootType", e."rootId", e.version`

/** What `COLUMNS` selects. */
export type EventRow = readonly [string, string, number, string, string, object, object, string, string, string]

/** The event in a row that `COLUMNS` selected. */
export const eventOf = ([
  rootType,
  rootId,
  version,
  topic,
  kind,
  data,
  view,
  actor,
  at,
  xid,
]: EventRow): JournalEvent => ({
  ...{ rootType, rootId, version, topic, kind, data, view, actor },
  at: instant(at),
  xid: BigInt(xid),
})

/** SQL: the newest transaction that has an event, or had one that was pruned; null: none. */
export const NEWEST = `greatest(
  (select xid from "Event" order by xid desc limit 1), (select "prunedXid" from "Journal"))::text`
