import { raw, type Sql, sql } from '../database/client.ts'
import type { Tx } from '../database/transaction.ts'
import type { Aggregate, Shape, Wanted } from './aggregate.ts'
import type { Request } from './request.ts'

/** What a transaction does about a root that another session has locked: skip it, or wait for its lock. */
export type LockMode = 'skip' | 'wait'

/** The locked roots, as new as their locks. */
export interface Locked {
  /** By root, the version when it was locked. A root that does not exist, or was skipped, is missing. */
  readonly versions: ReadonlyMap<string, number>
  readonly states: readonly Shape['state'][]
  /** The answers stored under the requests' keys, by `keyOf`. */
  readonly known: Map<string, KnownAnswer>
  /** How many roots had changed between the snapshot and their lock, and were read again. */
  readonly reread: number
  /** The transaction's number. */
  readonly xid: string
}

/** What a key's request was answered when it was committed. */
export interface KnownAnswer {
  readonly actor: string
  readonly key: string
  /** The request's fingerprint. */
  readonly request: string
  readonly version: number
  readonly answer: object
  /** The root at that version; null if its event was pruned. */
  readonly view: object | null
}

/** An actor's key as the key of a map. */
export const keyOf = (actor: string, key: string) => `${actor}\0${key}`

/**
 * Locks the roots, and reads their states and the keys already used.
 *
 * What is read must be as new as the lock. A statement's snapshot is older than a lock that it waited for, and of what
 * it reads only the locked row itself is fresh. Hence, to wait, the lock is a statement of its own. To skip, both go in
 * one statement, which reads first and locks last. Then the versions are compared: if a root's version under the lock
 * is the one that was read, the root cannot have changed in between, since nothing below a root changes without it. If
 * one differs, all is read again, under the locks.
 */
export async function lockAndRead(tx: Tx, requests: readonly Request[], lock: LockMode): Promise<Locked> {
  const { aggregate } = requests[0]!.verb
  const wanted = wantedBy(requests)
  const reading = readingOf(aggregate, wanted, requests)
  const locking = sql`select id, version from ${raw(`"${aggregate.root}"`)}
    where id = any(${wanted.ids}::text[]) order by id for no key update`

  if (lock === 'wait') {
    const locked = await tx.query<Shape['state']>(locking)
    const [row] = await tx.query<Read>(sql`select ${reading}`)
    return { ...parse(aggregate, row!), versions: new Map(locked.map(({ id, version }) => [id, version])), reread: 0 }
  }

  const [row] = await tx.query<Read & { locked: string | null }>(
    sql`with locked as materialized (${locking} skip locked)
      select ${reading}, (select json_object_agg(id, version) from locked)::text as locked`,
  )
  const locked: Record<string, number> = JSON.parse(row!.locked ?? '{}')
  const versions = new Map(Object.entries(locked))
  const read = parse(aggregate, row!)
  const stale = read.states.filter(({ id, version }) => versions.has(id) && versions.get(id) !== version).length
  if (!stale) return { ...read, versions, reread: 0 }
  const [again] = await tx.query<Read>(sql`select ${reading}`)
  return { ...parse(aggregate, again!), versions, reread: stale }
}

/** The columns of a `Read`. */
function readingOf(aggregate: Aggregate<Shape>, wanted: Wanted, requests: readonly Request[]): Sql {
  return sql`pg_current_xact_id()::text as xid,
    (select json_agg(s.row) from (${aggregate.read(wanted)}) s)::text as states, ${keysOf(aggregate, requests)} as keys`
}

/** The answers stored under the requests' keys, each with the view of its event. */
function keysOf(aggregate: Aggregate<Shape>, requests: readonly Request[]): Sql {
  const keyed = requests.filter(({ key }) => key)
  if (!keyed.length) return sql`null::text`
  const [actors, keys] = [keyed.map(({ actor }) => actor.id), keyed.map(({ key }) => key)]
  return sql`(select json_agg(json_build_object('actor', k.actor, 'key', k.key, 'request', k.request,
      'version', k.version, 'answer', k.answer, 'view', e.view))
    from unnest(${actors}::text[], ${keys}::text[], ${keyed.map(({ root }) => root)}::text[]) as x (a, b, r)
    cross join lateral
      (select * from "IdempotencyKey" k where k.actor = x.a and k.key = x.b offset 0) k
    left join lateral
      (select view from "Event" e
        where e."rootType" = ${aggregate.root} and e."rootId" = x.r and e.version = k.version offset 0) e
      on true)::text`
}

interface Read {
  readonly xid: string
  readonly states: string | null
  readonly keys: string | null
}

function parse(aggregate: Aggregate<Shape>, { xid, states, keys }: Read) {
  const known: KnownAnswer[] = JSON.parse(keys ?? '[]')
  return {
    xid,
    // The rows' type is known to the aggregate only: its `load` accepts nothing of another type.
    states: aggregate.load(JSON.parse(states ?? '[]') as never),
    known: new Map(known.map((answer) => [keyOf(answer.actor, answer.key), answer])),
  }
}

/** Each root once, in order, with all that its requests need of it. */
function wantedBy(requests: readonly Request[]): Wanted {
  const slices = new Map<string, Set<string>>()
  for (const { verb, root, input } of requests) {
    const parts = slices.get(root) ?? new Set()
    for (const part of verb.slice?.(input) ?? []) parts.add(part)
    slices.set(root, parts)
  }
  return { ids: [...slices.keys()].sort(), slices: new Map([...slices].map(([id, parts]) => [id, [...parts]])) }
}
