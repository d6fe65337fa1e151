import { beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Db } from '../../src/database/client.ts'
import { isDisconnection, isLockTimeout, isRace, isTransient, sqlState } from '../../src/database/conflict.ts'
import { defaultPool } from '../../src/database/pool.ts'
import type { PoolOptions } from '../../src/operator/config.ts'
import { patience } from '../classroom.ts'
import { proxy } from '../proxy.ts'
import { outcome, world } from '../world.ts'

/** Inside a transaction, as Prisma has it; as commit has it, see transaction.test.ts. */
type Tx = Parameters<Parameters<Db['$transaction']>[0]>[0]

const w = await world()
const { db } = w.process({ lockTimeoutMs: 100, statementTimeoutMs: 3_000 })
const network = await proxy(w.url)
w.onClose(network.close)

beforeAll(async () => {
  await w.query(`insert into "User" select id, 1, id, 'LEARNER', now() from unnest(array['ada', 'bob']) as x (id)`)
  await w.query(`insert into "Course" values ('c', 1, 1, 'c', 'c', '', now())`)
  await w.query(`insert into "Lesson" values ('c.1', 'c', '1', 1, '1', true), ('c.2', 'c', '2', 2, '2', true)`)
  await w.query(`create table thrown (code text)`)
  await w.query(
    `create function throw() returns trigger language plpgsql as $$
    begin raise exception 'thrown' using errcode = new.code; end $$`,
  )
  await w.query(
    `create constraint trigger throw after insert on thrown deferrable initially deferred
    for each row execute function throw()`,
  )
})

const other = (options: Partial<PoolOptions>, url = w.url): Db => {
  const made = connect(url, { ...defaultPool, size: 0, max: 5, ...options })
  w.onClose(() => made.$disconnect())
  return made
}
const atRepeatableRead = { isolationLevel: 'RepeatableRead' } as const
const rename = (tx: Tx, id: string) => tx.user.update({ where: { id }, data: { name: `${id} ${Math.random()}` } })
const rawRename = (tx: Tx, id: string) => tx.$executeRaw`update "User" set name = name || '.' where id = ${id}`
const ways: [string, (tx: Tx, id: string) => Promise<unknown>][] = [
  ['model call', rename],
  ['raw SQL', rawRename],
]
const atCommit = (code: string) =>
  outcome(db.$transaction(async (tx) => void (await tx.$executeRaw`insert into thrown values (${code})`)))

/** Two that lock each other's row; the errors of those whom PostgreSQL ended. */
async function deadlock(write: (tx: Tx, id: string) => Promise<unknown>) {
  const patient = other({ lockTimeoutMs: 10_000 })
  let [arrived, go] = [0, () => {}]
  const both = new Promise<void>((resolve) => (go = resolve))
  const one = (first: string, second: string) =>
    outcome(
      patient.$transaction(async (tx) => {
        await write(tx, first)
        if (++arrived === 2) go()
        await both
        await write(tx, second)
      }),
    )
  return (await Promise.all([one('ada', 'bob'), one('bob', 'ada')])).filter((result) => result instanceof Error)
}

describe('a conflict is recognized in each of the shapes that Prisma gives it', () => {
  test.each(ways)('40001 of a %s', async (_, write) => {
    const error = await outcome(
      db.$transaction(async (tx) => {
        await tx.user.findMany()
        await w.query(`update "User" set name = name || '!' where id = 'ada'`)
        await write(tx, 'ada')
      }, atRepeatableRead),
    )
    expect(sqlState(error)).toBe('40001')
    expect(isTransient(error)).toBe(true)
  })

  test.each(['40001', '40P01'])('%s at COMMIT', async (code) => {
    const error = await atCommit(code)
    expect(['40001', '40P01']).toContain(sqlState(error))
    expect(isTransient(error)).toBe(true)
  })

  test.each(ways)('40P01 of a %s', async (_, write) => {
    const errors = await deadlock(write)
    expect(errors).toHaveLength(1)
    for (const error of errors) {
      expect(isTransient(error)).toBe(true)
      expect(isDisconnection(error)).toBe(false)
    }
  })

  test.each(ways)('55P03 of a %s', async (_, write) => {
    const client = await w.psql.connect()
    await client.query(`begin; select from "User" where id = 'ada' for update`)
    const error = await outcome(db.$transaction((tx) => write(tx, 'ada')))
    await client.query('rollback')
    client.release()
    expect(sqlState(error)).toBe('55P03')
    expect([isLockTimeout(error), isTransient(error), isDisconnection(error), isRace(error)]).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test.each<[string, (tx: Tx) => Promise<unknown>]>([
    [
      'model call',
      (tx: Tx) => tx.user.create({ data: { id: 'ada', version: 1, name: '', role: 'LEARNER', createdAt: new Date() } }),
    ],
    ['raw SQL', (tx: Tx) => tx.$executeRaw`insert into "User" values ('ada', 1, '', 'LEARNER', now())`],
    [
      'COMMIT',
      (tx: Tx) =>
        tx.$executeRawUnsafe(`do $$ begin set constraints all deferred; update "Lesson" set slug = 'same'; end $$`),
    ],
  ])('23505 of a %s', async (_, write) => {
    const error = await outcome(db.$transaction(async (tx) => void (await write(tx))))
    expect(sqlState(error)).toBe('23505')
    expect([isRace(error), isTransient(error)]).toEqual([true, false])
  })

  test.each(['ZZ001', '23514', '22003', '0A000'])('%s is nothing to try again', async (code) => {
    const error = await atCommit(code)
    expect(sqlState(error)).toBe(code)
    expect([isTransient(error), isRace(error), isLockTimeout(error), isDisconnection(error)]).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test('nor is a statement that took too long, 57014', async () => {
    const error = await outcome(
      other({ statementTimeoutMs: 50 }).$transaction((tx) => tx.$queryRaw`select pg_sleep(1)::text`),
    )
    expect(sqlState(error)).toBe('57014')
    expect([isTransient(error), isDisconnection(error)]).toEqual([false, false])
  })

  test.each<[unknown]>([
    ['a string'],
    [undefined],
    [null],
    [new Error('anything')],
    [Object.assign(new Error('no'), { code: 'ERR_SOMETHING' })],
  ])('%s has no SQLSTATE', (thrown) => {
    expect(sqlState(thrown)).toBeUndefined()
    expect(isDisconnection(thrown)).toBe(false)
  })
})

describe('a lost or refused connection is recognized', () => {
  const lost = (error: unknown) => {
    expect(error).toBeInstanceOf(Error)
    expect(isDisconnection(error), `${sqlState(error)}: ${(error as Error).message}`).toBe(true)
    expect([isTransient(error), isRace(error), isLockTimeout(error)]).toEqual([false, false, false])
  }
  const pidOf = async (tx: Tx) => (await tx.$queryRaw<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid
  const kill = async (pid: number) => {
    await w.query('select pg_terminate_backend($1)', [pid])
    await vi.waitFor(
      async () => expect(await w.query('select from pg_stat_activity where pid = $1', [pid])).toEqual([]),
      patience,
    )
  }

  test('terminated between two statements', async () => {
    lost(
      await outcome(
        db.$transaction(async (tx) => {
          await kill(await pidOf(tx))
          await tx.$queryRaw`select 1`
        }),
      ),
    )
  })
  test('terminated during a statement', async () => {
    lost(
      await outcome(
        db.$transaction(async (tx) => {
          await tx.$executeRawUnsafe('select pg_terminate_backend(pg_backend_pid())')
        }),
      ),
    )
  })
  test('terminated before COMMIT', async () => {
    lost(
      await outcome(
        db.$transaction(async (tx) => {
          await kill(await pidOf(tx))
        }),
      ),
    )
  })
  test.each(['lose the reply', 'lose it'] as const)('at COMMIT: %s', async (what) => {
    const far = other({}, network.url)
    Object.assign(network, { atCommit: what, times: 1 })
    lost(await outcome(far.$transaction((tx) => tx.$executeRaw`select 1`)))
  })
  test('cut by the network, during a statement and outside a transaction', async () => {
    const far = other({}, network.url)
    const answers = [
      outcome(far.$queryRaw`select pg_sleep(10)::text`),
      outcome(far.$transaction((tx) => tx.$queryRaw`select pg_sleep(10)::text`)),
    ]
    await vi.waitFor(
      async () =>
        expect(
          await w.query(
            `select from pg_stat_activity
          where query like '%pg_sleep(10)%' and state = 'active' and pid <> pg_backend_pid()`,
          ),
        ).toHaveLength(2),
      patience,
    )
    network.cut()
    for (const answer of await Promise.all(answers)) lost(answer)
  })
  test('nothing listens at the port', async () => {
    const nowhere = await proxy(w.url)
    await nowhere.close()
    const far = other({}, nowhere.url)
    lost(await outcome(far.user.findMany()))
    lost(await outcome(far.$queryRaw`select 1`))
    lost(await outcome(far.$transaction((tx) => tx.$queryRaw`select 1`)))
  })
  test('closed at once', async () => {
    const far = other({}, network.url)
    network.unreachable = true
    const answers = [
      await outcome(far.user.findMany()),
      await outcome(far.$transaction((tx) => tx.$queryRaw`select 1`)),
    ]
    network.unreachable = false
    answers.forEach(lost)
  })
  test('no such host', async () => {
    lost(
      await outcome(other({}, 'postgresql://a:b@nowhere.invalid:5432/c').$transaction((tx) => tx.$queryRaw`select 1`)),
    )
  })
  test('the server accepts no more, 53300', async () => {
    const [{ name }] = (await w.query<{ name: string }>('select current_database() as name')) as [{ name: string }]
    await w.query(`alter database ${name} connection limit 0`)
    const far = other({})
    const answers = [
      await outcome(far.user.findMany()),
      await outcome(far.$transaction((tx) => tx.$queryRaw`select 1`)),
    ]
    await w.query(`alter database ${name} connection limit -1`)
    answers.forEach(lost)
    expect(answers.map(sqlState)).toEqual(['53300', '53300'])
  })
  test('the pool is empty', async () => {
    const small = other({ max: 1, waitMs: 1_000 }) // which its own first connection must be made in, too
    let release = () => {}
    const held = small.$transaction(() => new Promise<void>((resolve) => (release = resolve)))
    await vi.waitFor(() => expect(release.name).not.toBe('release'), patience)
    lost(await outcome(small.$queryRaw`select 1`))
    lost(await outcome(small.$transaction((tx) => tx.$queryRaw`select 1`)))
    release()
    await held
  })
  test('idle in a transaction for too long', async () => {
    lost(
      await outcome(
        other({ idleTransactionTimeoutMs: 30 }).$transaction(async (tx) => {
          const pid = await pidOf(tx)
          await vi.waitFor(
            async () => expect(await w.query('select from pg_stat_activity where pid = $1', [pid])).toEqual([]),
            patience,
          )
          await tx.$queryRaw`select 1`
        }),
      ),
    )
  })
  test('a transaction that Prisma has given up', async () => {
    lost(
      await outcome(
        db.$transaction(
          async (tx) => {
            await tx.$queryRaw`select pg_sleep(0.15)::text`
            await tx.$queryRaw`select 1`
          },
          { timeout: 50 },
        ),
      ),
    )
  })
  test.each([
    'EPIPE',
    'ECONNRESET',
    'ECONNREFUSED',
    'ECONNABORTED',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'EAI_AGAIN',
    'P1001',
    'P1017',
    '57P01',
    '57P02',
    '57P03',
    '08006',
  ])('%s, as a code', (code) => {
    lost(Object.assign(new Error('anything'), { code }))
  })
})
