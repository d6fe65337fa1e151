import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isAlive } from './livingProcess.ts'

/**
 * A name beside `place`, for this process alone: what several may make at once is made there by each, then moved into
 * place by whoever is first.
 */
export const aside = (place: string) => `${place}.new-${process.pid}-${randomBytes(6).toString('hex')}`

/** Removes what processes that were killed meanwhile left there. */
export async function removeLeftovers(folder: string) {
  for (const name of await readdir(folder)) {
    const pid = /\.new-(\d+)-/.exec(name)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(path.join(folder, name), { recursive: true, force: true })
  }
}
