import type { Place, RootCursor, TopicCursor } from './cursor.ts'
import { GENESIS } from './event.ts'
import type { Feed } from './feed.ts'
import type { Reader, Reason } from './follow.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'

/** How far a reader has caught up: it has received everything in this snapshot and, of a root, up to this version. */
export interface Reached {
  readonly seen: Snapshot
  readonly version: number
}

/**
 * Sends a reader all changes of a root behind a cursor, page by page. Returns how far that is, or why the present must
 * be sent instead; undefined once `isOver`.
 */
export async function rootChanges(
  feed: Feed,
  cursor: RootCursor,
  reader: Reader,
  isOver: () => boolean,
): Promise<Reached | Reason | undefined> {
  for (let after = cursor.version; ; ) {
    await reader.ready?.()
    if (isOver()) return undefined
    const { items, events, version, seen } = await feed.sinceVersion(after)
    if (isOver()) return undefined
    if ((version ?? -1) < after) return 'HISTORY_REPLACED' // or the root is gone, which reading the present will show
    if (events[0] && (events[0].version !== after + 1 || events[0].kind === GENESIS)) return 'CURSOR_EXPIRED'
    const gap = events.findIndex(({ version, kind }, i) => version !== after + 1 + i || kind === GENESIS)
    for (const item of gap < 0 ? items : items.slice(0, gap)) {
      reader.hear(item, false)
      if (isOver()) return undefined
      after = item.version
    }
    if (gap < 0 && events.length < feed.page) return { seen: parseSnapshot(seen)!, version: after }
  }
}

/**
 * Sends a reader all changes of a topic behind a cursor, page by page: first the rest of the cursor's own window, then
 * what is new since. Returns how far that is, or why the present must be sent instead; undefined once `isOver`.
 */
export async function topicChanges(
  feed: Feed,
  cursor: TopicCursor,
  reader: Reader,
  isOver: () => boolean,
): Promise<Reached | Reason | undefined> {
  let { from, to, place }: { from: string; to: string | undefined; place: Place | null } = cursor
  const { xmin } = parseSnapshot(from)!
  if (!place || from === to) [from, to, place] = [cursor.to, undefined, null]
  for (;;) {
    await reader.ready?.()
    if (isOver()) return undefined
    const { items, events, now, seen, pruned } = await feed.sinceSnapshot({ from, to }, place)
    if (isOver()) return undefined
    if (pruned !== null && pruned >= xmin) return 'CURSOR_EXPIRED'
    if (endOf(now) < endOf(cursor.to)) return 'HISTORY_REPLACED' // the cursor is from a future that never was
    for (const item of items) {
      reader.hear(item, false)
      if (isOver()) return undefined
    }
    if (events.length === feed.page) {
      const { rootType, rootId, version } = events.at(-1)!
      place = [rootType, rootId, version]
      to ??= seen
    } else if (to === undefined || to === seen) return { seen: parseSnapshot(to ?? seen)!, version: 0 }
    else [from, to, place] = [to, undefined, null]
  }
}

/** The xmax of a snapshot: the first transaction that had not begun. */
const endOf = (snapshot: string) => parseSnapshot(snapshot)!.xmax
