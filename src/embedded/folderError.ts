import { exitCode, OperatorError } from '../operator/operatorError.ts'

/** Whether PostgreSQL reports a full disk; it has several ways to. */
export const isDiskFull = (said: string) =>
  /No space left on device|Check free disk space|Disk quota exceeded/.test(said)

/**
 * An OperatorError for an error of the operating system about a folder, or of PostgreSQL about the disk; any other
 * error as it is.
 */
export function explained(error: unknown, folder: string): unknown {
  // untyped where it is caught; an error of PostgreSQL has no path
  const { code: found, path: where = folder, message } = error as NodeJS.ErrnoException
  const code = isDiskFull(message) ? 'ENOSPC' : found
  const elsewhere = 'set LOCKSTEP_DATA to another folder'
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return new OperatorError(
        `The data folder cannot be used: ${where} may not be written to. Change its permissions, or ${elsewhere}.`,
        exitCode.permission,
      )
    case 'EROFS':
      return new OperatorError(
        `The data folder cannot be used: ${where} is on a file system that is read-only. Please ${elsewhere}.`,
        exitCode.permission,
      )
    case 'EEXIST':
    case 'ENOTDIR':
      return new OperatorError(
        `The data folder cannot be used: ${where} is, or is below, something that is not a folder. Please ` +
          `${elsewhere}.`,
        exitCode.data,
      )
    case '53100': // PostgreSQL's own
    case 'ENOSPC':
    case 'EDQUOT':
      return new OperatorError(
        `The disk is full: the data folder ${folder} could not be written to. Make room, or ${elsewhere}.`,
        exitCode.system,
      )
    default:
      return error
  }
}
