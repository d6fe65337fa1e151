import { exitCode, OperatorError } from '../operator/operatorError.ts'

/** PostgreSQL has several ways to say so. */
export const isDiskFull = (said: string) =>
  /No space left on device|Check free disk space|Disk quota exceeded/.test(said)

/** One sentence for what an operating system says about a folder, or PostgreSQL about the disk. */
export function explained(error: unknown, folder: string): unknown {
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
