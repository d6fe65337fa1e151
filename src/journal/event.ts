import { instant } from '../commit/aggregate.ts'
import { raw } from '../database/client.ts'

/** What was committed: one change of one root. Its place in the journal is (rootType, rootId, version). */
export interface JournalEvent {
  readonly rootType: string
  readonly rootId: string
  readonly version: number
  /** The feed over many roots that it also belongs to. */
  readonly topic: string
  readonly kind: string
  readonly data: object
  /** What the root then looked like. */
  readonly view: object
  /** The id of the user who asked for it, or `system`. */
  readonly actor: string
  /** ISO 8601 in UTC. */
  readonly at: string
  /** The transaction that wrote it. */
  readonly xid: bigint
}

/** The kind of an event that stands for all that came before: its `data` is the state that those amount to. */
export const GENESIS = 'genesis'

/** An event `e` as one JSON array, which `eventOf` reads. */
export const COLUMNS = `json_build_array(e."rootType", e."rootId", e.version, e.topic, e.kind, e.data, e.view, e.actor, e.at, e.xid::text)`
export const columns = raw(COLUMNS)

/** The order of events: that of each root's versions. */
export const ORDER = `e."rootType", e."rootId", e.version`

export type EventRow = readonly [string, string, number, string, string, object, object, string, string, string]

/** An event as `COLUMNS` wrote it. */
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

/** The newest transaction that an event was seen of, or was pruned of. */
export const NEWEST = `greatest((select xid from "Event" order by xid desc limit 1), (select "prunedXid" from "Journal"))::text`
