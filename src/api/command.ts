import type { ArgsDef, ParsedArgs } from 'citty'
import type { Workplace } from './workplace.ts'

/** A command of a module, by its words: `['import', 'exercism']` is `lockstep import exercism`. */
export interface Command {
  readonly words: readonly [group: string, name: string]
  /** Loads the command's file; called only when the command, or the help of its group, is asked for. */
  load(): Promise<AnyCommandDefinition>
}

/** What a command takes and does. Errors for the operator are OperatorErrors; each DomainError is shown as one. */
export interface CommandDefinition<A extends ArgsDef> {
  /** For the help. */
  readonly description: string
  /** For the help: one to three, each with its words, as it is typed after `lockstep`. */
  readonly examples: readonly string[]
  readonly args: A
  /** Prints its answer to standard output. */
  run(args: ParsedArgs<A>, desk: Desk): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: commands with different arguments; each is run with its own
export type AnyCommandDefinition = CommandDefinition<any>

/** The database of a command. It is opened by `look` or `work` and closed when that resolves or rejects. */
export interface Desk {
  /**
   * For what only reads, such as a dry run: nothing is written, so nothing is migrated either, and no data folder is
   * created. Calls `empty` if there is no database yet, or one without tables. Throws an OperatorError if migrations
   * are pending.
   */
  look<T>(cases: { empty(): T; found(at: Pick<Workplace, 'db'>): Promise<T> }): Promise<T>
  /** Migrates the database first. The first Ctrl-C only notifies the work, a second one ends the process at once. */
  work<T>(work: (at: Workplace & Interruption) => Promise<T>): Promise<T>
}

/** How work learns of a Ctrl-C, or a SIGTERM, so that it can end in order. */
export interface Interruption {
  readonly signal: AbortSignal
  /** If interrupted: throws an OperatorError with this sentence and the signal's exit code. */
  stopIfInterrupted(sentence: string): void
}

/** Declares a command, so that `run` gets the types of its arguments. */
export const command = <const A extends ArgsDef>(definition: CommandDefinition<A>): CommandDefinition<A> => definition

/** The option for programs that read the answer. */
export const json = { type: 'boolean', default: false, description: 'Answer in JSON' } as const

/** The option for those who want to look first. */
export const dryRun = {
  type: 'boolean',
  default: false,
  description: 'Say what would change, and change nothing',
} as const
