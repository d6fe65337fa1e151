import DataLoader from 'dataloader'
import type { Commit } from '../commit/commit.ts'
import type { Db } from '../database/client.ts'
import type { Log } from '../operator/log.ts'

/** Who is looking, and until when. */
export interface Viewer {
  readonly id: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN'
  readonly sessionId: string
  readonly expiresAt: Date
}

/** What every operation of a process has at hand. */
export interface Surroundings {
  readonly db: Db
  readonly commit: Commit
  /** The cursor behind a version of a root: what comes after it is asked for by this. */
  readonly cursorOf: (rootType: string, rootId: string, version: number) => Promise<string>
  readonly log: Log
}

/** What a resolver has at hand, made anew for each operation. */
export interface Context extends Surroundings {
  readonly viewer: Viewer | null
  readonly requestId: string
  /** Where the results of a subscription go, if not back to whoever asked for it to be carried out. */
  readonly sink?: Sink | undefined
  /** One of many that are asked for in the same tick, and then loaded together. */
  load<Key, Value>(many: Load<Key, Value>, key: Key): Promise<Value>
}

/** Where what a subscriber is told goes. */
export interface Sink {
  /** One result, as JSON. */
  send(json: string): void
  /** The subscriber's session has ended. */
  signedOut?(): void
  /** How many bytes, or characters, are still on their way. */
  readonly waiting: number
  /** Resolves when little is on its way any more, or nobody is there to take it. */
  drained(): Promise<void>
}

/** What loads many at once, in the order of their keys. */
export type Load<Key, Value> = (keys: readonly Key[], context: Context) => Promise<readonly Value[]>

/** A context of one operation's own. Its members are its own too, since Yoga copies them into an object. */
export function createContext(
  surroundings: Surroundings,
  viewer: Viewer | null,
  requestId: string,
  sink?: Sink,
): Context {
  const loaders = new Map<unknown, DataLoader<unknown, unknown, string>>()

  const context: Context = {
    ...surroundings,
    viewer,
    requestId,
    sink,
    load<Key, Value>(many: Load<Key, Value>, key: Key) {
      let loader = loaders.get(many) as DataLoader<Key, Value, string> | undefined
      if (!loader) {
        loader = new DataLoader<Key, Value, string>((keys) => many(keys, context), {
          cacheKeyFn: (key) => JSON.stringify(key),
        })
        loaders.set(many, loader as never)
      }
      return loader.load(key)
    },
  }
  return context
}
