import type { Db } from '../database/client.ts'
import type { Shape, Verb } from './aggregate.ts'
import { type AttemptContext, type AttemptLimits, Attempts } from './attempt.ts'
import { type QueueLimits, Queues } from './queue.ts'
import { type Asked, type Committed, OpenRequests } from './request.ts'
import { harmless, type Watcher } from './watcher.ts'

export type { Asked, Committed } from './request.ts'
export type { Watcher } from './watcher.ts'

/**
 * The way in: decides a request, commits it, and returns its answer. Throws a DomainError if nothing was changed for a
 * reason that the caller can act on, or OutcomeUnknown; any other error means that nothing was changed and it is our
 * fault.
 */
export type Commit = <S extends Shape, Input, Answer extends object>(
  verb: Verb<S, Input, Answer>,
  asked: Asked<Input>,
) => Promise<Committed<S['view'], Answer>>

export interface CommitOptions extends Partial<QueueLimits>, Partial<AttemptLimits> {
  /** Called after a commit that appended events, with the kind of root. Wakes followers and reactions. */
  readonly onCommit?: (rootType: string) => void
  readonly watch?: Watcher
}

const LIMITS: QueueLimits & AttemptLimits = {
  maxBatch: 128,
  minRoots: 12,
  maxInFlight: 2,
  maxLockWaits: 8,
  queueMs: 12_000,
  maxAttempts: 8,
  outageMs: 5_000,
  askMs: 15_000,
}

/**
 * The only place that opens a write transaction. Every commit is a batch: of one request if its kind of root is idle,
 * otherwise of all that arrived meanwhile. `drained` resolves when every request is settled.
 */
export function commits(db: Db, options: CommitOptions = {}): { commit: Commit; drained(): Promise<void> } {
  const limits = { ...LIMITS, ...given(options) }
  const watch = harmless(options.watch ?? {})
  const open = new OpenRequests(watch)
  const context: AttemptContext = { db, limits, open, watch, ...harmless({ onCommit: options.onCommit }) }
  const queues = new Queues(limits, open, (batch, lock, queue) => new Attempts(context, queue, batch, lock).run())

  const commit: Commit = (verb, asked) => {
    const root = verb.root(asked.input)
    return new Promise((resolve, reject) =>
      queues.add({ ...asked, verb, root, since: performance.now(), resolve, reject }),
    )
  }
  return { commit, drained: () => open.drained() }
}

/** Without what is undefined, which means the default. */
const given = (options: CommitOptions): CommitOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
