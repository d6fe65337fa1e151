import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, inject, test, vi } from 'vitest'

/** Writes lines to a standard error that nobody reads yet, then says on standard output how long that took. */
const script = (count: number) => `
  import { report } from '${pathToFileURL(path.join(inject('program'), '../operator/print.js'))}'
  const since = performance.now()
  for (let i = 0; i < ${count}; i++) report.write(i + 'x'.repeat(1000) + '\\n')
  process.once('SIGTERM', async () => {
    report.write('last\\n')
    await report.flush()
    process.exit(0)
  })
  setInterval(() => {}, 1000)
  console.log(performance.now() - since)`

const undo: (() => unknown)[] = []
afterEach(() => {
  for (const step of undo.splice(0)) step()
})

test.each([
  ['none is lost of a few thousand', 4_000, 0],
  ['above 8 MiB they are left out, and it is said how many', 20_000, 5_000],
])('lines that are read late hold nobody up: %s', async (_, count, least) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  undo.push(() => child.kill('SIGKILL'))
  const closed = once(child, 'close')
  let took = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (took += more))
  // that it has ended is awaited too: a child that could not begin says why, instead of being waited for
  await Promise.race([closed, vi.waitUntil(() => took.includes('\n'), { timeout: 30_000, interval: 10 })])
  expect(took, String(child.exitCode === null ? '' : child.stderr.read())).not.toBe('')
  expect(Number(took)).toBeLessThan(5_000)
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (more: string) => (text += more))
  await vi.waitUntil(() => text.length >= 1_001 * Math.min(count, 8_000), { timeout: 30_000, interval: 10 })
  await new Promise((resolve) => setTimeout(resolve, 200))
  child.kill('SIGTERM')
  expect(await closed).toEqual([0, null])
  const lines = text.trim().split('\n')
  expect(lines.at(-1)).toBe('last')
  const lost = Number(/(\d+) lines were left out/.exec(text)?.[1] ?? 0)
  expect(lost).toBeGreaterThanOrEqual(least)
  expect(lines.filter((line) => line.endsWith('x'))).toHaveLength(count - lost)
})
