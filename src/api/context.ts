import DataLoader from 'dataloader'
import type { Commit } from '../commit/commit.ts'
import type { Db } from '../database/client.ts'
import type { Newest } from '../journal/newest.ts'
import type { Log } from '../operator/log.ts'
import { Answers } from './answers.ts'

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
  /** The newest versions that this process has committed or sent. */
  readonly newest: Newest
  readonly log: Log
}

/** What a resolver has at hand, made anew for each operation. */
export interface Context extends Surroundings {
  readonly viewer: Viewer | null
  readonly requestId: string
  /** Of a mutation. */
  readonly answers: Answers
  /** For whom it takes a turn where operations wait for each other: the viewer, or many who share one execution. */
  readonly turn: unknown
  /** Receives the results of a subscription. Without it, they are returned as an iterable. */
  readonly sink?: Sink | undefined
  /** Loads one of many: those that are asked for in the same tick are loaded together, each once an operation. */
  load<Key, Value>(many: Load<Key, Value>, key: Key): Promise<Value>
}

/** Receives the results for one subscriber. */
export interface Sink {
  /** One result, as JSON. */
  send(json: string): void
  /** The subscriber's session has ended. */
  signedOut?(): void
  /** How many bytes, or characters, wait to be sent. */
  readonly waiting: number
  /** Resolves when little waits to be sent, or the connection is closed. */
  drained(): Promise<void>
}

/** Loads many values at once, in the order of their keys. */
export type Load<Key, Value> = (keys: readonly Key[], context: Context) => Promise<readonly Value[]>

/** A new context for one operation. All its members are own properties, since Yoga copies those into an object. */
export function createContext(
  surroundings: Surroundings,
  viewer: Viewer | null,
  requestId: string,
  sink?: Sink,
  answers = new Answers(),
): Context {
  // by the function that loads; a map can't say that key and value types go with it, hence the casts
  const loaders = new Map<unknown, unknown>()

  const context: Context = {
    ...surroundings,
    viewer,
    requestId,
    answers,
    turn: viewer?.id ?? Symbol('shared'),
    sink,
    load<Key, Value>(many: Load<Key, Value>, key: Key) {
      let loader = loaders.get(many) as DataLoader<Key, Value, string> | undefined
      if (!loader) {
        loader = new DataLoader<Key, Value, string>((keys) => many(keys, context), {
          cacheKeyFn: (key) => JSON.stringify(key),
        })
        loaders.set(many, loader)
      }
      return loader.load(key)
    },
  }
  return context
}

/** A context for rendering the answer to the same operation again: what was loaded is loaded anew. */
export const contextAgain = ({ viewer, requestId, sink, answers, ...surroundings }: Context): Context =>
  createContext(surroundings, viewer, requestId, sink, answers)
