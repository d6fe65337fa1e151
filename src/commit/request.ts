import type { Actor, Shape, Verb } from './aggregate.ts'
import { DomainError, OutcomeUnknown } from './errors.ts'
import type { Watcher } from './watcher.ts'

/*
 * The states of a request:
 *
 *   commit() ──▶ waiting ──▶ in flight ──▶ settled
 *                   │          │    ▲         ▲
 *                   │          ▼    │         │
 *                   │     held, or in doubt ──┤
 *                   └─────────────────────────┘
 *
 * waiting: queued for its kind of root, in order of arrival. Settled as Busy or Unavailable, without an attempt, if a
 *   batch that it was queued behind ends that way.
 * in flight: in a batch, which is tried in one transaction after another. A root is in one batch at most.
 * held: queued again, because another session has locked the root. The next batch has only this root, and waits for the
 *   lock. Settled as Busy if that takes too long.
 * in doubt: the connection was lost at COMMIT, and the database could not say whether it was committed. Without a key,
 *   settled as OutcomeUnknown. With a key, tried again; if it is then given up, also OutcomeUnknown.
 * settled: resolved after COMMIT, or rejected.
 */

/** What is asked of a verb, by whom, and under which key. */
export interface Asked<Input> {
  readonly actor: Actor
  readonly input: Input
  /** A request with a key takes effect once, however often it is sent; its answer is stored and returned again. */
  readonly key?: string | undefined
  /** The version that the root must have; otherwise the request fails with VersionConflict. */
  readonly expectedVersion?: number | undefined
}

/** The answer to a request that was committed. */
export interface Committed<View, Answer> {
  /** The root as the request left it. */
  readonly view: View
  /** What the verb returns besides. */
  readonly answer: Answer
  /**
   * The same when the transaction was committed. It is newer where later requests of the batch changed the root, or
   * where the answer is a stored one. What clients keep by id is shown from here: a stored answer must not overwrite
   * newer data.
   */
  readonly now: { readonly view: View; readonly answer: Answer }
  /** The root's version in `view`. */
  readonly version: number
  /** Whether this request changed anything. */
  readonly changed: boolean
  /** The request was committed before, under the same key; this is its stored answer. */
  readonly replayed: boolean
}

/** A request, as a transaction sees it: without the means to settle it, which may happen only after COMMIT. */
export interface Request extends Asked<unknown> {
  readonly verb: Verb<Shape, unknown>
  readonly root: string
}

/** The result of a request, valid once its transaction is committed. */
export type Result = Committed<object, object> | { readonly error: unknown }

/** The result before the rest of its batch is decided. */
export type Decided = Omit<Committed<object, object>, 'now'> | { readonly error: unknown }

/** A request whose caller waits. */
export interface PendingRequest extends Request {
  /** When it arrived, by `performance.now()`. */
  readonly since: number
  /** An earlier transaction may have committed it, and the database could not say. */
  inDoubt?: boolean
  /** These two settle the caller's promise, and have the types of its executor's arguments. */
  resolve(committed: Committed<object, object> | PromiseLike<Committed<object, object>>): void
  reject(error: unknown): void
}

/** The requests of this process that are not settled. Settles them, and reports how. */
export class OpenRequests {
  readonly #watch: Watcher
  #count = 0
  #whenNone: (() => void)[] = []

  constructor(watch: Watcher) {
    this.#watch = watch
  }

  /** Counts a request that has arrived. */
  add() {
    this.#count++
  }

  settle(request: PendingRequest, result: Result) {
    if ('error' in result) return this.#reject(request, result.error)
    this.#watch.settled?.(request.verb.name, result.replayed ? 'replayed' : result.changed ? 'changed' : 'unchanged')
    this.#remove()
    request.resolve(result)
  }

  /** Rejects a request that is not tried again. Its error says that nothing was changed, unless that is in doubt. */
  giveUp(request: PendingRequest, error: unknown) {
    this.#reject(request, request.inDoubt ? new OutcomeUnknown() : error)
  }

  /** Resolves when every request is settled. */
  drained(): Promise<void> {
    return new Promise((resolve) => (this.#count ? this.#whenNone.push(resolve) : resolve()))
  }

  #reject(request: PendingRequest, error: unknown) {
    this.#watch.settled?.(request.verb.name, error instanceof DomainError ? error.code : 'FAILED')
    this.#remove()
    request.reject(error)
  }

  #remove() {
    if (--this.#count === 0) for (const resolve of this.#whenNone.splice(0)) resolve()
  }
}
