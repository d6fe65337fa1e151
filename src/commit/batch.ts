import type { Tx } from '../database/transaction.ts'
import type { Aggregate, Shape } from './aggregate.ts'
import { DomainError, IdempotencyKeyReused, VersionConflict } from './errors.ts'
import { fingerprintOf } from './fingerprint.ts'
import { keyOf, type Locked, type LockMode, lockAndRead } from './lockAndRead.ts'
import type { Place } from './outcome.ts'
import type { Decided, Request, Result } from './request.ts'
import { type Change, changed, save, type Write } from './save.ts'

type State = Shape['state']
type Event = Shape['event']

/** The results of a batch, valid once its transaction is committed. */
export interface BatchResult<R> {
  readonly results: ReadonlyMap<R, Result>
  /** The requests whose root is locked by another session. */
  readonly held: readonly R[]
  /** How many roots had changed between the snapshot and their lock, and were read again. */
  readonly reread: number
  /** The transaction's number; undefined if it wrote nothing. */
  readonly xid: string | undefined
  /** One of its events, if it has any: it is in the journal if, and only if, this transaction was committed. */
  readonly event: Place | undefined
}

/** In one transaction: locks and reads the roots, decides each request in order of arrival, and writes what changed. */
export async function runBatch<R extends Request>(
  tx: Tx,
  requests: readonly R[],
  lock: LockMode,
): Promise<BatchResult<R>> {
  const locked = await lockAndRead(tx, requests, lock)
  const batch = new Batch<R>(requests[0]!.verb.aggregate, locked)
  for (const request of requests) batch.decide(request)
  const isWritten = await save(tx, batch.writes())
  return batch.result(isWritten)
}

interface EventRow extends Place {
  readonly topic: string
  readonly kind: string
  readonly data: object
  readonly view: object
  readonly actor: string
  readonly at: string
}

/** The requests of one transaction. Each is decided on the state that the ones before it left. */
class Batch<R extends Request> {
  readonly #aggregate: Aggregate<Shape>
  readonly #locked: Locked
  /** After the lock: a request that waited for it must not be older than the one that it waited for. */
  readonly #now = new Date().toISOString()
  readonly #before = new Map<string, State>()
  /** The roots that have changed. */
  readonly #after = new Map<string, State>()
  readonly #events: EventRow[] = []
  readonly #keys: object[] = []
  readonly #decided = new Map<R, Decided>()
  readonly #held: R[] = []

  constructor(aggregate: Aggregate<Shape>, locked: Locked) {
    this.#aggregate = aggregate
    this.#locked = locked
    for (const state of locked.states) this.#before.set(state.id, state)
  }

  /** A request that throws changes nothing: all that its verb does is pure. */
  decide(request: R) {
    const { root } = request
    const exists = (this.#before.get(root)?.version ?? 0) > 0
    if (exists && !this.#locked.versions.has(root)) {
      this.#held.push(request)
      return
    }
    try {
      this.#decided.set(request, this.#decisionOf(request))
    } catch (error) {
      this.#decided.set(request, { error })
    }
  }

  #decisionOf(request: R): Decided {
    const { verb, root, actor, input } = request
    const state = this.#stateOf(root)
    verb.may(state, input, actor)
    return this.#replay(request, state) ?? this.#change(request, state)
  }

  /** The answer stored under the request's key, if there is one. */
  #replay(request: R, state: State): Decided | undefined {
    const { actor, key } = request
    const known = key && this.#locked.known.get(keyOf(actor.id, key))
    if (!known) return undefined
    if (known.request !== fingerprintOf(request)) throw new IdempotencyKeyReused(key)
    if (!known.view && state.version === 0) throw this.#aggregate.missing(state) // deleted since, with its history
    const view = known.view ?? this.#aggregate.view(state)
    return { view, answer: known.answer, version: known.version, changed: false, replayed: true }
  }

  #change(request: R, before: State): Decided {
    const { verb, root, actor, input, expectedVersion } = request
    const aggregate = this.#aggregate
    if (before.version === 0 && !verb.creates) throw aggregate.missing(before)
    if (expectedVersion !== undefined && expectedVersion !== before.version)
      throw new VersionConflict(expectedVersion, aggregate.root, aggregate.view(before))

    const rows: EventRow[] = []
    const overdue = aggregate.overdue?.(before) ?? []
    const current = this.#apply(request, before, overdue, rows)
    const decided = verb.decide(current, input, { actor, now: this.#now })
    const state = this.#apply(request, current, decided, rows)

    const view = aggregate.view(state)
    const answer = verb.answer?.(state, input, overdue.length ? [...overdue, ...decided] : decided, before) ?? {}
    this.#keep(request, state.version, view, answer)
    if (rows.length) this.#after.set(root, state)
    for (const row of rows) this.#events.push(row)
    return { view, answer, version: state.version, changed: rows.length > 0, replayed: false }
  }

  /** The state after these events, which are appended to `rows` as the journal stores them. */
  #apply({ root, actor }: R, before: State, events: readonly Event[], rows: EventRow[]): State {
    const aggregate = this.#aggregate
    const at = this.#now
    let state = before
    for (const event of events) {
      const version = state.version + 1
      state = Object.assign(aggregate.evolve(state, event, at), { version })
      const { kind, ...data } = event
      const topic = aggregate.topic(state)
      const view = aggregate.view(state, event)
      rows.push({ rootType: aggregate.root, rootId: root, version, topic, kind, data, view, actor: actor.id, at })
    }
    return state
  }

  /** Stores the answer under the request's key, for later requests of this batch as well. */
  #keep(request: R, version: number, view: object, answer: object) {
    const { actor, key } = request
    if (!key) return
    const row = { actor: actor.id, key, request: fingerprintOf(request), version, answer, at: this.#now }
    this.#locked.known.set(keyOf(actor.id, key), { ...row, view })
    this.#keys.push(row)
  }

  /** What is to be written: the rows that differ, the events, and the keys with their answers. */
  writes(): Write[] {
    const { root, tables, alternateKeys } = this.#aggregate
    const changes = this.#changes()
    return [
      ...Object.entries({ [root]: ['id'], ...tables }).flatMap(([table, key]) =>
        changed(table, key, changes, alternateKeys?.[table]),
      ),
      { operation: 'insert', table: 'Event', key: [], rows: this.#events },
      { operation: 'insert', table: 'IdempotencyKey', key: [], rows: this.#keys },
    ]
  }

  /** By ascending id: a new root is locked when it is inserted, and all sessions must lock in the same order. */
  #changes(): Change[] {
    const aggregate = this.#aggregate
    return [...this.#after.keys()].sort().map((id) => {
      const before = this.#before.get(id)
      const rows = before ? aggregate.rows(before) : {}
      // rows from elsewhere may hang below a root that does not exist yet
      return {
        before: before?.version ? rows : { ...rows, [aggregate.root]: [] },
        after: aggregate.rows(this.#after.get(id)!),
      }
    })
  }

  #stateOf(root: string): State {
    return this.#after.get(root) ?? this.#before.get(root) ?? this.#aggregate.blank(root)
  }

  /** The decision, with the root as the whole batch leaves it. */
  #resultOf({ verb, root, input }: R, decided: Decided): Result {
    const state = this.#stateOf(root)
    if ('error' in decided) return { error: errorNow(decided.error, state, this.#aggregate) }
    const { view, answer, version } = decided
    if (state.version === version || state.version === 0) return { ...decided, now: { view, answer } }
    return { ...decided, now: { view: this.#aggregate.view(state), answer: answerNow(verb, state, input) ?? answer } }
  }

  result(isWritten: boolean): BatchResult<R> {
    const { reread, xid } = this.#locked
    const [event] = this.#events
    const results = new Map([...this.#decided].map(([request, decided]) => [request, this.#resultOf(request, decided)]))
    return { results, held: this.#held, reread, xid: isWritten ? xid : undefined, event }
  }
}

/** The answer from a later state; undefined where what it is about is no longer there. */
function answerNow(verb: Request['verb'], state: State, input: unknown): object | undefined {
  try {
    return verb.answer?.(state, input, [], state)
  } catch (error) {
    if (error instanceof DomainError) return undefined
    throw error
  }
}

/** The error as it is after the whole batch: a conflict shows the root as it is then. */
function errorNow(error: unknown, state: State, aggregate: Aggregate<Shape>): unknown {
  if (!(error instanceof VersionConflict) || error.currentVersion === state.version) return error
  if (error.expectedVersion === state.version) return error // it would contradict itself
  return new VersionConflict(error.expectedVersion, aggregate.root, aggregate.view(state))
}
