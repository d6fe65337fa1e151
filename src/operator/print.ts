import fs from 'node:fs'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Writes a command's answer, to standard output. */
export const print = (text: string) => void process.stdout.write(`${text}\n`)

/** Writes what a person should know while a command works, to standard error: it is no part of the answer. */
export const complain = (message: string) => report.write(`${message}\n`)

/** The log of the embedded database while a command works: warnings and errors only. */
export const quietLog = { info: () => {}, warn: complain, error: complain }

/** Writes a command's answer for programs. */
export const printJson = (value: unknown) => print(JSON.stringify(value))

/** An answer of a few values: a line each for people, one object for programs. */
export function printAnswer(values: Readonly<Record<string, string | number | boolean>>, asJson: boolean) {
  if (asJson) printJson(values)
  else print(aligned(Object.entries(values).map(([name, value]) => [name, String(value)])))
}

/** How many bytes may wait for a slow reader of standard error. */
const mostWaiting = 8 * 2 ** 20

/**
 * Standard error, such that writing to it never fails and never waits. On a full disk lines are lost; the next line is
 * tried again. In a pipe with a slow reader, lines wait in memory; above 8 MiB they are left out, and a line says how
 * many once there is room. If the reader is gone, lines are dropped.
 */
export const report = {
  lost: 0,
  write(line: string) {
    const { stderr } = process
    try {
      // a file: after its first error, Node's own stream would write no more
      if (!(stderr instanceof net.Socket)) return void fs.writeSync(2, line)
      if (stderr.listenerCount('error', ignore) === 0) stderr.on('error', ignore)
      if (stderr.writableLength > mostWaiting) return void report.lost++
      if (report.lost) {
        const msg = `${report.lost} lines were left out: nobody read them.`
        stderr.write(`${JSON.stringify({ level: 40, time: Date.now(), msg })}
`)
      }
      report.lost = 0
      stderr.write(line)
    } catch {}
  },
  /** Resolves when everything was read, or after a second. */
  async flush() {
    const { stderr } = process
    if (stderr instanceof net.Socket && stderr.writableLength > 0 && !stderr.destroyed)
      await Promise.race([
        new Promise<void>((resolve) => stderr.write('', () => resolve())),
        sleep(1_000, undefined, { ref: false }),
      ])
  },
}

const ignore = () => {}

/** A command as the reader can run it: after a clone `lockstep` is not on the PATH, only an npm script. */
export function commandLine(words: string): string {
  // biome-ignore lint/style/noProcessEnv: not a setting; npm says here how this process was started
  const { npm_lifecycle_event: script = '' } = process.env
  return ['lockstep', 'start', 'dev'].includes(script) ? `npm run lockstep -- ${words}` : `lockstep ${words}`
}

/** Rows as aligned columns, for people. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]!.length))) ?? []
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  '))
    .join('\n')
}
