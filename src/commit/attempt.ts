import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../database/client.ts'
import { isDisconnection, isLockTimeout, isRace, isStatementTimeout, isTransient } from '../database/conflict.ts'
import { inTransaction } from '../database/transaction.ts'
import { type BatchResult, runBatch } from './batch.ts'
import { Busy, DomainError, OutcomeUnknown, Unavailable } from './errors.ts'
import type { LockMode } from './lockAndRead.ts'
import { outcomeOf } from './outcome.ts'
import type { Queue } from './queue.ts'
import type { OpenRequests, PendingRequest } from './request.ts'
import type { Watcher } from './watcher.ts'

/** The limits of the attempts at a batch. */
export interface AttemptLimits {
  /** The most transactions that are tried for one batch before it is split or given up. */
  readonly maxAttempts: number
  /** For how many milliseconds a transaction that can't reach the database is tried again. */
  readonly outageMs: number
  /** For how many milliseconds the database is asked for the outcome of a COMMIT whose connection was lost. */
  readonly askMs: number
}

/** What the attempts of a process share. */
export interface AttemptContext {
  readonly db: Db
  readonly limits: AttemptLimits
  readonly open: OpenRequests
  readonly watch: Watcher
  readonly onCommit?: ((rootType: string) => void) | undefined
}

/** The attempts at one batch, each in a transaction of its own, until its requests are settled. */
export class Attempts {
  readonly #context: AttemptContext
  readonly #queue: Queue
  readonly #lock: LockMode
  readonly #max: number
  readonly #begun = performance.now()
  #batch: readonly PendingRequest[]
  #attempt = 0

  /** `queue` is the one that the batch was taken from. */
  constructor(
    context: AttemptContext,
    queue: Queue,
    batch: readonly PendingRequest[],
    lock: LockMode,
    max = context.limits.maxAttempts,
  ) {
    this.#context = context
    this.#queue = queue
    this.#batch = batch
    this.#lock = lock
    this.#max = max
  }

  /** Settles every request but those whose root is held by another session, which it returns. Never rejects. */
  async run(): Promise<readonly PendingRequest[]> {
    for (;;) {
      this.#attempt++
      const { result, error } = await this.#transact()
      if (error === undefined) return this.#settle(result)
      if (result?.xid && isDisconnection(error)) {
        const outcome = await this.#askOutcome(result.xid, result)
        if (outcome === 'committed') return this.#settle(result)
        if (outcome === 'unknown') this.#doubt()
        if (!this.#batch.length) return []
      }
      if (this.#lock === 'skip' && isLockTimeout(error)) return this.#handBack()
      if (this.#mayRetry(error)) await this.#pause(error)
      else if (this.#batch.length > 1 && !isTimeout(error) && !isDisconnection(error)) return this.#split(error)
      else return this.#fail(error)
    }
  }

  /**
   * One transaction. With an error nothing was committed, except where the error is a disconnection and there is a
   * result as well: then the connection was lost at COMMIT.
   */
  async #transact() {
    const start = performance.now()
    let written: BatchResult<PendingRequest> | undefined
    try {
      const result = await inTransaction(this.#context.db, async (tx) => {
        written = await runBatch(tx, this.#batch, this.#lock)
        return written
      })
      this.#context.watch.batch?.(this.#batch.length, performance.now() - start)
      return { result, error: undefined }
    } catch (error) {
      return { result: written, error: error ?? new Error('A transaction failed without an error.') }
    }
  }

  #settle({ results, held, reread, event }: BatchResult<PendingRequest>): readonly PendingRequest[] {
    const { onCommit, watch, open } = this.#context
    if (event) onCommit?.(event.rootType)
    if (reread) watch.met?.('reread', { roots: reread })
    if (held.length) watch.met?.('lock-wait', { requests: held.length })
    for (const [request, result] of results) open.settle(request, result)
    return held
  }

  async #askOutcome(xid: string, { event }: BatchResult<PendingRequest>) {
    const { db, limits, watch } = this.#context
    const outcome = await outcomeOf(db, xid, event, limits.askMs)
    watch.met?.('outcome-asked', { status: outcome, verbs: verbsOf(this.#batch) })
    return outcome
  }

  /** Keeps the requests with a key: tried again, they get their stored answer if they had been committed. */
  #doubt() {
    for (const request of this.#batch) {
      if (request.key) request.inDoubt = true
      else this.#context.open.settle(request, { error: new OutcomeUnknown() })
    }
    this.#batch = this.#batch.filter(({ key }) => key)
  }

  /**
   * Another session holds a row below a root, or is inserting a root. We can't tell which root is blocked, so each
   * waits separately.
   */
  #handBack() {
    this.#context.watch.met?.('lock-wait', { requests: this.#batch.length, verbs: verbsOf(this.#batch) })
    return this.#batch
  }

  #mayRetry(error: unknown): boolean {
    const { maxAttempts, outageMs } = this.#context.limits
    if (isDisconnection(error)) return this.#attempt < 2 || performance.now() - this.#begun < outageMs
    if (isLockTimeout(error)) return this.#attempt < 2
    // a duplicate key may be no race but a request's own fault: of several requests, find out by splitting
    if (isRace(error)) return this.#attempt < (this.#batch.length > 1 ? 3 : maxAttempts)
    return isTransient(error) && this.#attempt < this.#max
  }

  async #pause(error: unknown) {
    const race = isLockTimeout(error) ? 'lock-wait' : 'retry'
    this.#context.watch.met?.(race, { attempt: this.#attempt, ...detailOf(this.#batch, error) })
    if (!isRace(error)) await sleep(Math.random() * 5 * 2 ** Math.min(this.#attempt, 6))
  }

  /**
   * Tries each half by itself, so that a request that the database rejects is found in log n steps. Requests of the
   * second half whose root is held by now go back behind those of the first half, to keep their order.
   */
  async #split(error: unknown): Promise<readonly PendingRequest[]> {
    this.#context.watch.met?.('split', { size: this.#batch.length, ...detailOf(this.#batch, error) })
    const half = this.#batch.length >> 1
    const held = await this.#part(this.#batch.slice(0, half))
    const heldRoots = new Set(held.map(({ root }) => root))
    const second = this.#batch.slice(half)
    const behind = second.filter(({ root }) => heldRoots.has(root))
    const free = second.filter(({ root }) => !heldRoots.has(root))
    return [...held, ...behind, ...(free.length ? await this.#part(free) : [])]
  }

  /** With fewer attempts than the whole had, so that all parts together are bounded, too. */
  #part(batch: readonly PendingRequest[]) {
    return new Attempts(this.#context, this.#queue, batch, this.#lock, Math.max(2, this.#max >> 1)).run()
  }

  #fail(error: unknown): [] {
    const { open, watch } = this.#context
    const answer = answerTo(error)
    if (answer instanceof DomainError)
      watch.met?.('gave-up', { requests: this.#batch.length, code: answer.code, ...detailOf(this.#batch, error) })
    else watch.failed?.(error, verbsOf(this.#batch))
    for (const request of this.#batch) open.giveUp(request, answer)
    this.#giveUpBehind(answer)
    return []
  }

  /** Fails requests that were queued behind this batch all the time; they would hit the same timeout. */
  #giveUpBehind(answer: unknown) {
    const wasWaiting = ({ since }: PendingRequest) => since <= this.#begun
    if (answer instanceof Unavailable) this.#queue.giveUp(wasWaiting, answer)
    else if (this.#lock === 'wait' && answer instanceof Busy)
      this.#queue.giveUp((request) => wasWaiting(request) && request.root === this.#batch[0]!.root, answer)
  }
}

/** A domain error where the caller can do something about it; otherwise the error itself. */
function answerTo(error: unknown): unknown {
  if (isTimeout(error) || isTransient(error)) return new Busy()
  if (isDisconnection(error)) return new Unavailable()
  return error
}

const verbsOf = (batch: readonly PendingRequest[]) => [...new Set(batch.map(({ verb }) => verb.name))]

/** What is logged of a batch that failed. */
const detailOf = (batch: readonly PendingRequest[], error: unknown) => ({
  verbs: verbsOf(batch),
  roots: batch.slice(0, 3).map(({ root }) => root),
  error: (error instanceof Error ? error.message : String(error)).slice(0, 200),
})

const isTimeout = (error: unknown) => isLockTimeout(error) || isStatementTimeout(error)
