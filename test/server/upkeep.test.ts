import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Chore } from '../../src/api/module.ts'
import { choresOf, Upkeep } from '../../src/server/upkeep.ts'
import { world } from '../world.ts'

const HOUR = 3_600_000
const w = await world()
const { db, commit } = w.process()

/** An upkeep that runs these chores, and what it logs. */
function upkeep(...chores: Chore[]) {
  const logged: [level: string, detail: object, message: string][] = []
  const write = (level: string) => (detail: object, message: string) => void logged.push([level, detail, message])
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  return { upkeep: new Upkeep(chores, { db, commit, log }), logged }
}

describe('a chore', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('runs at once and every hour, and is logged if it had something to do', async () => {
    const done = [3, 0, 2]
    let runs = 0
    const chore: Chore = { name: 'sweep', run: async () => done[runs++]! }
    const { upkeep: running, logged } = upkeep(chore)
    for (let hour = 1; hour <= done.length; hour++) {
      await vi.advanceTimersByTimeAsync(hour === 1 ? 0 : HOUR - 1)
      if (hour > 1) expect(runs).toBe(hour - 1)
      if (hour > 1) await vi.advanceTimersByTimeAsync(1)
      expect(runs).toBe(hour)
    }
    await running.stop()
    expect(logged).toEqual([
      ['info', { chore: 'sweep', done: 3 }, 'A chore was done.'],
      ['info', { chore: 'sweep', done: 2 }, 'A chore was done.'],
    ])
  })

  test('that fails is logged, holds no other up, and runs again at the next hour', async () => {
    const error = new Error('out of reach')
    let [failures, others] = [0, 0]
    const failing: Chore = { name: 'failing', run: async () => (failures++ ? 0 : Promise.reject(error)) }
    const throwing: Chore = {
      name: 'throwing',
      run() {
        throw error
      },
    }
    const other: Chore = { name: 'other', run: async () => others++ && 0 }
    const { upkeep: running, logged } = upkeep(failing, throwing, other)
    await vi.advanceTimersByTimeAsync(0)
    const lines = (...chores: string[]) =>
      chores.map((chore) => ['warn', { err: error, chore }, 'A chore failed; trying again in an hour.'])
    expect(logged).toEqual(lines('throwing', 'failing'))
    await vi.advanceTimersByTimeAsync(HOUR)
    expect(logged).toEqual(lines('throwing', 'failing', 'throwing'))
    expect([failures, others]).toEqual([2, 2])
    await running.stop()
  })

  test('that takes longer than an hour never runs twice at a time, and holds no other up', async () => {
    let [atOnce, most, runs, others] = [0, 0, 0, 0]
    const long: Chore = {
      name: 'long',
      async run() {
        most = Math.max(most, ++atOnce)
        runs++
        await new Promise((resolve) => setTimeout(resolve, 1.5 * HOUR))
        atOnce--
        return 0
      },
    }
    const { upkeep: running } = upkeep(long, { name: 'other', run: async () => others++ && 0 })
    await vi.advanceTimersByTimeAsync(3 * HOUR)
    expect([most, runs, others]).toEqual([1, 2, 4]) // each time an hour after it ended
    const stopped = running.stop()
    await vi.advanceTimersByTimeAsync(2 * HOUR)
    await stopped
    expect(runs).toBe(2)
  })

  test('is aborted by a stop, which waits until it has ended and begins nothing more', async () => {
    let runs = 0
    let isOver = false
    const chore: Chore = {
      name: 'sweep',
      async run({ signal }) {
        runs++
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        await new Promise((resolve) => setTimeout(resolve, 1_000))
        isOver = true
        return 0
      },
    }
    const { upkeep: running } = upkeep(chore)
    await vi.advanceTimersByTimeAsync(2 * HOUR)
    expect([runs, isOver]).toEqual([1, false])
    let isStopped = false
    const stopped = running.stop().then(() => (isStopped = true))
    await vi.advanceTimersByTimeAsync(999)
    expect(isStopped).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await stopped
    expect(isOver).toBe(true)
    await vi.advanceTimersByTimeAsync(3 * HOUR)
    expect(runs).toBe(1)
  })
})

describe('the chores of a process', () => {
  const more: Chore = { name: 'sweep', run: async () => 0 }
  const named = (journalDays: number) =>
    choresOf({ idempotencyKeyDays: 30, journalDays, aggregates: [], modules: [{ chores: [more] }, {}] })

  test('are those of the commits, the journal and the modules; the journal has none with 0 days', () => {
    const names = (journalDays: number) => named(journalDays).map(({ name }) => name)
    expect(names(60)).toEqual(['forget old idempotency keys', 'fold old events', 'sweep'])
    expect(names(0)).toEqual(['forget old idempotency keys', 'sweep'])
  })

  test('forget old idempotency keys at once', async () => {
    await w.query(
      `insert into "IdempotencyKey" select 'ada', n::text, '', 1, '{}', now() - make_interval(days => n)
        from generate_series(29, 32) n`,
    )
    const { upkeep: running, logged } = upkeep(...named(0))
    const line = ['info', { chore: 'forget old idempotency keys', done: 3 }, 'A chore was done.']
    await vi.waitFor(() => expect(logged).toEqual([line]), { timeout: 10_000 })
    expect(await w.query('select key from "IdempotencyKey"')).toEqual([{ key: '29' }])
    await running.stop()
  })
})
