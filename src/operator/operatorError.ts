/**
 * An error that the operator can correct. It is shown as one sentence (what was found, what is wanted, what to do),
 * without a stack. The exit codes are those of sysexits.h.
 */
export class OperatorError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.name = 'OperatorError'
    this.exitCode = exitCode
  }
}

/**
 * Exit codes by their meaning. Every error that isn't an OperatorError exits with `software`.
 */
export const exitCode = {
  /** The command line is wrong. */
  usage: 64,
  /** This version cannot work with what the input, the database or the data folder holds. */
  data: 65,
  /** The database, or the port, is not available. */
  unavailable: 69,
  /** A mistake in the program. */
  software: 70,
  /** The operating system refuses something, such as a disk that is full. */
  system: 71,
  /** The same command may succeed later. */
  temporary: 75,
  /** Not permitted: a password, a folder's owner, a low port. */
  permission: 77,
  /** An environment variable is wrong. */
  config: 78,
} as const
