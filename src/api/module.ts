import type { Aggregate, Verb } from '../commit/aggregate.ts'
import type { Log } from '../operator/log.ts'
import type { Repeated } from '../operator/repeat.ts'
import type { Command } from './command.ts'
import type { Workplace } from './workplace.ts'

/** What a module has. `modules.ts` lists the modules; nothing else outside a module's folder names what is in it. */
export interface Module {
  readonly name: string
  /** Its kinds of roots. */
  readonly aggregates: readonly AnyAggregate[]
  /** Its mutations, and what operators and reactions ask. */
  readonly verbs: readonly AnyVerb[]
  /** Its types of the API. Listing a type makes it and the queries of its file part of the schema. */
  readonly nouns: readonly object[]
  /** Its subscriptions. Listing one makes it part of the schema. */
  readonly streams?: readonly object[]
  readonly reactions?: readonly Reaction[]
  readonly chores?: readonly Chore[]
  readonly commands?: readonly Command[]
  /** Tabs of GraphiQL, in order, where there is a demo. */
  readonly examples?: readonly Example[]
  /** Fills an empty database with something to look at. Safe to repeat. */
  readonly demo?: (at: Workplace) => Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: a list of different aggregates; each is used with its own types only
export type AnyAggregate = Aggregate<any>
// biome-ignore lint/suspicious/noExplicitAny: likewise
export type AnyVerb = Verb<any, any, any>

/** What follows from commits of one kind of root, beside the request. */
export interface Reaction {
  readonly name: string
  /** The table of the roots whose commits it follows. */
  readonly root: string
  start(at: Workplace & { readonly log: Log }): Repeated
}

/** What is done once an hour, in one process or several. */
export interface Chore {
  readonly name: string
  /** Resolves with how many things it has done; the log tells if there were any. */
  run(at: Workplace & { readonly signal: AbortSignal }): Promise<number>
}

/** A tab of GraphiQL: an operation that runs as it is, in any order, with one of the demo's tokens. */
export interface Example {
  readonly token: string
  readonly query: string
  readonly variables?: object
}
