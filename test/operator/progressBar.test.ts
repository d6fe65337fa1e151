import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { report } from '../../src/operator/print.ts'
import { progressBar } from '../../src/operator/progressBar.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Standard error as it would be in a terminal or in a pipe; what is written there is kept. */
function output(isTTY: boolean, columns = 100) {
  const written: string[] = []
  const stream = { isTTY, columns, write: (text: string) => written.push(text) }
  return { written, stream: stream as unknown as typeof process.stderr } // of a stream, a bar uses no more than this
}

test('in a terminal it is drawn with what is left, ten times a second at most, and removed at the end', () => {
  const { written, stream } = output(true)
  const bar = progressBar('roots', 4_000, undefined, stream)
  vi.advanceTimersByTime(30_000)
  bar.update(1_000)
  vi.advanceTimersByTime(99)
  bar.update(1_001)
  vi.advanceTimersByTime(1)
  bar.update(5_000)
  bar.stop()
  expect(written).toEqual([
    `\r\x1b[K${'█'.repeat(10)}${'░'.repeat(30)} 1,000 of 4,000 roots, 1m30s left`,
    `\r\x1b[K${'█'.repeat(40)} 4,000 of 4,000 roots, 0s left`,
    '\r\x1b[K',
  ])
})

test('it fits into the terminal, and takes a total that is known only later', () => {
  const { written, stream } = output(true, 20)
  const bar = progressBar('roots', undefined, undefined, stream)
  bar.update(0, 50)
  expect(written).toEqual([`\r\x1b[K${'░'.repeat(19)}`])
})

test('for a single thing there is none', () => {
  const { written, stream } = output(true)
  const bar = progressBar('roots', 1, undefined, stream)
  bar.update(1)
  bar.stop()
  expect(written).toEqual([])
})

test('elsewhere it is a line every five seconds, where such lines are wanted', () => {
  const complained: string[] = []
  vi.spyOn(report, 'write').mockImplementation((line) => void complained.push(line))
  const { written, stream } = output(false)
  const bar = progressBar('roots', 4_000, 'Roots folded', stream)
  const silent = progressBar('roots', 4_000, undefined, stream)
  for (let done = 0; done <= 4_000; done += 1_000) {
    for (const each of [bar, silent]) each.update(done)
    vi.advanceTimersByTime(3_000)
  }
  for (const each of [bar, silent]) each.stop()
  expect(complained).toEqual(['Roots folded: 2,000 of 4,000\n', 'Roots folded: 4,000 of 4,000\n'])
  expect(written).toEqual([])
})
