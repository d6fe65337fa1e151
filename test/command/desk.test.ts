import { expect, test } from 'vitest'
import { desk } from '../../src/command/desk.ts'
import { system } from '../../src/commit/aggregate.ts'
import { Busy, Unavailable } from '../../src/commit/errors.ts'
import { registerUser } from '../../src/identity/registerUser.ts'
import { parseConfig } from '../../src/operator/config.ts'
import { world } from '../world.ts'

const w = await world()
const { work, look } = desk(parseConfig({ DATABASE_URL: w.url }))
const interrupt = (signal: 'SIGINT' | 'SIGTERM') => process.emit(signal, signal)

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a %s reaches the work, which ends in order with exit code %i', async (signal, exitCode) => {
  const done: string[] = []
  const working = work(async ({ db, commit, signal: interrupted, stopIfInterrupted }) => {
    stopIfInterrupted('Not yet.')
    interrupt(signal)
    expect(interrupted.aborted).toBe(true)
    await commit(registerUser, { actor: system, input: { userId: signal, name: 'Ada', role: 'LEARNER' } })
    done.push('committed')
    expect(await db.user.count({ where: { id: signal } })).toBe(1)
    stopIfInterrupted('Interrupted after the first.')
    done.push('went on')
  })
  await expect(working).rejects.toMatchObject({ exitCode, message: 'Interrupted after the first.' })
  expect(done).toEqual(['committed'])
})

test('an interruption before the work begins: it does not, and nothing was changed', async () => {
  const working = work(async () => 'worked')
  interrupt('SIGINT')
  await expect(working).rejects.toMatchObject({ exitCode: 130, message: 'Interrupted. Nothing was changed.' })
})

test('afterwards, nobody listens to signals any more', async () => {
  const before = process.listenerCount('SIGINT')
  await work(async () => expect(process.listenerCount('SIGINT')).toBe(before + 1))
  expect(process.listenerCount('SIGINT')).toBe(before)
})

test.each([
  [new Unavailable(), 69, /^The database went away\. What was committed stays; run the same command again\.$/],
  [new Busy(), 75, /^Another change .* Run the same command again\.$/],
])('%s is said to the operator, with exit code %i', async (error, exitCode, message) => {
  const failing = () => Promise.reject(error)
  const expected = { name: 'OperatorError', exitCode, message: expect.stringMatching(message) }
  await expect(work(failing)).rejects.toMatchObject(expected)
  await expect(look({ empty: failing, found: failing })).rejects.toMatchObject(expected)
})
