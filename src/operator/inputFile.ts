import { createReadStream } from 'node:fs'
import { InvalidFile } from './jsonFile.ts'
import { exitCode, OperatorError } from './operatorError.ts'

/** sysexits.h: the input file did not exist. */
const noInput = 66

/** What is in a file, or its beginning, one byte longer than may be. `kind` is what the file should be. */
export async function bytesOf(file: string, largest: number, kind: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    // one byte more than may be, and no further: it may be endless. Read as it comes, since it may be a pipe.
    for await (const chunk of createReadStream(file, { end: largest })) chunks.push(chunk as Buffer)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EISDIR') throw new OperatorError(`${file} is a folder. Name the ${kind} in it.`, exitCode.data)
    if (code === 'EACCES' || code === 'EPERM')
      throw new OperatorError(`${file} may not be read by this user.`, exitCode.permission)
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(code!))
      throw new OperatorError(`There is no file ${file}.`, noInput)
    throw new OperatorError(`${file} cannot be read: ${message}.`, exitCode.system)
  }
  return Buffer.concat(chunks)
}

/** More than this of what is wrong with a file is not read by anybody. */
const most = 20

/** What is wrong with a file, a line each. */
export function problemLines(problems: InvalidFile['problems']): string[] {
  const lines = problems.slice(0, most).map(({ where, why }) => `  ${where && `${where}: `}${why}.`)
  return problems.length > most ? [...lines, `  And ${problems.length - most} more.`] : lines
}

/** What the reader makes of a file; what is wrong with it is told to the operator, and nothing is done. */
export function readWhole<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof InvalidFile)) throw error
    throw refused(file, error.problems)
  }
}

/** That a file is not imported, and why. */
export const refused = (file: string, problems: InvalidFile['problems'], hint = '') =>
  new OperatorError(
    [`${file} cannot be imported; nothing was changed.`, ...problemLines(problems), ...(hint ? [hint] : [])].join('\n'),
    exitCode.data,
  )
