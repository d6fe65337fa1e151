import { expect, test } from 'vitest'
import { system } from '../../src/commit/aggregate.ts'
import { registerUser } from '../../src/identity/registerUser.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf, type UserState } from '../../src/identity/userAggregate.ts'
import { globalId } from '../api.ts'
import { ownDatabase } from '../ownDatabase.ts'
import { run } from '../program.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()

/** Registers a user with sessions that end in so many seconds, or ended so many ago. */
async function register(userId: string, role: UserState['role'], seconds: readonly number[] = []) {
  await commit(registerUser, { actor: system, input: { userId, name: `${userId} the ${role}`, role } })
  for (const [i, end] of seconds.entries()) {
    const expiresAt = new Date(Date.now() + end * 1_000).toISOString()
    await commit(startSession, { actor: system, input: { userId, tokenHash: hashOf(`${userId}${i}`), expiresAt } })
  }
}
const list = (...options: string[]) => run(['user', 'list', ...options], { DATABASE_URL: w.url })
const json = async (...options: string[]) =>
  (await list('--json', ...options)).output
    .split('\n')
    .filter((line) => line)
    .map((line) => JSON.parse(line) as { id: string })

test('without users, it says that there are none, and with --json prints nothing', async () => {
  expect(await list()).toEqual({ code: 0, output: 'There are no users.\n', errors: '' })
  expect(await list('--json')).toEqual({ code: 0, output: '', errors: '' })
})

test('it lists users by id, each with its global id and the number of sessions that are valid', async () => {
  await register('cleo', 'LEARNER')
  await register('ada', 'INSTRUCTOR', [600, 600, -600])
  await register('bao', 'LEARNER', [600])
  const [{ createdAt } = { createdAt: new Date() }] = await w.query<{ createdAt: Date }>(
    `select "createdAt" from "User" where id = 'ada'`,
  )
  expect((await json())[0]).toEqual({
    id: 'ada',
    globalId: globalId('User', 'ada'),
    name: 'ada the INSTRUCTOR',
    role: 'INSTRUCTOR',
    createdAt: createdAt.toISOString(),
    sessions: 2,
  })
  const { code, output, errors } = await list()
  expect({ code, errors }).toEqual({ code: 0, errors: '' })
  const time = createdAt.toISOString()
  expect(output.replaceAll(/\d{4}-\S{19}/g, time)).toBe(
    [
      'id    globalId      role        createdAt                 sessions  name',
      `ada   VXNlcjphZGE=  INSTRUCTOR  ${time}  2         ada the INSTRUCTOR`,
      `bao   VXNlcjpiYW8=  LEARNER     ${time}  1         bao the LEARNER`,
      `cleo  VXNlcjpjbGVv  LEARNER     ${time}  0         cleo the LEARNER`,
      '',
    ].join('\n'),
  )
})

test('a page has as many as wanted, and says how to get the next one', async () => {
  await register('dana', 'LEARNER')
  const first = await list('--role', 'LEARNER', '--limit', '2')
  expect(first.errors).toBe('There are more: lockstep user list --role LEARNER --limit 2 --after cleo\n')
  expect(first.output.trimEnd().split('\n')).toHaveLength(3)
  const second = await list(...first.errors.trim().split(' ').slice(6))
  expect(second).toMatchObject({ code: 0, output: expect.stringMatching(/\ndana .*\n$/), errors: '' })
  expect((await json('--limit', '3')).map(({ id }) => id)).toEqual(['ada', 'bao', 'cleo'])
  expect((await json('--after', 'b')).map(({ id }) => id)).toEqual(['bao', 'cleo', 'dana'])
  expect(await list('--role', 'ADMIN', '--after', 'x')).toMatchObject({
    code: 0,
    output: 'There are no users with the role ADMIN after x.\n',
  })
})

test('it only reads: a database without tables stays without', async () => {
  const url = await ownDatabase('empty')
  expect(await run(['user', 'list'], { DATABASE_URL: url })).toEqual({
    code: 0,
    output: 'There are no users.\n',
    errors: '',
  })
})
