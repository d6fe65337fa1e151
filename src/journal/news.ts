import { COLUMNS, type EventRow, eventOf, type JournalEvent, NEWEST, ORDER } from './event.ts'

// The statements of the tail, each prepared once per connection.

const eventsSince = (condition: string) => `(
  select json_agg(${COLUMNS} order by ${ORDER})::text from (
    select e.* from (
      select * from "Event" where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
      union all
      select e.* from pg_snapshot_xip($1::text::pg_snapshot) as x (xid) join "Event" e on e.xid = x.xid
    ) e ${condition} order by ${ORDER} limit $2::int) e)`

const NOW_COLUMNS = `pg_current_snapshot()::text as snapshot,
  (select epoch from "Journal") as name, ${NEWEST} as newest`

/** A row of `NOW` and of `NEWS`. */
export interface NowRow {
  /** The snapshot that all of it was read in. */
  readonly snapshot: string
  /** The name of the epoch: what `renewEpoch` changes. */
  readonly name: string
  /** The newest transaction that is in the journal. */
  readonly newest: string | null
  /** What `NEWS` found: JSON for `eventsOf`. */
  readonly events?: string | null
}

/** The present snapshot. */
export const NOW = { name: 'now', text: `select ${NOW_COLUMNS}` }

/** The present snapshot, and the first `$2` events that the snapshot `$1` does not see. */
export const NEWS = { name: 'news', text: `select ${NOW_COLUMNS}, ${eventsSince('')} as events` }

/** The next `$2` of these: those that the snapshot `$3` sees, behind the place `$4`, `$5`, `$6`. */
export const MORE = {
  name: 'more',
  text: `select ${eventsSince(`where pg_visible_in_snapshot(e.xid, $3::text::pg_snapshot)
    and (${ORDER}) > ($4::text, $5::text, $6::int)`)} as events`,
}

/** The name of the epoch. */
export const NAME = { name: 'name', text: 'select epoch as name from "Journal"' }

/** Which of the channels `$3` have events that the snapshot `$1` does not see and `$2` does. */
export const CHANGED = {
  name: 'changed',
  text: `select distinct e."rootType" || ' ' || e."rootId" as channel from "Event" e
    where not pg_visible_in_snapshot(e.xid, $1::text::pg_snapshot)
      and pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot)
      and e.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      and e."rootType" || ' ' || e."rootId" = any($3::text[])`,
}

/** The events that `NEWS` or `MORE` found. */
export function eventsOf(json: string | null): JournalEvent[] {
  const rows: EventRow[] = JSON.parse(json ?? '[]')
  return rows.map(eventOf)
}
