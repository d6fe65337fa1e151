import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isAlive } from './livingProcess.ts'

/**
 * A name beside `place`, for this process alone. What several processes may make at once, each makes under such a name
 * and then renames to `place`, which succeeds for the first.
 */
export const temporaryName = (place: string) => `${place}.new-${process.pid}-${randomBytes(6).toString('hex')}`

/** Removes what processes that were killed have left in the folder under temporary names. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /\.new-(\d+)-/.exec(name)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(path.join(folder, name), { recursive: true, force: true })
  }
}
