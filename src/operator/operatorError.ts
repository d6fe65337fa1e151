/**
 * What went wrong is for whoever runs the program to put right: it is told in one sentence (what was found, what is
 * wanted, what to do), without a stack. The exit codes are those of sysexits.h.
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
 * Exit codes by what they mean; 70, a mistake in the program itself, is for every error that isn't an OperatorError.
 */
export const exitCode = {
  /** The command line can't be meant. */
  usage: 64,
  /** What is in the database or the data folder is not what this version can work with. */
  data: 65,
  /** The database, or the port, can't be had. */
  unavailable: 69,
  /** A mistake in the program. */
  software: 70,
  /** The operating system refuses something, such as a disk that is full. */
  system: 71,
  /** It may succeed when it is tried again. */
  temporary: 75,
  /** Somebody may not do this: a password, a folder's owner, a low port. */
  permission: 77,
  /** An environment variable. */
  config: 78,
} as const
