import { type Db, join, raw, sql, type Sql } from '../database/client.ts'
import { type Cursor, type Place, type RootCursor, rootCursor, type TopicCursor, topicCursor } from './cursor.ts'
import { columns, type EventRow, eventOf, GENESIS, type JournalEvent, NEWEST, ORDER } from './event.ts'
import { isLater, lasting, parseSnapshot, sees, type Snapshot } from './snapshot.ts'
import { type Listener, rootChannel, type Tail, type Window } from './tail.ts'

/** What can be followed: one root, or a feed over many. */
export type Subject =
  | { readonly rootType: string; readonly rootId: string }
  | { readonly topic: string; readonly rootType: string }

/** What is followed, and how its present is read. */
export interface Source<Present> {
  readonly subject: Subject
  /**
   * The query whose rows, one column of JSON named `row`, are the present; read in one statement with the snapshot that
   * it is seen in.
   */
  readonly read: Sql
  /** What `read` returned; undefined: there is nothing to follow. Of a root, with its version. */
  load(rows: never): (Present & { readonly version: number }) | undefined
  /** What is thrown if there is nothing to follow, or no longer. */
  missing(): Error
}

/** Why a stream begins with the present, or begins anew. */
export type Why = 'FIRST' | 'RESUMED_TOO_LATE' | 'OTHER_EPOCH'

/** What a follower is told, in order. An item is the same object for all who are told it. */
export type Item<Present = object> = SnapshotItem<Present> | ChangeItem
export interface SnapshotItem<Present = object> {
  readonly is: 'snapshot'
  readonly why: Why
  readonly cursor: string
  readonly version: number
  readonly present: Present
}
export interface ChangeItem {
  readonly is: 'change'
  readonly cursor: string
  readonly version: number
  readonly event: JournalEvent
}

/** Who follows. */
export interface Reader {
  /**
   * Each item once, in order. Those that are not `isLive` were read for this reader, who was asked before whether it is
   * `ready`.
   */
  hear(item: Item, isLive: boolean): void
  /** It was not possible any more; nothing more is told. */
  fail(error: unknown): void
  /** Before each page of what was missed: resolves when the reader can take it. */
  ready?(): Promise<void>
}

export interface FollowOptions {
  readonly db: Db
  readonly tail: Tail
  /** The most events of a page of what was missed. */
  readonly page?: number
  /** How many live events are kept for one who is still reading what they missed; beyond that they are read again. */
  readonly most?: number
}

/** Follows a source from behind a cursor, or from the present. Answers how to stop; then nothing more is told. */
export type Follow = (source: Source<object>, after: Cursor | undefined, reader: Reader) => () => void

/**
 * The only way out: what was committed after a cursor, then what is committed from now on, each once and in order.
 * Answers how to follow.
 */
export function following({ db, tail, page = 2_000, most = 1_000 }: FollowOptions): {
  follow: Follow
  readonly feeds: number
} {
  const feeds = new Map<string, Feed>()
  return {
    follow(source, after, reader) {
      const channel = channelOf(source.subject)
      let feed = feeds.get(channel)
      if (!feed) feeds.set(channel, (feed = new Feed({ db, tail, page, most }, source, () => feeds.delete(channel))))
      return feed.join(after, reader)
    },
    get feeds() {
      return feeds.size
    },
  }
}

/** A cursor as clients keep it. */
export const textOf = (cursor: Cursor) => ('topic' in cursor ? topicCursor(cursor) : rootCursor(cursor))
const channelOf = (subject: Subject) =>
  'topic' in subject ? subject.topic : rootChannel(subject.rootType, subject.rootId)

/** A page of what a follower missed. */
interface Page {
  /** The snapshot as it was, whether or not all of it lasts through a crash. */
  readonly now: string
  /** Seen at the time of reading; the next page of a feed goes on within it. */
  readonly seen: string
  readonly events: readonly JournalEvent[]
  /** Of a root: its version then. */
  readonly version: number | null
  /** Of a feed: the newest transaction of which something was pruned. */
  readonly pruned: bigint | null
}

/**
 * One root or topic, for all in this process who follow it: its events become items once, and its present and what was
 * missed are read once for all who ask at the same time.
 */
class Feed implements Listener {
  readonly #followers = new Set<Follower>()
  readonly #reads = new Map<string, { now: Promise<unknown>; next?: Promise<unknown> }>()
  readonly #since = new WeakMap<ChangeItem, Map<string, ChangeItem>>()
  readonly channel: string
  readonly db: Db
  readonly tail: Tail
  readonly source: Source<object>
  readonly page: number
  readonly most: number
  readonly #onEmpty: () => void
  #attached: Promise<void> | undefined

  constructor({ db, tail, page, most }: Required<FollowOptions>, source: Source<object>, onEmpty: () => void) {
    this.db = db
    this.tail = tail
    this.page = page
    this.most = most
    this.source = source
    this.channel = channelOf(source.subject)
    this.#onEmpty = onEmpty
  }

  join(after: Cursor | undefined, reader: Reader): () => void {
    const follower = new Follower(this, reader)
    this.#followers.add(follower)
    void follower.begin(after, 'FIRST')
    return () => this.leave(follower)
  }

  leave(follower: Follower): void {
    follower.stopped = true
    if (!this.#followers.delete(follower) || this.#followers.size) return
    this.tail.detach(this.channel, this)
    this.#attached = undefined
    this.#onEmpty()
  }

  /** Resolves when each event that is committed from now on will be heard. */
  attached(): Promise<void> {
    if (this.#attached) return this.#attached
    const mine: Promise<void> = this.tail.attach(this.channel, this).catch((error) => {
      if (this.#attached === mine) {
        this.tail.detach(this.channel, this)
        this.#attached = undefined
      }
      throw error
    })
    this.#attached = mine
    return mine
  }

  hear(event: JournalEvent, window: Window): void {
    const { subject } = this.source
    // a genesis is no change, but stands for those before
    if (event.rootType !== subject.rootType || event.kind === GENESIS) return
    let item: ChangeItem | undefined
    for (const follower of this.#followers) {
      try {
        follower.live((item ??= this.item(event, window)), window)
      } catch (error) {
        follower.fail(error) // and nobody else
      }
    }
  }

  reset(): void {
    // what is committed until the tail has begun anew, nobody hears: only then may the present be read
    this.#attached = undefined
    for (const follower of this.#followers) void follower.begin(undefined, 'OTHER_EPOCH')
  }

  /** A cursor behind a version of the root, or behind all that a snapshot sees. */
  behind(version: number, seen: string): Cursor {
    const { subject } = this.source
    const epoch = this.tail.currentEpoch
    return 'topic' in subject
      ? { epoch, topic: subject.topic, from: seen, to: seen, place: null }
      : { epoch, ...subject, version }
  }

  item(event: JournalEvent, { from, to }: Window): ChangeItem {
    const { subject } = this.source
    const { rootType, rootId, version } = event
    const epoch = this.tail.currentEpoch
    const place = [rootType, rootId, version] as const
    const cursor = textOf(
      'topic' in subject ? { epoch, topic: subject.topic, from, to, place } : { epoch, rootType, rootId, version },
    )
    return { is: 'change', cursor, version, event }
  }

  /**
   * An item for those who have been told all that a snapshot sees which was taken within its window; one for all of
   * them.
   */
  since({ text }: Snapshot, item: ChangeItem, { to }: Window): ChangeItem {
    let items = this.#since.get(item)
    if (!items) this.#since.set(item, (items = new Map()))
    if (!items.has(text)) items.set(text, this.item(item.event, { from: text, to }))
    return items.get(text)!
  }

  /** The present, and what it is seen in. */
  present(why: Why): Promise<{ item: SnapshotItem; seen: Snapshot }> {
    return this.#together(`present ${why}`, async () => {
      const { source } = this
      const [row] = await this.db.$queryRaw<{ now: string; newest: string | null; rows: string | null }[]>(
        sql`select pg_current_snapshot()::text as now, ${raw(NEWEST)} as newest, (select json_agg(s.row) from (${source.read}) s)::text as rows`,
      )
      const loaded = source.load(JSON.parse(row!.rows ?? '[]') as never)
      if (!loaded) throw source.missing()
      const seen = lasting(row!.now, row!.newest)
      const cursor = textOf(this.behind(loaded.version, seen))
      return {
        item: { is: 'snapshot', why, cursor, version: loaded.version, present: loaded },
        seen: parseSnapshot(seen)!,
      }
    })
  }

  /** What came behind a version of the root. */
  sinceVersion(after: number): Promise<Page & { items: readonly ChangeItem[] }> {
    const { subject } = this.source
    const { rootType, rootId } = subject as { rootType: string; rootId: string }
    const place = sql`e."rootType" = ${rootType} and e."rootId" = ${rootId}`
    return this.#page(
      `version ${after}`,
      sql`select ${columns} as event from "Event" e where ${place} and e.version > ${after}::int order by e.version limit ${this.page}::int`,
      sql`(select max(e.version) from "Event" e where ${place})`,
    )
  }

  /** What `from` did not see of the topic and `to` does (or now does, if that is undefined), behind a place. */
  sinceSnapshot(
    from: string,
    to: string | undefined,
    place: Place | null,
  ): Promise<Page & { items: readonly ChangeItem[] }> {
    const { topic, rootType } = this.source.subject as { topic: string; rootType: string }
    const of = [sql`e.topic = ${topic} and e."rootType" = ${rootType}`]
    if (to !== undefined) of.push(sql`pg_visible_in_snapshot(e.xid, ${to}::text::pg_snapshot)`)
    if (place) of.push(sql`(${raw(ORDER)}) > (${place[0]}::text, ${place[1]}::text, ${place[2]}::int)`)
    return this.#page(
      `since ${from} ${to} ${JSON.stringify(place)}`,
      sql`select ${columns} as event from (
          select e.* from "Event" e where e.xid >= pg_snapshot_xmax(${from}::text::pg_snapshot) and e.topic = ${topic}
          union all
          select e.* from pg_snapshot_xip(${from}::text::pg_snapshot) as x (xid) join "Event" e on e.xid = x.xid
        ) e where ${join(of, ' and ')} order by ${raw(ORDER)} limit ${this.page}::int`,
      sql`null::int`,
      { from, to },
    )
  }

  #page(name: string, events: Sql, version: Sql, window?: { from: string; to: string | undefined }) {
    return this.#together(name, async () => {
      const [row] = await this.db.$queryRaw<
        { now: string; newest: string | null; events: string | null; version: number | null; pruned: string | null }[]
      >(
        sql`select pg_current_snapshot()::text as now, ${raw(NEWEST)} as newest, (select json_agg(event)::text from (${events}) e) as events, ${version} as version, (select "prunedXid"::text from "Journal") as pruned`,
      )
      const { now, newest, events: found, pruned } = row!
      const seen = lasting(now, newest)
      const read = (JSON.parse(found ?? '[]') as EventRow[]).map(eventOf)
      const items = read
        .filter(({ kind }) => kind !== GENESIS)
        .map((event) => this.item(event, { from: window?.from ?? seen, to: window?.to ?? seen }))
      return { now, seen, events: read, items, version: row!.version, pruned: pruned === null ? null : BigInt(pruned) }
    })
  }

  /**
   * Whoever asks while the same is being read shares the next reading: the one under way may be older than when they
   * attached.
   */
  #together<T>(name: string, read: () => Promise<T>): Promise<T> {
    const begun = this.#reads.get(name)
    if (begun) return (begun.next ??= begun.now.then(noop, noop).then(() => this.#begin(name, read))) as Promise<T>
    return this.#begin(name, read)
  }

  #begin<T>(name: string, read: () => Promise<T>): Promise<T> {
    const now = read()
    const entry = { now }
    this.#reads.set(name, entry)
    const over = () => {
      if (this.#reads.get(name) === entry && !('next' in entry)) this.#reads.delete(name)
    }
    now.then(over, over)
    return now
  }
}

const noop = () => {}

/** One who follows: what they missed first, then what is live, each once. */
class Follower {
  stopped = false
  /** Counts the beginnings: one that was overtaken by another stops. */
  #turn = 0
  #isLive = false
  /** What came while it was still being read what had been missed. */
  #kept: (readonly [ChangeItem, Window])[] = []
  #overrun = false
  /** What has been told is all that this sees, and the live items since; undefined once all that is live is newer. */
  #seen: Snapshot | undefined
  /** Of a root: the version that was told last. */
  #version = 0

  readonly feed: Feed
  readonly reader: Reader

  constructor(feed: Feed, reader: Reader) {
    this.feed = feed
    this.reader = reader
  }

  async begin(after: Cursor | undefined, why: Why): Promise<void> {
    const turn = ++this.#turn
    const over = () => this.stopped || turn !== this.#turn
    this.#isLive = false
    this.#kept = []
    try {
      await this.feed.attached()
      const epoch = await this.feed.tail.epoch()
      const isOther = after !== undefined && after.epoch !== epoch
      let from = isOther ? undefined : after
      let late: Why | undefined = isOther ? 'OTHER_EPOCH' : why
      do {
        this.#overrun = false
        if (from) {
          const reached = 'topic' in from ? await this.#missedOfTopic(from, over) : await this.#missedOfRoot(from, over)
          if (typeof reached !== 'string') [from, late] = [reached, undefined]
          else late = reached
        }
        if (over()) return
        if (late) {
          await this.reader.ready?.()
          if (over()) return
          const { item, seen } = await this.feed.present(late)
          if (over()) return
          this.#seen = seen
          this.#version = item.version
          this.reader.hear(item, false)
          from = this.feed.behind(item.version, seen.text)
        }
        await this.reader.ready?.()
        if (over()) return
      } while (this.#overrun)
      this.#isLive = true
      for (const [item, window] of this.#kept.splice(0)) this.live(item, window)
    } catch (error) {
      if (!over()) this.fail(error)
    }
  }

  fail(error: unknown): void {
    this.feed.leave(this)
    this.reader.fail(error)
  }

  live(item: ChangeItem, window: Window): void {
    if (this.stopped) return
    if (!this.#isLive) {
      if (this.#kept.length < this.feed.most) this.#kept.push([item, window])
      else {
        this.#overrun = true
        this.#kept = []
      }
      return
    }
    if (this.#seen && sees(this.#seen, item.event.xid)) return
    // Of a window that had begun before, some was told already: who goes on from here must not be told that again.
    if (this.#seen && isLater(this.#seen, parseSnapshot(window.from)!)) {
      if ('topic' in this.feed.source.subject) item = this.feed.since(this.#seen, item, window) // a root's cursor knows no window
    } else this.#seen = undefined
    if (!('topic' in this.feed.source.subject)) {
      // not the history that was told: the root was deleted and made again
      if (item.version !== this.#version + 1) return void this.begin(undefined, 'OTHER_EPOCH')
      this.#version = item.version
    }
    this.reader.hear(item, true)
  }

  /** All behind a version; or why it can't be told. */
  async #missedOfRoot(place: RootCursor, over: () => boolean): Promise<RootCursor | Why> {
    for (let after = place.version; ; ) {
      await this.reader.ready?.()
      if (over()) return place
      const { items, events, version, seen } = await this.feed.sinceVersion(after)
      if (over()) return place
      if ((version ?? -1) < after) return 'OTHER_EPOCH' // or it is gone, as its present will tell
      if (events[0] && (events[0].version !== after + 1 || events[0].kind === GENESIS)) return 'RESUMED_TOO_LATE'
      const gap = events.findIndex(({ version, kind }, i) => version !== after + 1 + i || kind === GENESIS)
      for (const item of gap < 0 ? items : items.slice(0, gap)) {
        this.reader.hear(item, false)
        if (over()) return place
        after = item.version
      }
      if (gap >= 0 || events.length === this.feed.page) continue
      this.#seen = parseSnapshot(seen)!
      this.#version = after
      return { ...place, version: after }
    }
  }

  /**
   * All of a topic behind a cursor: first what is left between its two snapshots, then what is new since; or why it
   * can't be told.
   */
  async #missedOfTopic(cursor: TopicCursor, over: () => boolean): Promise<TopicCursor | Why> {
    let { from, to, place }: { from: string; to: string | undefined; place: Place | null } = cursor
    const { xmin } = parseSnapshot(from)!
    if (!place || from === to) [from, to, place] = [cursor.to, undefined, null]
    for (;;) {
      await this.reader.ready?.()
      if (over()) return cursor
      const { items, events, now, seen, pruned } = await this.feed.sinceSnapshot(from, to, place)
      if (over()) return cursor
      if (pruned !== null && pruned >= xmin) return 'RESUMED_TOO_LATE'
      if (BigInt(now.split(':', 2)[1]!) < BigInt(cursor.to.split(':', 2)[1]!)) return 'OTHER_EPOCH' // from the future
      const upTo = to
      for (const item of items) {
        this.reader.hear(item, false)
        if (over()) return cursor
      }
      if (events.length === this.feed.page) {
        const { rootType, rootId, version } = events.at(-1)!
        place = [rootType, rootId, version]
        to = upTo ?? seen
        continue
      }
      if (upTo === undefined || upTo === seen) {
        this.#seen = parseSnapshot(upTo ?? seen)!
        return { ...cursor, from: this.#seen.text, to: this.#seen.text, place: null }
      }
      ;[from, to, place] = [upTo, undefined, null]
    }
  }
}
