import type { Sql } from '../database/client.ts'
import type { DomainError } from './errors.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [field: string]: Json | undefined }

/** One row of a table, by column; instants are ISO 8601 in UTC, as `Date.toJSON` writes them. */
export type Row = Readonly<Record<string, string | number | boolean | null>>

/** Rows by table. */
export type Rows = Readonly<Record<string, readonly Row[]>>

/** The three types that an aggregate is made of. */
export interface Shape {
  /** A root and what hangs below it, as far as it was asked for. Version 0: there is no such root yet. */
  readonly state: { readonly id: string; readonly version: number }
  /** What happened, in the past tense. */
  readonly event: { readonly kind: string }
  /** What answers and subscribers are shown. */
  readonly view: { readonly id: string; readonly version: number }
}

/** A kind of root: how it is read, what an event does to it, how it is stored and shown. Nothing here writes. */
export interface Aggregate<S extends Shape> {
  /** The root's own table. */
  readonly root: string
  /** The tables below it with their primary keys, parents first. */
  readonly tables: Readonly<Record<string, readonly string[]>>
  /**
   * By table, the columns of its other unique keys. They are written only where they change: an update that names one
   * locks FOR UPDATE, and every insert of a child waits.
   */
  readonly alternateKeys?: Readonly<Record<string, readonly string[]>>
  /** The query that reads all roots of a batch at once: one column of JSON, which `load` turns into states. */
  read(wanted: Wanted): Sql
  /**
   * What `read` returned, as states. A root that isn't there may be left out or, where its creation needs facts, have
   * version 0.
   */
  load(rows: never): readonly S['state'][]
  /** What there is before there is anything. */
  blank(id: string): S['state']
  /** What an event does, pure; this also replays history. The version is counted by the caller. */
  evolve(state: S['state'], event: S['event'], at: string): S['state']
  /** What must happen before anything else is decided, since something outside the root has changed. */
  overdue?(state: S['state']): readonly S['event'][]
  /** The state as rows, by table, pure. What differs between before and after is written. */
  rows(state: S['state']): Rows
  /** What answers and subscribers are shown; of an event, with the part that it touched. */
  view(state: S['state'], event?: S['event']): S['view']
  /** The feed over many roots that this one's events also belong to. */
  topic(state: S['state']): string
  /** What is answered to those who ask something of a root that isn't there. */
  missing(state: S['state']): DomainError
}

/** The roots that a batch is about, each once and in order, and by root the parts that its requests look at. */
export interface Wanted {
  readonly ids: readonly string[]
  readonly slices: ReadonlyMap<string, readonly string[]>
}

/** The slice of all that hangs below a root. Every aggregate understands it. */
export const EVERYTHING = '*'

/** One root with all that hangs below it. */
export const whole = (id: string): Wanted => ({ ids: [id], slices: new Map([[id, [EVERYTHING]]]) })

/** Who asks. */
export interface Actor {
  readonly id: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN' | 'SYSTEM'
}

/** The operator at the command line, and whatever follows from a change without anybody asking for it. */
export const system: Actor = { id: 'system', role: 'SYSTEM' }

/** Something that can be asked of a root. */
export interface Verb<S extends Shape, Input, Answer extends object = object> {
  readonly name: string
  readonly aggregate: Aggregate<S>
  /** Which root the input is about. */
  root(input: Input): string
  /** Which parts of it `decide` and `answer` look at, as the aggregate's `read` understands them. */
  slice?(input: Input): readonly string[]
  /** May be asked of a root that isn't there yet. */
  readonly creates?: true
  /** Throws a domain error for those who may not ask this, also where the answer is known from before. */
  may(state: S['state'], input: Input, actor: Actor): void
  /** Pure: what happens; nothing, if nothing changes; or a domain error thrown. */
  decide(state: S['state'], input: Input, by: By): readonly S['event'][]
  /** What the caller is told besides the root's view, from the state as it will be committed and as it was before. */
  answer?(state: S['state'], input: Input, events: readonly S['event'][], before: S['state']): Answer
}

export interface By {
  readonly actor: Actor
  /** Taken after the lock. */
  readonly now: string
}

/** An instant as PostgreSQL's JSON spells it, in the one spelling that states, events and views use. */
export function instant(text: string): string
export function instant(text: string | null): string | null
export function instant(text: string | null): string | null {
  if (text === null) return null
  if (!text.endsWith('+00:00')) return new Date(text).toISOString()
  // sessions are in UTC, so that there is nothing to convert; only the milliseconds may be short
  const local = text.slice(0, -6)
  return local.length === 19 ? `${local}.000Z` : `${local.padEnd(23, '0')}Z`
}
