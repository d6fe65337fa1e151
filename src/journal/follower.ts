import { type Reached, rootChanges, topicChanges } from './catchUp.ts'
import type { Cursor } from './cursor.ts'
import type { Feed } from './feed.ts'
import type { ChangeItem, Reader, Reason } from './follow.ts'
import type { Window } from './listeners.ts'
import { isLater, parseSnapshot, sees, type Snapshot } from './snapshot.ts'

/**
 * One who follows a feed. Its reader receives what was missed first, then what is live, each event once.
 *
 *                    ┌── more live events than are kept ──┐
 *                    ▼                                    │
 *   attaching ──▶ catching up: missed pages, or ──────────┴──▶ live ──▶ stopped
 *       ▲         the present if they are no longer there      │
 *       └───── another epoch, or a gap in a root's versions ───┘
 *
 * Attached first, so that nothing is missed between reading and hearing; events that are heard meanwhile are kept. Any
 * state ends in `stopped` when the reader leaves, or throws, or the journal cannot be read.
 */
export class Follower {
  readonly #feed: Feed
  readonly #reader: Reader
  #stopped = false
  /** Counts the beginnings. One that was overtaken by the next does nothing more. */
  #turn = 0
  #isLive = false
  /** Events that were heard while catching up. */
  #kept: (readonly [ChangeItem, Window])[] = []
  /** There were too many to keep: they must be read. */
  #overrun = false
  /** The reader has received all that this snapshot sees. Undefined once everything live is newer. */
  #seen: Snapshot | undefined
  /** Of a root: the version that the reader received last. */
  #version = 0

  constructor(feed: Feed, reader: Reader) {
    this.#feed = feed
    this.#reader = reader
  }

  /** Begins anew: with the changes behind a cursor or, without one, with the present. */
  async begin(after: Cursor | undefined, reason: Reason): Promise<void> {
    const turn = ++this.#turn
    const isOver = () => this.#stopped || turn !== this.#turn
    this.#isLive = false
    this.#kept = []
    try {
      await this.#feed.attached()
      const epoch = await this.#feed.tail.epoch()
      const isOther = after !== undefined && after.epoch !== epoch
      let from = isOther ? undefined : after
      do {
        this.#overrun = false
        const reached = await this.#catchUp(from, isOther ? 'HISTORY_REPLACED' : reason, isOver)
        if (!reached) return
        this.#seen = reached.seen
        this.#version = reached.version
        from = this.#feed.behind(reached.version, reached.seen.text)
        await this.#reader.ready?.()
        if (isOver()) return
      } while (this.#overrun)
      this.#isLive = true
      for (const [item, window] of this.#kept.splice(0)) this.live(item, window)
    } catch (error) {
      if (!isOver()) this.fail(error)
    }
  }

  /** Ends it: the reader receives nothing more. */
  stop(): void {
    this.#stopped = true
  }

  /** Ends it with an error, which the reader receives. */
  fail(error: unknown): void {
    this.#feed.leave(this)
    this.#reader.fail(error)
  }

  /** Takes an event as it is committed. */
  live(item: ChangeItem, window: Window): void {
    if (this.#stopped) return
    if (!this.#isLive) return void this.#keep(item, window)
    let next = item
    if (this.#seen) {
      if (sees(this.#seen, item.event.xid)) return
      // The window began before the snapshot: some of it was read. A cursor must not lead back to that.
      if (isLater(this.#seen, parseSnapshot(window.from)!)) next = this.#feed.since(this.#seen, item, window)
      else this.#seen = undefined
    }
    if (this.#feed.root) {
      // another history than the one received: the root was deleted and made again
      if (item.version !== this.#version + 1) return void this.begin(undefined, 'HISTORY_REPLACED')
      this.#version = item.version
    }
    this.#reader.hear(next, true)
  }

  #keep(item: ChangeItem, window: Window): void {
    if (this.#kept.length < this.#feed.most) this.#kept.push([item, window])
    else {
      this.#overrun = true
      this.#kept = []
    }
  }

  /** Sends what was missed behind a cursor, or the present. Undefined: it was stopped, or has begun anew. */
  async #catchUp(from: Cursor | undefined, reason: Reason, isOver: () => boolean): Promise<Reached | undefined> {
    let reached: Reached | Reason | undefined = reason
    if (from)
      reached =
        'topic' in from
          ? await topicChanges(this.#feed, from, this.#reader, isOver)
          : await rootChanges(this.#feed, from, this.#reader, isOver)
    if (typeof reached !== 'string') return reached
    await this.#reader.ready?.()
    if (isOver()) return undefined
    const { item, seen } = await this.#feed.present(reached)
    if (isOver()) return undefined
    this.#reader.hear(item, false)
    return { seen, version: item.version }
  }
}
