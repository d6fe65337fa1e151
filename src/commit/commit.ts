import { setTimeout as sleep } from 'node:timers/promises'
import type { Actor, Shape, Verb } from './aggregate.ts'
import { type Carried, carry, type Request } from './batch.ts'
import { sql, type Db } from '../database/client.ts'
import { isDisconnection, isLockTimeout, isRace, isStatementTimeout, isTransient } from '../database/conflict.ts'
import { inTransaction } from '../database/transaction.ts'
import { Busy, DomainError, OutcomeUnknown, Unavailable } from './errors.ts'

/** What is asked, by whom, and under which key. */
export interface Asked<Input> {
  readonly actor: Actor
  readonly input: Input
  /** With a key, a request takes effect once however often it is sent; its answer is kept and given again. */
  readonly key?: string | undefined
  /** Only if the root is at this version. */
  readonly expectedVersion?: number | undefined
}

/** What was committed. */
export interface Committed<View, Answer> {
  /** The root as it was committed. */
  readonly view: View
  /** What else the verb has to tell. */
  readonly answer: Answer
  /** The root's version that the answer tells of. */
  readonly version: number
  /** Whether anything changed by this very request. */
  readonly changed: boolean
  /** The request was carried out before, under this key; this is the answer that it was given. */
  readonly replayed: boolean
}

/**
 * The way in: decides, commits, answers. Throws a DomainError if nothing was changed and the caller can know why; any
 * other error means that nothing was changed and it is our fault.
 */
export type Commit = <S extends Shape, Input, Answer extends object>(
  verb: Verb<S, Input, Answer>,
  asked: Asked<Input>,
) => Promise<Committed<S['view'], Answer>>

/** What happens on the way in; for metrics and logs. */
export interface Watcher {
  batch?(size: number, ms: number): void
  settled?(verb: string, outcome: string): void
  /**
   * A race that was met and mended: a transaction done again, a batch split, a root read again, a lock waited for; or
   * one that was given up.
   */
  met?(race: 'retry' | 'split' | 'reread' | 'lock-wait' | 'outcome-asked' | 'gave-up', detail: object): void
  failed?(error: unknown, verbs: readonly string[]): void
}

export interface CommitOptions {
  /** The most requests in a batch. */
  readonly most?: number
  /** Fewer roots than this aren't worth a batch of their own while others could take them along. */
  readonly few?: number
  /** The most batches of a kind of root in flight. */
  readonly width?: number
  /** The most stuck roots that are waited for at a time, each on a connection of its own. */
  readonly patience?: number
  /** The most attempts at one transaction. */
  readonly attempts?: number
  /** How long a caller of a stuck root waits at most before it is waited for with a connection; then it is Busy. */
  readonly queueMs?: number
  /** How long a transaction that can't reach the database is begun again. */
  readonly outageMs?: number
  /** How long it is asked what became of a commit whose connection was lost. */
  readonly askMs?: number
  /** Something of this kind of root was committed: the bell of the tail and of reactions. What it throws is not heard. */
  readonly onCommit?: (rootType: string) => void
  readonly watch?: Watcher
}

interface Waiting extends Request {
  readonly since: number
  /** An earlier attempt may have been committed, and nobody could say. */
  doubt?: boolean
  resolve(committed: Committed<never, never>): void
  reject(error: unknown): void
}

/** What is asked of a kind of root and not yet in flight, in order of arrival. A root is in flight once at most. */
class Queue {
  waiting: Waiting[] = []
  readonly busy = new Set<string>()
  /** Roots that somebody else holds: each is waited for in a batch of its own. */
  readonly held = new Set<string>()
  flying = 0
}

/**
 * The only place that opens a write transaction. Every commit is a batch: of one when its kind of root is idle, of all
 * that arrived meanwhile when it is not.
 */
export function commits(db: Db, options: CommitOptions = {}) {
  const {
    most = 128,
    few = 12,
    width = 2,
    patience = 8,
    attempts = 8,
    queueMs = 12_000,
    outageMs = 5_000,
    askMs = 15_000,
  } = options
  const watch = harmless(options.watch ?? {})
  const bell = harmless({ onCommit: options.onCommit })
  const queues = new Map<string, Queue>()
  let patient = 0
  let pumping = false
  let open = 0
  let closed: (() => void) | undefined

  const commit: Commit = (verb, asked) => {
    const root = verb.root(asked.input)
    const { root: kind } = verb.aggregate
    let queue = queues.get(kind)
    if (!queue) queues.set(kind, (queue = new Queue()))
    open++
    return new Promise<Committed<never, never>>((resolve, reject) => {
      queue.waiting.push({ ...asked, verb: verb as Request['verb'], root, since: performance.now(), resolve, reject })
      pump()
    })
  }

  /** Those that arrive in the same turn of the event loop go together. */
  function pump() {
    if (pumping) return
    pumping = true
    setImmediate(() => {
      pumping = false
      for (const queue of queues.values()) depart(queue)
    })
  }

  function depart(queue: Queue) {
    const late = performance.now() - queueMs
    giveUp(
      queue,
      ({ root, since }) => since < late && queue.held.has(root),
      () => new Busy(),
    )
    for (const root of queue.held)
      if (patient < patience && !queue.busy.has(root)) void fly(queue, (request) => request.root === root, true)
    while (queue.flying < width) {
      const free = ({ root }: Waiting) => !queue.busy.has(root) && !queue.held.has(root)
      const roots = new Set<string>()
      for (const request of queue.waiting) if (free(request)) roots.add(request.root)
      if (!roots.size) break
      // Many at once share the free places: one batch is decided while PostgreSQL works on another. All requests of a
      // root stay together.
      const share = roots.size < 2 * few ? roots.size : Math.max(few, Math.ceil(roots.size / (width - queue.flying)))
      const aboard = new Set([...roots].slice(0, share))
      void fly(queue, ({ root }) => aboard.has(root), false)
    }
  }

  /** Those who have waited long enough behind others are told so, without an attempt of their own. */
  function giveUp(queue: Queue, whom: (request: Waiting) => boolean, told: () => DomainError) {
    const gone = queue.waiting.filter(whom)
    if (!gone.length) return
    queue.waiting = queue.waiting.filter((request) => !whom(request))
    for (const request of gone) settle(request, request.doubt ? new OutcomeUnknown() : told())
    const wanted = new Set(queue.waiting.map(({ root }) => root))
    for (const root of queue.held) if (!wanted.has(root)) queue.held.delete(root)
  }

  async function fly(queue: Queue, may: (request: Request) => boolean, wait: boolean) {
    const batch: Waiting[] = []
    queue.waiting = queue.waiting.filter((request) => !(batch.length < most && may(request) && batch.push(request)))
    if (!batch.length) return

    const roots = new Set(batch.map(({ root }) => root))
    for (const root of roots) queue.busy.add(root)
    if (wait) patient++
    else queue.flying++
    const stuck = await carryOut(batch, wait)
    if (wait) patient--
    else queue.flying--
    for (const root of roots) {
      queue.busy.delete(root)
      queue.held.delete(root)
    }
    for (const { root } of stuck) queue.held.add(root)
    if (stuck.length) queue.waiting = [...stuck, ...queue.waiting]
    pump()
  }

  /** Settles every request but those whose root is held by somebody else, which it gives back. */
  async function carryOut(batch: Waiting[], wait: boolean, tries = attempts): Promise<Waiting[]> {
    const verbs = () => [...new Set(batch.map(({ verb }) => verb.name))]
    const begun = performance.now()
    for (let attempt = 1; ; attempt++) {
      const { carried, error } = await transact(batch, wait)
      if (!error) return settleAll(carried!)

      // All had been written, and then the connection was lost: was it committed?
      if (carried?.xid && isDisconnection(error)) {
        const status = await outcomeOf(carried.xid, carried.witness)
        watch.met?.('outcome-asked', { status, verbs: verbs() })
        if (status === 'committed') return settleAll(carried)
        if (status === 'unknown') {
          for (const request of batch) {
            if (request.key) request.doubt = true
            else settle(request, new OutcomeUnknown())
          }
          batch = batch.filter(({ key }) => key) // asked again, they are answered as they were, if that was committed
          if (!batch.length) return []
        }
      }

      // Something below a root, or one that isn't there yet, is held: whose it is can't be told, so that each root is
      // waited for by itself.
      if (!wait && isLockTimeout(error)) {
        watch.met?.('lock-wait', { requests: batch.length, verbs: verbs() })
        return batch
      }

      const detail = {
        verbs: verbs(),
        roots: batch.slice(0, 3).map(({ root }) => root),
        error: String((error as Error).message).slice(0, 200),
      }
      if (
        isDisconnection(error)
          ? attempt < 2 || performance.now() - begun < outageMs
          : again(error, attempt, batch.length, tries)
      ) {
        watch.met?.(isLockTimeout(error) ? 'lock-wait' : 'retry', { attempt, ...detail })
        if (!isRace(error)) await sleep(Math.random() * 5 * 2 ** Math.min(attempt, 6))
      } else if (batch.length > 1 && !isTimeout(error) && !isDisconnection(error)) {
        watch.met?.('split', { size: batch.length, ...detail })
        return halve(batch, wait, Math.max(2, tries >> 1)) // fewer: what doesn't pass is given up in bounded time, too
      } else {
        const told =
          isTimeout(error) || isTransient(error) ? new Busy() : isDisconnection(error) ? new Unavailable() : error
        if (told instanceof DomainError) watch.met?.('gave-up', { requests: batch.length, told: told.code, ...detail })
        else watch.failed?.(error, verbs())
        for (const request of batch) settle(request, request.doubt ? new OutcomeUnknown() : told)
        // Who has stood behind them all that time would wait as long again for the same.
        const [{ verb, root }] = batch as [Waiting]
        const queue = queues.get(verb.aggregate.root)!
        if (told instanceof Unavailable)
          giveUp(
            queue,
            ({ since }) => since <= begun,
            () => told,
          )
        else if (wait && told instanceof Busy)
          giveUp(
            queue,
            (request) => request.since <= begun && request.root === root,
            () => told,
          )
        return []
      }
    }
  }

  /** One attempt at one transaction; with an error, nothing was committed, unless the connection was lost at COMMIT. */
  async function transact(
    batch: readonly Waiting[],
    wait: boolean,
  ): Promise<{ carried?: Carried<Waiting>; error?: unknown }> {
    let carried: Carried<Waiting> | undefined
    const start = performance.now()
    try {
      await inTransaction(db, async (tx) => {
        carried = await carry(tx, batch, wait)
      })
      watch.batch?.(batch.length, performance.now() - start)
      return { carried: carried! }
    } catch (error) {
      return { ...(carried && { carried }), error: error ?? new Error('A transaction failed without saying why.') }
    }
  }

  /**
   * The guilty one is found in log n steps, and order is kept: nor may the second half overtake what the first gave
   * back.
   */
  async function halve(batch: Waiting[], wait: boolean, tries: number): Promise<Waiting[]> {
    const half = batch.length >> 1
    const stuck = await carryOut(batch.slice(0, half), wait, tries)
    const held = new Set(stuck.map(({ root }) => root))
    const second = batch.slice(half)
    const free = second.filter(({ root }) => !held.has(root))
    return [
      ...stuck,
      ...second.filter(({ root }) => held.has(root)),
      ...(free.length ? await carryOut(free, wait, tries) : []),
    ]
  }

  function again(error: unknown, attempt: number, size: number, tries: number): boolean {
    if (isLockTimeout(error)) return attempt < 2
    if (isRace(error)) return attempt < (size > 1 ? 3 : attempts) // in a batch, then bisected: it may be no race
    return isTransient(error) && attempt < tries
  }

  const isTimeout = (error: unknown) => isLockTimeout(error) || isStatementTimeout(error)

  function settleAll({ outcomes, stuck, events, reread, witness }: Carried<Waiting>): Waiting[] {
    if (events) bell.onCommit?.(witness!.rootType)
    if (reread) watch.met?.('reread', { roots: reread })
    if (stuck.length) watch.met?.('lock-wait', { requests: stuck.length })
    for (const [request, outcome] of outcomes) {
      if ('error' in outcome) settle(request, outcome.error)
      else {
        watch.settled?.(request.verb.name, outcome.replayed ? 'replayed' : outcome.changed ? 'changed' : 'unchanged')
        settled()
        request.resolve(outcome as Committed<never, never>)
      }
    }
    return stuck
  }

  function settle(request: Waiting, error: unknown) {
    watch.settled?.(request.verb.name, error instanceof DomainError ? error.code : 'FAILED')
    settled()
    request.reject(error)
  }

  function settled() {
    if (--open === 0) closed?.()
  }

  /**
   * PostgreSQL remembers what became of a transaction, also through a crash; but a number that had not reached the disk
   * by then is given out again.
   */
  async function outcomeOf(
    xid: string,
    witness: Carried<Waiting>['witness'],
  ): Promise<'committed' | 'aborted' | 'unknown'> {
    const until = performance.now() + askMs
    for (let pause = 20; performance.now() < until; pause = Math.min(pause * 2, 500)) {
      try {
        const [row] = await db.$queryRaw<{ status: string | null }[]>(
          sql`select pg_xact_status(${xid}::text::xid8) as status`,
        )
        if (row?.status === 'committed' && witness) {
          const { rootType, rootId, version } = witness
          const [own] = await db.$queryRaw<object[]>(
            sql`select 1 from "Event" where "rootType" = ${rootType} and "rootId" = ${rootId} and version = ${version}::int and xid = ${xid}::text::xid8`,
          )
          return own ? 'committed' : 'aborted'
        }
        if (row?.status === 'committed' || row?.status === 'aborted') return row.status
        if (row?.status !== 'in progress') return 'unknown'
      } catch (error) {
        // it does not know the transaction: another server than the one that we spoke to
        if (!isDisconnection(error)) return 'unknown'
      }
      await sleep(pause)
    }
    return 'unknown'
  }

  /** Resolves when nothing is asked any more. */
  const drained = () => new Promise<void>((resolve) => (open === 0 ? resolve() : (closed = resolve)))

  return { commit, drained }
}

/** What is called here must not affect commits when it throws. */
function harmless<Calls extends object>(calls: Calls): Calls {
  const guarded = Object.entries(calls).flatMap(([name, call]) => {
    if (!call) return []
    const guard = (...told: unknown[]) => {
      try {
        call(...told)
      } catch {}
    }
    return [[name, guard]]
  })
  return Object.fromEntries(guarded)
}
