import type pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../src/operator/config.ts'
import { connect } from '../../src/database/client.ts'
import { migrationStatus } from '../../src/database/migrate.ts'
import { createPool, defaultPool } from '../../src/database/pool.ts'
import type { PoolOptions } from '../../src/operator/config.ts'
import { academy } from '../academy.ts'
import { learners, patience } from '../classroom.ts'
import { proxy } from '../proxy.ts'
import { outcome, race, world } from '../world.ts'

const w = await world()

function pooled(options: Partial<PoolOptions> = {}, url = w.url) {
  const pool = createPool(url, { ...defaultPool, ...options })
  w.onClose(() => pool.end())
  return pool
}
const sessions = (name = 'lockstep') =>
  w.query<{ pid: number }>(
    'select pid from pg_stat_activity where datname = current_database() and application_name = $1 order by pid',
    [name],
  )
const all = async (pool: pg.Pool, count: number) => {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()))
  const release = () => {
    for (const client of clients) client.release()
  }
  return { clients, release }
}
const pids = async (pool: pg.Pool, count: number) => {
  const { clients, release } = await all(pool, count)
  const found = await Promise.all(
    clients.map((client) => client.query<{ pid: number }>('select pg_backend_pid() as pid')),
  )
  release()
  return found.map(({ rows }) => rows[0]!.pid)
}

test('a connection lost while nobody listens to it ends no process: its next statement fails', async () => {
  const pool = pooled({ size: 1, max: 2 })
  const client = await pool.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const lost = new Promise((resolve) => client.once('end', resolve))
  const unheard: Error[] = []
  const hear = (error: Error) => unheard.push(error)
  process.on('uncaughtException', hear)
  try {
    await w.query('select pg_terminate_backend($1)', [rows[0]!.pid])
    await lost
    await expect(client.query('select 1')).rejects.toThrow('not queryable')
  } finally {
    process.off('uncaughtException', hear)
    client.release()
  }
  expect(unheard).toEqual([])
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

describe('the defaults', () => {
  test('20 connections are kept, 60 at most, for an hour, and validated after five idle seconds', () => {
    const { pool } = parseConfig({})
    expect(pool).toEqual(defaultPool)
    expect(pool).toMatchObject({
      size: 20,
      max: 60,
      recycleSeconds: 3_600,
      validateIdleSeconds: 5,
      waitMs: 10_000,
      isolation: 'read-committed',
    })
    const { options } = pooled()
    expect(options).toMatchObject({ min: 20, max: 60, maxLifetimeSeconds: 3_600, connectionTimeoutMillis: 10_000 })
  })

  test('inner time limits are shorter than outer ones', () => {
    expect(defaultPool.lockTimeoutMs).toBeLessThan(defaultPool.statementTimeoutMs)
    expect(defaultPool.statementTimeoutMs).toBeLessThan(defaultPool.idleTransactionTimeoutMs)
  })
})

describe('a session', () => {
  test.each(['read-committed', 'repeatable-read'] as const)(
    'is in UTC, bounds each wait, and is at %s',
    async (isolation) => {
      const pool = pooled({
        isolation,
        lockTimeoutMs: 1_234,
        statementTimeoutMs: 5_678,
        idleTransactionTimeoutMs: 9_012,
      })
      const { rows } = await pool.query(`select name, setting from pg_settings where name = any($1) order by name`, [
        [
          'TimeZone',
          'lock_timeout',
          'statement_timeout',
          'idle_in_transaction_session_timeout',
          'default_transaction_isolation',
          'transaction_isolation',
          'application_name',
          'jit',
        ],
      ])
      expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
        TimeZone: 'UTC',
        application_name: 'lockstep',
        lock_timeout: '1234',
        statement_timeout: '5678',
        idle_in_transaction_session_timeout: '9012',
        default_transaction_isolation: isolation.replace('-', ' '),
        transaction_isolation: isolation.replace('-', ' '),
        jit: 'off',
      })
    },
  )

  test.each(['read-committed', 'repeatable-read'] as const)(
    'of Prisma is so too, also in its transactions: %s',
    async (isolation) => {
      const { db } = w.process({ isolation })
      const show = { isolation: isolation.replace('-', ' '), zone: 'UTC' }
      const text = `select current_setting('transaction_isolation') as isolation, current_setting('TimeZone') as zone`
      expect(await db.$queryRawUnsafe(text)).toEqual([show])
      expect(await db.$transaction((tx) => tx.$queryRawUnsafe(text))).toEqual([show])
    },
  )

  test('keeps instants as they were given, in any time zone of this process', async () => {
    const { db } = w.process()
    const createdAt = new Date('2026-03-29T01:30:00.123Z') // there is no such time in Berlin
    await db.user.create({ data: { id: 'early', version: 1, name: '', role: 'LEARNER', createdAt } })
    expect((await db.user.findUniqueOrThrow({ where: { id: 'early' } })).createdAt).toEqual(createdAt)
    expect(
      await w.query(
        `select "createdAt" at time zone 'UTC' = '2026-03-29 01:30:00.123' as same from "User" where id = 'early'`,
      ),
    ).toEqual([{ same: true }])
  })
})

describe('connections', () => {
  test('that died while idle are noticed before they are handed out', async () => {
    const pool = pooled({ size: 5, max: 10, validateIdleSeconds: 0 })
    const before = await pids(pool, 5)
    await w.query('select pg_terminate_backend(pid) from unnest($1::int[]) as x (pid)', [before])
    const answers = await Promise.all(Array.from({ length: 10 }, () => pool.query('select 1 as one')))
    expect(answers.map(({ rows }) => rows[0].one)).toEqual(Array(10).fill(1))
    expect(await pids(pool, 5)).not.toEqual(expect.arrayContaining(before))
  })

  test('that died behind Prisma’s back cost no request, neither a query nor a transaction', async () => {
    const { db } = w.process({ size: 5, validateIdleSeconds: 0 })
    for (const ask of [() => db.user.count(), () => db.$transaction((tx) => tx.user.count())]) {
      await Promise.all(Array.from({ length: 5 }, ask))
      await w.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'lockstep'`,
      )
      expect(await Promise.all(Array.from({ length: 10 }, ask))).toHaveLength(10)
    }
  })

  test('without an answer, but not closed, are given up for new ones', async () => {
    const network = await proxy(w.url)
    w.onClose(network.close)
    const pool = pooled({ size: 2, max: 4, validateIdleSeconds: 0 }, network.url)
    await pids(pool, 2)
    network.silent = true
    const answers = Promise.all([pool.query('select 1 as one'), pool.query('select 1 as one')])
    await vi.waitFor(() => expect(pool.idleCount).toBe(0), patience)
    await new Promise((resolve) => setTimeout(resolve, 50)) // both questions have been asked into the void
    network.silent = false
    expect((await answers).map(({ rows }) => rows[0].one)).toEqual([1, 1])
  })

  test('are not validated while they are in use', async () => {
    const pool = pooled({ size: 1, max: 1, validateIdleSeconds: 60 })
    const [first] = await pids(pool, 1)
    const client = await pool.connect()
    const text = `select query from pg_stat_activity where pid = ${first}`
    expect(await w.query(text)).toEqual([{ query: 'select pg_backend_pid() as pid' }])
    client.release()
  })

  test('are replaced when they are old', async () => {
    const pool = pooled({ size: 2, max: 4, recycleSeconds: 1 })
    const before = await pids(pool, 2)
    await vi.waitFor(async () => {
      const now = (await sessions()).map(({ pid }) => pid)
      expect(before.filter((pid) => now.includes(pid))).toEqual([])
    }, patience)
    const after = await pids(pool, 2)
    expect(before.filter((pid) => after.includes(pid))).toEqual([])
  })

  test('beyond the most are waited for, up to a limit', async () => {
    const pool = pooled({ size: 1, max: 2, waitMs: 1_000 }) // which its own connections must be made in, too
    const { release } = await all(pool, 2)
    expect(await outcome(pool.query('select 1'))).toMatchObject({ message: 'timeout exceeded when trying to connect' })
    release()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('above the size that is kept are closed when idle, those below are not', () => {
    const { options } = pooled({ size: 3, max: 9 })
    expect(options).toMatchObject({ min: 3, max: 9, idleTimeoutMillis: 30_000 })
  })
})

describe('under load', () => {
  test('150 queries and 150 commits at once all get an answer, over 12 connections', async () => {
    const { db, commit } = w.process({ size: 4, max: 12 })
    const course = await academy(commit).course(3)
    const people = await learners(w, commit, 150, course)
    let most = 0
    const watching = setInterval(async () => (most = Math.max(most, (await sessions()).length)), 10)
    const answers = await race(300, (i) =>
      i % 2 ? db.$queryRaw`select pg_sleep(0.005)::text` : people[i >> 1]!.complete(1),
    )
    clearInterval(watching)
    expect(answers).toHaveLength(300)
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(12 + 30) // those of other tests are idle still
    expect(await w.query(`select from "LessonProgress" where "lessonId" = $1`, [course.lesson(1)])).toHaveLength(150)
  })

  test('transactions that fail give their connections back', async () => {
    const { db } = w.process({ size: 1, max: 3 })
    for (let i = 0; i < 20; i++)
      expect(await outcome(db.$transaction((tx) => tx.$queryRawUnsafe('select 1 / 0')))).toBeInstanceOf(Error)
    await Promise.all(Array.from({ length: 10 }, () => db.$transaction((tx) => tx.$queryRaw`select 1`)))
  })

  test('readers at the pool’s limit delay a commit, and do not starve it', async () => {
    const { db, commit } = w.process({ size: 1, max: 3 })
    const course = await academy(commit).course(3)
    const [learner] = await learners(w, commit, 1, course)
    const readers = Array.from({ length: 30 }, () => db.$queryRaw`select pg_sleep(0.02)::text`)
    expect(await learner!.complete(1)).toMatchObject({ version: 2 })
    await Promise.all(readers)
  })
})

test('a pool that is ended has left no session behind', async () => {
  const pool = createPool(Object.assign(new URL(w.url), {}).toString(), { ...defaultPool, size: 3, max: 3 })
  const before = await pids(pool, 3)
  await pool.end()
  await vi.waitFor(
    async () => expect((await sessions()).filter(({ pid }) => before.includes(pid))).toEqual([]),
    patience,
  )
  const db = connect(w.url, { ...defaultPool, size: 1, max: 2 })
  await db.user.count()
  await db.$disconnect()
})

test('options in the address are kept, and none of ours is lost by them', async () => {
  const address = new URL(w.url)
  address.searchParams.set('options', '-c work_mem=7MB -c TimeZone=Europe/Zurich')
  const { rows } = await pooled({ size: 1, max: 1 }, address.href).query(
    `select current_setting('work_mem') as memory, current_setting('TimeZone') as zone,
      current_setting('plan_cache_mode') as plans`,
  )
  expect(rows).toEqual([{ memory: '7MB', zone: 'UTC', plans: 'force_generic_plan' }])
})

test('all statements find the tables in public, whatever the search path of the address is', async () => {
  const address = new URL(w.url)
  address.searchParams.set('options', '-c search_path=elsewhere')
  const db = connect(address.href, { ...defaultPool, size: 1, max: 1 })
  w.onClose(() => db.$disconnect())
  const [{ count } = { count: -1 }] = await db.$queryRaw<{ count: number }[]>`select count(*)::int as count from "User"`
  expect(await db.user.count()).toBe(count)
  expect((await migrationStatus(address.href)).map(({ state }) => state)).not.toContain('pending')
})
