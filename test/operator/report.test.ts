import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { beforeAll, expect, test } from 'vitest'

/** Writes lines to a standard error that nobody reads yet, then says on standard output how long that took. */
const script = (count: number) => `
  import { report } from './src/operator/print.ts'
  const since = performance.now()
  for (let i = 0; i < ${count}; i++) report.write(i + 'x'.repeat(1000) + '\\n')
  console.log(performance.now() - since)
  process.once('SIGTERM', async () => {
    report.write('last\\n')
    await report.flush()
    process.exit(0)
  })
  setInterval(() => {}, 1000)`

/**
 * Where tsx's cache lacks a file, it starts esbuild, which shares our standard error and makes writing to it wait for
 * the reader. So the file is put into the cache first.
 */
beforeAll(() => {
  const load = ['--import', 'tsx', '--input-type=module', '-e', "import './src/operator/print.ts'"]
  expect(spawnSync(process.execPath, load, { stdio: 'ignore' }).status).toBe(0)
})

test.each([
  ['none is lost of a few thousand', 4_000, 0],
  ['above 8 MiB they are left out, and it is said how many', 20_000, 5_000],
])('lines that are read late hold nobody up: %s', async (_, count, least) => {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [took] = (await once(child.stdout, 'data')) as [Buffer]
  expect(Number(took)).toBeLessThan(5_000)
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (more: string) => (text += more))
  const closed = once(child, 'close')
  while (text.length < 1_001 * Math.min(count, 8_000)) await once(child.stderr, 'data')
  await new Promise((resolve) => setTimeout(resolve, 200))
  child.kill('SIGTERM')
  expect(await closed).toEqual([0, null])
  const lines = text.trim().split('\n')
  expect(lines.at(-1)).toBe('last')
  const lost = Number(/(\d+) lines were left out/.exec(text)?.[1] ?? 0)
  expect(lost).toBeGreaterThanOrEqual(least)
  expect(lines.filter((line) => line.endsWith('x'))).toHaveLength(count - lost)
})
