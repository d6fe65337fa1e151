import fs from 'node:fs'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a command answers goes to standard output; what it reports meanwhile, to standard error. */
export const print = (text: string) => void process.stdout.write(`${text}\n`)

/** What a person should know while a command works, which is no part of its answer. */
export const complain = (message: string) => report.write(`${message}\n`)

/** Where the embedded database tells of itself while a command works: only what somebody should know. */
export const quietLog = { info: () => {}, warn: complain, error: complain }

/** For programs that read the answer. */
export const printJson = (value: unknown) => print(JSON.stringify(value))

/** An answer of a few values: a line each for people, one object for programs. */
export function printAnswer(values: Readonly<Record<string, string | number | boolean>>, asJson: boolean) {
  if (asJson) printJson(values)
  else print(columns(Object.entries(values).map(([name, value]) => [name, String(value)])))
}

/** How much waits, in bytes, for whoever reads standard error through a pipe. */
const mostWaiting = 8 * 2 ** 20

/**
 * Standard error, for what must not fail because nobody can be told. A disk that is full loses the lines that it has no
 * room for, and is tried again with the next. A pipe whose reader is slow holds nobody up: Node keeps the lines until
 * they are read. Above 8 MiB lines are left out, and when there is room again, it is said how many. A reader that is
 * gone is told nothing.
 */
export const report = {
  lost: 0,
  write(line: string) {
    const { stderr } = process
    try {
      // a file; after its first error, Node's own stream would write to it no more
      if (!(stderr instanceof net.Socket)) return void fs.writeSync(2, line)
      if (stderr.listenerCount('error', ignore) === 0) stderr.on('error', ignore)
      if (stderr.writableLength > mostWaiting) return void report.lost++
      const msg = `${report.lost} lines were left out: nobody read them.`
      if (report.lost) stderr.write(`${JSON.stringify({ level: 40, time: Date.now(), msg })}\n`)
      report.lost = 0
      stderr.write(line)
    } catch {}
  },
  /** Until what waits was read, but not for long. */
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

/** A command as whoever reads of it can run it: after a clone, nothing is on the PATH, and they came by npm. */
export function commandLine(words: string): string {
  // biome-ignore lint/style/noProcessEnv: no setting, but npm's word on how this process was started
  const { npm_lifecycle_event: script = '' } = process.env
  return ['lockstep', 'start', 'dev'].includes(script) ? `npm run lockstep -- ${words}` : `lockstep ${words}`
}

/** Words in columns, for people. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]!.length))) ?? []
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  '))
    .join('\n')
}
