import type { Db } from '../database/client.ts'
import { type Cursor, cursorText, type Place } from './cursor.ts'
import { GENESIS, type JournalEvent } from './event.ts'
import type {
  ChangeItem,
  FollowOptions,
  Reader,
  RootSubject,
  SnapshotItem,
  Source,
  TopicSubject,
  Reason,
} from './follow.ts'
import { Follower } from './follower.ts'
import type { Listener, Window } from './listeners.ts'
import { type OpenWindow, type Page, readPresent, readRootPage, readTopicPage } from './page.ts'
import { SharedReads } from './sharedReads.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'
import type { Newest } from './newest.ts'
import type { Tail } from './tail.ts'

/** A page with the items that all its readers share. */
type ItemPage = Page & { readonly items: readonly ChangeItem[] }

/**
 * One root or topic, for all its followers in this process. An event becomes an item once, and the present and what was
 * missed are read once for all who ask at the same time.
 */
export class Feed implements Listener {
  readonly tail: Tail
  /** The most events in a page of missed changes. */
  readonly page: number
  /** The most live events that are kept for a follower that still catches up. */
  readonly most: number
  /** Set if this is the feed of one root. */
  readonly root: RootSubject | undefined
  /** Set if this is the feed of a topic. */
  readonly topic: TopicSubject | undefined
  readonly #db: Db
  readonly #newest: Newest
  readonly #source: Source<object>
  readonly #channel: string
  readonly #onEmpty: () => void
  readonly #followers = new Set<Follower>()
  readonly #presents = new SharedReads<{ item: SnapshotItem; seen: Snapshot }>()
  readonly #pages = new SharedReads<ItemPage>()
  readonly #since = new WeakMap<ChangeItem, Map<string, ChangeItem>>()
  #attached: Promise<void> | undefined

  constructor(options: Required<FollowOptions>, source: Source<object>, channel: string, onEmpty: () => void) {
    this.tail = options.tail
    this.page = options.page
    this.most = options.most
    this.#db = options.db
    this.#newest = options.newest
    if ('topic' in source.subject) this.topic = source.subject
    else this.root = source.subject
    this.#source = source
    this.#channel = channel
    this.#onEmpty = onEmpty
  }

  /** Adds a follower. Returns a function that stops it. */
  join(after: Cursor | undefined, reader: Reader): () => void {
    const follower = new Follower(this, reader)
    this.#followers.add(follower)
    void follower.begin(after, 'INITIAL')
    return () => this.leave(follower)
  }

  /** Stops a follower. After the last one, the feed ends. */
  leave(follower: Follower): void {
    follower.stop()
    if (!this.#followers.delete(follower) || this.#followers.size) return
    this.#detach()
    this.#onEmpty()
  }

  /** Resolves when each event that is committed from now on will be heard; rejects if the journal cannot be read. */
  attached(): Promise<void> {
    if (this.#attached) return this.#attached
    const mine: Promise<void> = this.tail.attach(this.#channel, this).catch((error) => {
      if (this.#attached === mine) this.#detach()
      throw error
    })
    this.#attached = mine
    return mine
  }

  #detach(): void {
    this.tail.detach(this.#channel, this)
    this.#attached = undefined
  }

  hear(event: JournalEvent, window: Window): void {
    // a genesis event is no change: it replaces the events before it
    if (event.rootType !== this.#source.subject.rootType || event.kind === GENESIS) return
    let item: ChangeItem | undefined
    for (const follower of this.#followers) {
      try {
        follower.live((item ??= this.#item(event, window)), window)
      } catch (error) {
        follower.fail(error) // and no other follower
      }
    }
  }

  reset(): void {
    // Until the tail has begun anew, nobody hears what is committed. The present must be read after that.
    this.#attached = undefined
    for (const follower of this.#followers) void follower.begin(undefined, 'HISTORY_REPLACED')
  }

  /** The cursor behind a version of the root, or behind everything in a snapshot. */
  behind(version: number, seen: string): Cursor {
    const epoch = this.tail.currentEpoch
    if (this.root) this.#newest.note(this.root.rootType, this.root.rootId, version)
    return this.topic
      ? { epoch, topic: this.topic.topic, from: seen, to: seen, place: null }
      : { epoch, ...this.root!, version }
  }

  /**
   * The same change for followers that have received everything in a snapshot taken within the window: resuming there
   * must not repeat it. One item for all of them. A root's cursor has no window, and stays the same.
   */
  since({ text }: Snapshot, item: ChangeItem, { to }: Window): ChangeItem {
    if (this.root) return item
    let items = this.#since.get(item)
    if (!items) this.#since.set(item, (items = new Map()))
    let since = items.get(text)
    if (!since) items.set(text, (since = this.#item(item.event, { from: text, to })))
    return since
  }

  /** Reads the present, and the snapshot that it was read in. Throws the source's `missing()`. */
  present(reason: Reason): Promise<{ item: SnapshotItem; seen: Snapshot }> {
    return this.#presents.read(reason, async () => {
      const { present, seen } = await readPresent(this.#db, this.#source)
      const { version } = present
      return {
        item: { is: 'snapshot', reason, cursor: cursorText(this.behind(version, seen)), version, present },
        seen: parseSnapshot(seen)!,
      }
    })
  }

  /** Reads what came behind a version of the root. */
  sinceVersion(after: number): Promise<ItemPage> {
    return this.#pages.read(`${after}`, async () =>
      this.#withItems(await readRootPage(this.#db, this.root!, after, this.page)),
    )
  }

  /** Reads what is new of the topic in a window, behind a place in it. */
  sinceSnapshot(window: OpenWindow, place: Place | null): Promise<ItemPage> {
    return this.#pages.read(`${window.from} ${window.to} ${JSON.stringify(place)}`, async () =>
      this.#withItems(await readTopicPage(this.#db, this.topic!, window, place, this.page), window),
    )
  }

  #withItems(page: Page, window?: OpenWindow): ItemPage {
    const { from = page.seen, to = page.seen } = window ?? {}
    const changes = page.events.filter(({ kind }) => kind !== GENESIS)
    return { ...page, items: changes.map((event) => this.#item(event, { from, to })) }
  }

  #item(event: JournalEvent, { from, to }: Window): ChangeItem {
    const { rootType, rootId, version } = event
    this.#newest.note(rootType, rootId, version)
    const epoch = this.tail.currentEpoch
    const place = [rootType, rootId, version] as const
    const cursor = cursorText(
      this.topic ? { epoch, topic: this.topic.topic, from, to, place } : { epoch, rootType, rootId, version },
    )
    return { is: 'change', cursor, version, event }
  }
}
