import { createReadStream } from 'node:fs'
import { errorCode } from './errorCode.ts'
import { InvalidFile } from './jsonFile.ts'
import { exitCode, OperatorError } from './operatorError.ts'

/** sysexits.h: the input file did not exist. */
const noInput = 66

/**
 * The contents of a file, but at most one byte more than `largest`: the caller refuses what is longer. `kind` names
 * what the file should be, for the errors. Throws an OperatorError if the file cannot be read.
 */
export async function bytesOf(file: string, largest: number, kind: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    // no further than needed: the file may be endless; and as a stream: it may be a pipe
    for await (const chunk of createReadStream(file, { end: largest })) chunks.push(chunk as Buffer)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EISDIR') throw new OperatorError(`${file} is a folder. Name the ${kind} in it.`, exitCode.data)
    if (code === 'EACCES' || code === 'EPERM')
      throw new OperatorError(`${file} may not be read by this user.`, exitCode.permission)
    if (code && ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(code))
      throw new OperatorError(`There is no file ${file}.`, noInput)
    throw new OperatorError(
      `${file} cannot be read: ${error instanceof Error ? error.message : error}.`,
      exitCode.system,
    )
  }
  return Buffer.concat(chunks)
}

/** How many problems of a file are listed; nobody reads more. */
const most = 20

/** The problems of a file, a line each. */
export function problemLines(problems: InvalidFile['problems']): string[] {
  const lines = problems.slice(0, most).map(({ where, why }) => `  ${where && `${where}: `}${why}.`)
  return problems.length > most ? [...lines, `  And ${problems.length - most} more.`] : lines
}

/** Returns what `read` returns. Throws an OperatorError for an InvalidFile. */
export function readWhole<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof InvalidFile)) throw error
    throw refused(file, error.problems)
  }
}

/** The error for a file that is not imported, with its problems. */
export const refused = (file: string, problems: InvalidFile['problems'], hint = '') =>
  new OperatorError(
    [`${file} cannot be imported; nothing was changed.`, ...problemLines(problems), ...(hint ? [hint] : [])].join('\n'),
    exitCode.data,
  )
