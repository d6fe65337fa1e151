import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/**
 * Whether there is a process with this id. A zombie, which only waits for its parent to notice its end, does not count.
 */
export const isAlive = (pid: number): boolean => programOf(pid) !== undefined

/** The name of the program that a living process runs. */
export function programOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      const [status = '', ...name] = execFileSync('ps', ['-o', 'state=,comm=', '-p', String(pid)], { encoding: 'utf8' })
        .trim()
        .split(/\s+/)
      return status.startsWith('Z') ? undefined : path.basename(name.join(' '))
    }
    const [, name, status] = /\((.*)\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return status === 'Z' || status === 'X' ? undefined : name
  } catch {
    return undefined
  }
}
