import type { Db, Sql } from '../database/client.ts'
import type { Cursor } from './cursor.ts'
import { Feed } from './feed.ts'
import type { JournalEvent } from './event.ts'
import { rootChannel } from './listeners.ts'
import type { Newest } from './newest.ts'
import type { Tail } from './tail.ts'

/** One root. */
export interface RootSubject {
  readonly rootType: string
  readonly rootId: string
}
/** The roots of one type that share a topic. */
export interface TopicSubject {
  readonly topic: string
  readonly rootType: string
}
/** What can be followed. */
export type Subject = RootSubject | TopicSubject

/** What is followed, and how its present state is read. */
export interface Source<Present> {
  readonly subject: Subject
  /** The query for the present: one column of JSON named `row`. It runs in one statement with its snapshot. */
  readonly read: Sql
  /** Turns the rows of `read` into the present, of a root with its version; undefined: there is nothing to follow. */
  load(rows: never): (Present & { readonly version: number }) | undefined
  /** The error for followers if there is nothing to follow, or no longer. */
  missing(): Error
}

/** Why a stream sends the present: at its beginning, or instead of changes that it cannot send. */
export type Reason = 'INITIAL' | 'CURSOR_EXPIRED' | 'HISTORY_REPLACED'

/** What a follower receives, in order. All followers of a feed receive the same object. */
export type Item<Present = object> = SnapshotItem<Present> | ChangeItem
/** The present. */
export interface SnapshotItem<Present = object> {
  readonly is: 'snapshot'
  readonly reason: Reason
  /** Where to resume: pass it to `follow` to receive only later changes. */
  readonly cursor: string
  readonly version: number
  readonly present: Present
}
/** One committed event. */
export interface ChangeItem {
  readonly is: 'change'
  /** Where to resume: pass it to `follow` to receive only later changes. */
  readonly cursor: string
  readonly version: number
  readonly event: JournalEvent
}

/** The receiver of a follower's items. */
export interface Reader {
  /**
   * Receives each item once, in order. An item that is not `isLive` was read for this reader, after it was `ready`. An
   * error that it throws goes to `fail`.
   */
  hear(item: Item, isLive: boolean): void
  /** Following has failed with this error; no item follows. */
  fail(error: unknown): void
  /** Is called before each page of missed changes; resolves when the reader can take it. */
  ready?(): Promise<void>
}

/** What `following` needs, and its limits. */
export interface FollowOptions {
  readonly db: Db
  readonly tail: Tail
  /** Is told of each version that is sent. */
  readonly newest: Newest
  /** The most events in a page of missed changes. */
  readonly page?: number
  /** The most live events that are kept for a follower that still catches up. Beyond that, they are read again. */
  readonly most?: number
}

/**
 * Follows a source: the changes after the cursor or, without one, the present, then each change as it is committed.
 * Returns a function that stops it; after that the reader is not called any more.
 */
export type Follow = (source: Source<object>, after: Cursor | undefined, reader: Reader) => () => void

/**
 * The only way out of the journal. Each follower receives what was committed after its cursor, then what is committed
 * from now on: each event once and in order. `feeds` is the number of roots and topics that are followed.
 */
export function following({ db, tail, newest, page = 2_000, most = 1_000 }: FollowOptions): {
  follow: Follow
  readonly feeds: number
} {
  const feeds = new Map<string, Feed>()
  return {
    follow(source, after, reader) {
      const { subject } = source
      const channel = 'topic' in subject ? subject.topic : rootChannel(subject.rootType, subject.rootId)
      let feed = feeds.get(channel)
      if (!feed) {
        feed = new Feed({ db, tail, newest, page, most }, source, channel, () => feeds.delete(channel))
        feeds.set(channel, feed)
      }
      return feed.join(after, reader)
    },
    get feeds() {
      return feeds.size
    },
  }
}
