import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { system } from '../../src/commit/aggregate.ts'
import { Forbidden } from '../../src/commit/errors.ts'
import { expiredSessions } from '../../src/identity/expiredSessions.ts'
import { removeExpiredSessions } from '../../src/identity/removeExpiredSessions.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf, type Users, users } from '../../src/identity/userAggregate.ts'
import { academy } from '../academy.ts'
import { fold, outcome, sorted, stored, world } from '../world.ts'

const w = await world()
const [one, other] = [w.process(), w.process({ isolation: 'repeatable-read' })]
const { person } = academy(one.commit)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const idle = new AbortController().signal

/** Starts a session that ends so long from now, or ended so long ago; returns its id. */
async function session(userId: string, endsIn: number, { commit } = one): Promise<string> {
  const tokenHash = hashOf(randomUUID())
  const expiresAt = new Date(Date.now() + endsIn).toISOString()
  await commit(startSession, { actor: system, input: { userId, tokenHash, expiresAt } })
  return tokenHash.slice(0, 16)
}

const run = ({ db, commit } = one, signal: AbortSignal = idle) => expiredSessions.run({ db, commit, signal })

const sessionsOf = async (userId: string) =>
  (await w.query<{ id: string }>('select id from "Session" where "userId" = $1', [userId])).map(({ id }) => id).sort()

/** Expects that versions have no gaps and that the history folds to the rows; returns the kinds of its events. */
async function expectFold(userId: string): Promise<string[]> {
  const history = await w.history('User', userId)
  expect(history.map(({ version }) => version)).toEqual(history.map((_, i) => i + 1))
  const rows = users.rows(fold<Users>(users, userId, history))
  const where: Record<string, [string, string]> = { User: ['id', userId], Session: ['userId', userId] }
  const { aggregate: _, ...now } = await stored((text, values) => w.query(text, values), users, rows, where)
  expect(now).toEqual(sorted(rows))
  return history.map(({ kind }) => kind)
}

describe('expiredSessions', () => {
  test(
    'removes sessions that expired more than a day ago; valid ones stay, and history folds to ' + 'the rows',
    async () => {
      const [{ id: ada }, { id: bao }] = [await person(), await person()]
      const valid = await sessionsOf(ada) // each person has one
      await session(ada, -2 * DAY)
      await session(ada, -30 * DAY)
      const soon = await session(ada, HOUR)
      const justExpired = await session(bao, -HOUR)

      expect(await run()).toBe(2)
      expect(await sessionsOf(ada)).toEqual([...valid, soon].sort())
      expect(await sessionsOf(bao)).toContain(justExpired)
      expect(await expectFold(ada)).toEqual([
        'userRegistered',
        ...Array.from({ length: 4 }, () => 'sessionStarted'),
        ...Array.from({ length: 2 }, () => 'sessionEnded'),
      ])
      expect((await w.history('User', ada)).at(-1)).toMatchObject({ actor: 'system' })
    },
  )

  test('the second run changes nothing', async () => {
    const { id } = await person()
    await session(id, -2 * DAY)
    expect(await run()).toBe(1)
    const before = await w.query('select count(*)::int as count from "Event"')
    expect(await run()).toBe(0)
    expect(await w.query('select count(*)::int as count from "Event"')).toEqual(before)
  })

  test('of a user whom it finds, it removes the sessions that expired less than a day ago too', async () => {
    const { id } = await person()
    const [valid] = await sessionsOf(id)
    await session(id, -2 * DAY)
    await session(id, -HOUR)
    expect(await run()).toBe(2)
    expect(await sessionsOf(id)).toEqual([valid])
    await expectFold(id)
  })

  test(
    'two processes at once, and sessions that start at the same moment: each expired one is removed once, ' +
      'no other',
    async () => {
      const people = await Promise.all(Array.from({ length: 8 }, () => person()))
      for (const { id } of people) for (let days = 2; days < 5; days++) await session(id, -days * DAY)
      const started = people.flatMap(({ id }) => [session(id, HOUR), session(id, HOUR, other)])
      const [ours, theirs] = await Promise.all([run(one), run(other)])
      await Promise.all(started)
      expect(ours + theirs).toBe(24)
      for (const { id } of people) {
        const kinds = await expectFold(id)
        expect(kinds.filter((kind) => kind === 'sessionEnded')).toHaveLength(3)
        expect(await sessionsOf(id)).toHaveLength(3)
      }
      expect(await run()).toBe(0)
    },
  )

  test('it goes through all pages, also where sessions expired at the same moment', async () => {
    const { id } = await person()
    // rows by hand, since there are many; the verb reads rows
    await w.query(
      `insert into "Session" (id, "userId", "tokenHash", "createdAt", "expiresAt")
       select 'bulk' || n, $1, 'bulk' || n, now() - interval '9 days', '2024-01-01' from generate_series(1, 501) n`,
      [id],
    )
    const { id: last } = await person()
    await session(last, -2 * DAY)
    expect(await run()).toBe(502)
    expect(await run()).toBe(0)
  })

  test('it stops when it is aborted, and the next run does the rest', async () => {
    const people = await Promise.all(Array.from({ length: 5 }, () => person()))
    for (const { id } of people) await session(id, -2 * DAY)
    const ended = new AbortController()
    const commit: typeof one.commit = (verb, asked) => {
      ended.abort()
      return one.commit(verb, asked)
    }
    expect(await run({ ...one, commit }, ended.signal)).toBe(1)
    expect(await run(one, ended.signal)).toBe(0)
    expect(await run()).toBe(4)
  })

  test(
    'a user who fails does not keep the others from being done; then it rejects, and the next run ' + 'tries again',
    async () => {
      const people = await Promise.all(Array.from({ length: 3 }, () => person()))
      for (const { id } of people) await session(id, -2 * DAY)
      const failing: typeof one.commit = (verb, asked) =>
        verb.root(asked.input) === people[0]!.id ? Promise.reject(new Error('stuck')) : one.commit(verb, asked)
      await expect(run({ ...one, commit: failing })).rejects.toThrow('stuck')
      expect(await Promise.all(people.map(async ({ id }) => (await sessionsOf(id)).length))).toEqual([2, 1, 1])
      expect(await run()).toBe(1)
    },
  )

  test('a user who is deleted in the meantime is no failure', async () => {
    const { id } = await person()
    await session(id, -2 * DAY)
    const commit: typeof one.commit = async (verb, asked) => {
      await w.query('delete from "User" where id = $1', [id])
      return one.commit(verb, asked)
    }
    expect(await run({ ...one, commit })).toBe(0)
  })

  test('the look-up can use the index on expiresAt', async () => {
    const client = await w.psql.connect()
    await client.query('set enable_seqscan = off') // the table is small here
    const { rows } = await client.query(
      `explain select id from "Session" where "expiresAt" < now() - interval '1 day'
         and ("expiresAt", id) > ('-infinity'::text::timestamptz, '') order by "expiresAt", id limit 500`,
    )
    client.release(true)
    expect(JSON.stringify(rows)).toContain('Session_expiresAt_idx')
  })
})

test('only admins and the operator remove expired sessions', async () => {
  const [learner, instructor] = [await person(), await person('INSTRUCTOR')]
  await session(learner.id, -HOUR)
  const input = { userId: learner.id }
  for (const { actor } of [learner, instructor])
    expect(await outcome(one.commit(removeExpiredSessions, { actor, input }))).toBeInstanceOf(Forbidden)
  expect(await one.commit(removeExpiredSessions, { actor: system, input })).toMatchObject({ answer: { removed: 1 } })
  expect(await one.commit(removeExpiredSessions, { actor: system, input })).toMatchObject({
    changed: false,
    answer: { removed: 0 },
  })
})
