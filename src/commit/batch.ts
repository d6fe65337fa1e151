import { hash } from 'node:crypto'
import type { Actor, Aggregate, Shape, Verb, Wanted } from './aggregate.ts'
import { raw, sql } from '../database/client.ts'
import type { Tx } from '../database/transaction.ts'
import { IdempotencyKeyReused, VersionConflict } from './errors.ts'
import { type Change, changed, save } from './save.ts'

type State = Shape['state']

/** What is asked of a root. */
export interface Request {
  readonly verb: Verb<Shape, unknown, object>
  readonly root: string
  readonly actor: Actor
  readonly input: unknown
  readonly key?: string | undefined
  readonly expectedVersion?: number | undefined
}

/** What became of a request: its answer, or why not. */
export type Outcome =
  | {
      readonly view: object
      readonly answer: object
      readonly version: number
      readonly changed: boolean
      readonly replayed: boolean
    }
  | { readonly error: unknown }

/** What became of a batch, if its transaction commits. */
export interface Carried<R> {
  readonly outcomes: Map<R, Outcome>
  /** Their roots are held by somebody else. */
  readonly stuck: R[]
  readonly events: number
  /** How many roots changed between the statement's snapshot and their lock, and were read again. */
  readonly reread: number
  /** The transaction that wrote; none if there was nothing to write. */
  readonly xid: string | undefined
  /** One of its events, if it has any: it is in the journal if, and only if, this transaction was committed. */
  readonly witness: Place | undefined
}

/** Where in the journal an event is. */
interface Place {
  readonly rootType: string
  readonly rootId: string
  readonly version: number
}

/**
 * Inside one transaction: lock and read the roots, decide each request in order on the state that the one before left,
 * save. With `wait` the roots are waited for, otherwise those that somebody else holds are given back as stuck.
 */
export async function carry<R extends Request>(tx: Tx, requests: readonly R[], wait: boolean): Promise<Carried<R>> {
  const { aggregate } = requests[0]!.verb
  const wanted = roots(requests)
  const { locked, states, used, reread, xid } = await hold(tx, requests, wanted, wait)

  const at = new Date().toISOString() // after the lock: whoever waited for it must not be older than whom he waited for

  const found = new Map<string, State>()
  for (const state of states) found.set(state.id, state)
  const after = new Map<string, State>()
  const events: (Place & Record<string, unknown>)[] = []
  const kept: object[] = []
  const outcomes = new Map<R, Outcome>()
  const stuck: R[] = []

  for (const request of requests) {
    const { root } = request
    if ((found.get(root)?.version ?? 0) > 0 && !locked.has(root)) stuck.push(request)
    else {
      try {
        outcomes.set(request, decide(request))
      } catch (error) {
        outcomes.set(request, { error }) // pure code threw: nothing has changed, whatever it was
      }
    }
  }

  const changes: Change[] = []
  for (const id of [...after.keys()].sort()) {
    // new roots are locked by being inserted: by ascending id, like the others
    const state = after.get(id)!
    const before = found.get(id)
    const rows = before ? aggregate.rows(before) : {}
    // what has come from elsewhere may hang below a root that isn't there yet
    changes.push({ before: before?.version ? rows : { ...rows, [aggregate.root]: [] }, after: aggregate.rows(state) })
  }
  const tables = Object.entries({ [aggregate.root]: ['id'], ...aggregate.tables })
  const saved = await save(tx, [
    ...tables.flatMap(([table, key]) => changed(table, key, changes, aggregate.alternateKeys?.[table])),
    { operation: 'insert', table: 'Event', key: [], rows: events },
    { operation: 'insert', table: 'IdempotencyKey', key: [], rows: kept },
  ])
  return { outcomes, stuck, events: events.length, reread, xid: saved ? xid : undefined, witness: events[0] }

  function decide(request: Request): Outcome {
    const { verb, root, actor, key, input, expectedVersion } = request
    let state = after.get(root) ?? found.get(root) ?? aggregate.blank(root)
    verb.may(state, input, actor)

    const fingerprint = key && fingerprintOf(request)
    const known = key && used.get(keyOf(actor.id, key))
    if (known) {
      if (known.request !== fingerprint) throw new IdempotencyKeyReused(key)
      if (!known.view && state.version === 0) throw aggregate.missing(state) // deleted since, with its history
      return {
        view: known.view ?? aggregate.view(state),
        answer: known.answer,
        version: known.version,
        changed: false,
        replayed: true,
      }
    }

    if (state.version === 0 && !verb.creates) throw aggregate.missing(state)
    if (expectedVersion !== undefined && expectedVersion !== state.version)
      throw new VersionConflict(expectedVersion, aggregate.root, aggregate.view(state))

    const before = state
    const told: Shape['event'][] = []
    const rows: typeof events = []
    const tell = (event: Shape['event']) => {
      const version = state.version + 1
      state = Object.assign(aggregate.evolve(state, event, at), { version })
      const { kind, ...data } = event
      rows.push({
        rootType: aggregate.root,
        rootId: root,
        version,
        topic: aggregate.topic(state),
        kind,
        data,
        view: aggregate.view(state, event),
        actor: actor.id,
        at,
      })
      told.push(event)
    }
    for (const event of aggregate.overdue?.(state) ?? []) tell(event)
    for (const event of verb.decide(state, input, { actor, now: at })) tell(event)

    const { version } = state
    const view = aggregate.view(state)
    const answer = verb.answer?.(state, input, told, before) ?? {}
    if (key) {
      const keep = { actor: actor.id, key, request: fingerprint!, version, answer, at }
      used.set(keyOf(actor.id, key), { ...keep, view })
      kept.push(keep)
    }
    if (rows.length) after.set(root, state)
    for (const row of rows) events.push(row)
    return { view, answer, version, changed: rows.length > 0, replayed: false }
  }
}

interface Held {
  /** The version of each root that is locked, as it was when the lock was had. */
  readonly locked: Map<string, number>
  readonly states: readonly State[]
  readonly used: Map<string, Known>
  readonly reread: number
  /** The transaction, which its locks have made a writing one. */
  readonly xid: string
}
interface Known {
  readonly actor: string
  readonly key: string
  readonly request: string
  readonly version: number
  readonly answer: object
  /** The root at that version; null where the journal no longer reaches back so far. */
  readonly view: object | null
}

/**
 * The locks, the states and the keys already used.
 *
 * What is read must be as new as the lock. A statement's snapshot is older than a lock that it waited for, and of what
 * it reads only the locked row itself is fresh. Waiting, the lock is therefore a statement of its own. Not waiting,
 * both go in one statement that reads first and locks last, and the versions tell: a root whose version under the lock
 * is the one that was read cannot have changed in between, since nothing below a root changes without it. Where they
 * differ, all is read again, under the locks.
 */
async function hold(tx: Tx, requests: readonly Request[], wanted: Wanted, wait: boolean): Promise<Held> {
  const { aggregate } = requests[0]!.verb
  const keyed = requests.filter(({ key }) => key)
  const keys = keyed.length
    ? sql`(select json_agg(json_build_object('actor', k.actor, 'key', k.key, 'request', k.request, 'version', k.version, 'answer', k.answer, 'view', e.view))
        from unnest(${keyed.map(({ actor }) => actor.id)}::text[], ${keyed.map(({ key }) => key)}::text[], ${keyed.map(({ root }) => root)}::text[]) as x (a, b, r)
        cross join lateral (select * from "IdempotencyKey" k where k.actor = x.a and k.key = x.b offset 0) k
        left join lateral (select view from "Event" e where e."rootType" = ${aggregate.root} and e."rootId" = x.r and e.version = k.version offset 0) e on true)::text`
    : sql`null::text`
  const reading = sql`pg_current_xact_id()::text as xid, (select json_agg(s.row) from (${aggregate.read(wanted)}) s)::text as states, ${keys} as keys`
  const locking = sql`select id, version from ${raw(`"${aggregate.root}"`)} where id = any(${wanted.ids}::text[]) order by id for no key update`

  if (wait) {
    const locked = await tx.query<State>(locking)
    const [rows] = await tx.query<Read>(sql`select ${reading}`)
    return { ...parse(aggregate, rows!), locked: new Map(locked.map(({ id, version }) => [id, version])), reread: 0 }
  }

  const [rows] = await tx.query<Read & { locked: string | null }>(
    sql`with locked as materialized (${locking} skip locked) select ${reading}, (select json_object_agg(id, version) from locked)::text as locked`,
  )
  const locked = new Map(Object.entries(JSON.parse(rows!.locked ?? '{}') as Record<string, number>))
  const read = parse(aggregate, rows!)
  const stale = read.states.filter(({ id, version }) => locked.has(id) && locked.get(id) !== version).length
  if (!stale) return { ...read, locked, reread: 0 }
  const [again] = await tx.query<Read>(sql`select ${reading}`)
  return { ...parse(aggregate, again!), locked, reread: stale }
}

interface Read {
  readonly xid: string
  readonly states: string | null
  readonly keys: string | null
}

function parse(aggregate: Aggregate<Shape>, { xid, states, keys }: Read) {
  const known = JSON.parse(keys ?? '[]') as Known[]
  return {
    xid,
    states: aggregate.load(JSON.parse(states ?? '[]') as never),
    used: new Map(known.map((key) => [keyOf(key.actor, key.key), key])),
  }
}

/** Each root once, in order, with all that its requests need of it. */
function roots(requests: readonly Request[]): Wanted {
  const slices = new Map<string, Set<string>>()
  for (const { verb, root, input } of requests) {
    const parts = slices.get(root) ?? new Set()
    for (const part of verb.slice?.(input) ?? []) parts.add(part)
    slices.set(root, parts)
  }
  return { ids: [...slices.keys()].sort(), slices: new Map([...slices].map(([id, parts]) => [id, [...parts]])) }
}

const keyOf = (actor: string, key: string) => `${actor}\0${key}`

/** The same operation with the same arguments, in whatever order they were written. */
function fingerprintOf({ verb, input, expectedVersion }: Request): string {
  return hash('sha256', `${verb.name} ${expectedVersion} ${canonical(input)}`, 'base64url').slice(0, 22)
}

/** JSON with its fields in order. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const fields = Object.keys(value).sort()
  let text = '{'
  for (const field of fields) {
    const inner = (value as Record<string, unknown>)[field]
    if (inner !== undefined) text += `${JSON.stringify(field)}:${canonical(inner)},`
  }
  return `${text}}`
}
