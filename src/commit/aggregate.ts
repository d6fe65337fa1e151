import type { Sql } from '../database/client.ts'
import type { DomainError } from './errors.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [field: string]: Json | undefined }

/** One row of a table, by column. Instants are ISO 8601 in UTC, as `Date.toJSON` writes them. */
export type Row = Readonly<Record<string, string | number | boolean | null>>

/** Rows by table. */
export type Rows = Readonly<Record<string, readonly Row[]>>

/** The three types that an aggregate consists of. */
export interface Shape {
  /** A root and what hangs below it, as far as it was read. Version 0: the root does not exist yet. */
  readonly state: { readonly id: string; readonly version: number }
  /** What happened, in the past tense. */
  readonly event: { readonly kind: string }
  /** What answers and subscriptions show of the root. */
  readonly view: { readonly id: string; readonly version: number }
}

/** A kind of root: how it is read, what an event changes, how it is stored and shown. Nothing here writes. */
export interface Aggregate<S extends Shape> {
  /** The root's table. */
  readonly root: string
  /** The tables below it with their primary keys, parents first. */
  readonly tables: Readonly<Record<string, readonly string[]>>
  /**
   * By table, the columns of its other unique keys. An update names them only if they change: an update that names one
   * locks FOR UPDATE, and then every insert of a child waits.
   */
  readonly alternateKeys?: Readonly<Record<string, readonly string[]>>
  /** The query that reads all roots of a batch at once: one column of JSON, named `row`, for `load`. */
  read(wanted: Wanted): Sql
  /**
   * Turns the rows of `read` into states. A root that does not exist is left out or, if creating it needs facts from
   * elsewhere, has version 0.
   */
  load(rows: never): readonly S['state'][]
  /** The state of a root that does not exist yet. */
  blank(id: string): S['state']
  /** Applies an event; pure. Also replays history. The caller counts the version. */
  evolve(state: S['state'], event: S['event'], at: string): S['state']
  /** Events that must be applied before anything is decided, because something outside the root has changed. */
  overdue?(state: S['state']): readonly S['event'][]
  /** The state as rows, by table; pure. The difference between before and after is written. */
  rows(state: S['state']): Rows
  /** What answers and subscriptions show. With an event: including the part that it changed. */
  view(state: S['state'], event?: S['event']): S['view']
  /** The feed over many roots that includes the events of this one. */
  topic(state: S['state']): string
  /** The error for a request whose root does not exist. */
  missing(state: S['state']): DomainError
}

/** The roots of a batch, each once and in order, and by root the slices that its requests need. */
export interface Wanted {
  readonly ids: readonly string[]
  readonly slices: ReadonlyMap<string, readonly string[]>
}

/** The slice with everything below a root. Every aggregate accepts it. */
export const EVERYTHING = '*'

/** One root with everything below it. */
export const whole = (id: string): Wanted => ({ ids: [id], slices: new Map([[id, [EVERYTHING]]]) })

/** The user, or the system, that sends a request. */
export interface Actor {
  readonly id: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN' | 'SYSTEM'
}

/** The actor of what an operator does at the command line, and of what follows from a change without a request. */
export const system: Actor = { id: 'system', role: 'SYSTEM' }

/** An operation on a root. */
export interface Verb<S extends Shape, Input, Answer extends object = object> {
  readonly name: string
  readonly aggregate: Aggregate<S>
  /** The id of the root that the input is about. */
  root(input: Input): string
  /** The slices of the root that `decide` and `answer` need, as the aggregate's `read` names them. */
  slice?(input: Input): readonly string[]
  /** Accepts a root that does not exist yet. */
  readonly creates?: true
  /** Throws a domain error if the actor may not do this. Also called before a stored answer is returned. */
  may(state: S['state'], input: Input, actor: Actor): void
  /** Returns the events that happen, or none if nothing changes, or throws a domain error. Pure. */
  decide(state: S['state'], input: Input, by: By): readonly S['event'][]
  /** What is returned besides the root's view, from the state to be committed, its events, and the state before. */
  answer?(state: S['state'], input: Input, events: readonly S['event'][], before: S['state']): Answer
}

/** The circumstances of a decision. */
export interface By {
  readonly actor: Actor
  /** The time of the commit, taken after the lock. */
  readonly now: string
}

/** Converts an instant from PostgreSQL's JSON to the format of states, events and views: ISO 8601 in UTC. */
export function instant(text: string): string
export function instant(text: string | null): string | null
export function instant(text: string | null): string | null {
  if (text === null) return null
  if (!text.endsWith('+00:00')) return new Date(text).toISOString()
  // sessions are in UTC, so only the milliseconds may have to be filled up
  const local = text.slice(0, -6)
  return local.length === 19 ? `${local}.000Z` : `${local.padEnd(23, '0')}Z`
}
