import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { connect, sql } from '../../src/database/client.ts'
import {
  isDisconnection,
  isLockTimeout,
  isRace,
  isStatementTimeout,
  isTransient,
  sqlState,
} from '../../src/database/conflict.ts'
import { defaultPool } from '../../src/database/pool.ts'
import type { PoolOptions } from '../../src/operator/config.ts'
import { inTransaction, type Tx } from '../../src/database/transaction.ts'
import { patience } from '../classroom.ts'
import { proxy } from '../proxy.ts'
import { outcome, race, world } from '../world.ts'

const w = await world()
const { db } = w.process({ max: 10 })
const network = await proxy(w.url)
w.onClose(network.close)
const other = (options: Partial<PoolOptions>, url = w.url) => {
  const made = connect(url, { ...defaultPool, size: 0, max: 5, ...options })
  w.onClose(() => made.$disconnect())
  return made
}

beforeAll(() => w.query('create table line (id int primary key, word text not null)'))
beforeEach(() => w.query(`truncate line; insert into line values (1, 'one'), (2, 'two')`))
const lines = async () => (await w.query<{ id: number }>('select id from line order by id')).map(({ id }) => id)
const insert = (tx: Tx, id: number) => tx.execute('insert into line values ($1, $2)', [id, 'new'])
const update = (tx: Tx, id: number) => tx.execute('update line set word = word where id = $1', [id])
const pidOf = async (tx: Tx) => (await tx.query<{ pid: number }>(sql`select pg_backend_pid() as pid`))[0]!.pid
const kill = async (pid: number) => {
  await w.query('select pg_terminate_backend($1)', [pid])
  await vi.waitFor(
    async () => expect(await w.query('select from pg_stat_activity where pid = $1', [pid])).toEqual([]),
    patience,
  )
}

describe('a transaction', () => {
  test('is committed with all its statements, and returns their rows', async () => {
    const values = ['a', null, 3, true, ['b', '{"}\\,'], [1, null]]
    const answer = await inTransaction(db, async (tx) => {
      expect(await insert(tx, 3)).toBe(1)
      expect(await tx.execute('insert into line select n, n from generate_series(4, 6) n', [])).toBe(3)
      const [a, b, c, d, e, f] = values
      return tx.query(
        sql`select ${a}::text as a, ${b}::text as b, ${c}::int as c, ${d}::bool as d, ${e}::text[] as e,
        ${f}::int[] as f, 'ä€😀"\\' as "any thing"`,
      )
    })
    expect(answer).toEqual([
      { a: 'a', b: null, c: 3, d: true, e: ['b', '{"}\\,'], f: [1, null], 'any thing': 'ä€😀"\\' },
    ])
    expect(await lines()).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('is one of Prisma’s: read committed, on a connection of the pool, invisible before its COMMIT', async () => {
    await inTransaction(db, async (tx) => {
      await insert(tx, 3)
      const about = sql`select current_setting('transaction_isolation') as isolation,
      current_setting('application_name') as name,
      pg_current_xact_id_if_assigned() is not null as writes`
      expect(await tx.query(about)).toEqual([{ isolation: 'read committed', name: 'lockstep', writes: true }])
      expect(await lines()).toEqual([1, 2])
      expect(await db.$queryRaw`select count(*)::int as n from line`).toEqual([{ n: 2 }])
    })
    expect(await lines()).toEqual([1, 2, 3])
  })

  test('that fails leaves nothing, and rejects with the error', async () => {
    const failed = inTransaction(db, async (tx) => {
      await insert(tx, 3)
      throw new Error('thought better of it')
    })
    await expect(failed).rejects.toThrow('thought better of it')
    expect(await lines()).toEqual([1, 2])
  })

  test('has one connection to itself from BEGIN to COMMIT, however many there are at once', async () => {
    const wide = other({ max: 45 })
    const pids = await race(20, (i) =>
      inTransaction(wide, async (tx) => {
        await tx.execute(`select set_config('my.number', $1, true)`, [String(i)])
        const first = await tx.query<{ pid: number; xid: string; mine: string }>(
          sql`select pg_backend_pid() as pid, pg_current_xact_id()::text as xid, current_setting('my.number') as mine`,
        )
        await wide.$queryRaw`select 1` // beside it, through the same pool
        await insert(tx, 100 + i)
        const second = await tx.query(
          sql`select pg_backend_pid() as pid, pg_current_xact_id()::text as xid, current_setting('my.number') as mine`,
        )
        expect(second).toEqual(first)
        expect(first[0]!.mine).toBe(String(i))
        if (i % 3 === 0) throw new Error('every third')
        return first[0]!.pid
      }).catch((error: Error) => {
        expect(error.message).toBe('every third')
        return 0
      }),
    )
    expect(new Set(pids).size).toBeGreaterThan(1)
    expect(await lines()).toEqual([
      1,
      2,
      ...Array.from({ length: 20 }, (_, i) => i)
        .filter((i) => i % 3)
        .map((i) => 100 + i),
    ])
  })

  test('can be opened beside one of Prisma’s own, and within one: neither claims the other', async () => {
    await db.$transaction(async (prismas) => {
      const [{ pid }] = (await prismas.$queryRaw<{ pid: number }[]>`select pg_backend_pid() as pid`) as [
        { pid: number },
      ]
      await inTransaction(db, async (tx) => {
        expect(await pidOf(tx)).not.toBe(pid)
        await inTransaction(db, async (inner) => expect([pid, await pidOf(tx)]).not.toContain(await pidOf(inner)))
      })
    })
  })
})

describe('when it is over', () => {
  // Prisma ends what takes longer than all that a transaction's statements may, and 5 s
  const hasty = { statementTimeoutMs: 1_000, lockTimeoutMs: 200 }
  const isFree = (pid: number) =>
    vi.waitFor(
      async () =>
        expect(
          await w.query(`select state from pg_stat_activity where pid = $1 and state = 'idle'`, [pid]),
        ).toHaveLength(1),
      patience,
    )

  test('because it took too long, nothing more is sent: it would take effect alone, without locks', {
    timeout: 60_000,
  }, async () => {
    const slow = other({ ...hasty, max: 1 })
    let told: unknown
    const ended = outcome(
      inTransaction(slow, async (tx) => {
        await insert(tx, 3)
        await isFree(await pidOf(tx))
        told = await outcome(insertLater(tx, 4))
        throw told
      }),
    )
    expect(sqlState(await ended)).toBe('25P03')
    expect(isDisconnection(told)).toBe(true)
    expect(await lines()).toEqual([1, 2])
  })

  test('while a statement was under way, the next one is not sent behind the ROLLBACK', {
    timeout: 60_000,
  }, async () => {
    const slow = other({ ...hasty, statementTimeoutMs: 2_000 })
    const told: unknown[] = []
    await outcome(
      inTransaction(slow, async (tx) => {
        await insert(tx, 3)
        await tx.execute('set local statement_timeout = 0', [])
        for (const _ of [1, 2]) await tx.execute('select pg_sleep(2.5)', [])
        told.push(await outcome(tx.execute('select pg_sleep(2.7)', []))) // its 7.2 s are over meanwhile
        told.push(await outcome(insertLater(tx, 4)))
      }),
    )
    expect(told).toEqual([1, expect.any(Error)])
    expect(sqlState(told[1])).toBe('25P03')
    expect(await lines()).toEqual([1, 2])
  })

  test.each(['committed', 'rolled back'])('%s, whoever has kept it can send nothing by it', async (how) => {
    let kept: Tx | undefined
    await outcome(
      inTransaction(db, async (tx) => {
        kept = tx
        if (how === 'rolled back') throw new Error('no')
      }),
    )
    expect(sqlState(await outcome(insertLater(kept!, 4)))).toBe('25P03')
    expect(sqlState(await outcome(kept!.query(sql`select 1`)))).toBe('25P03')
    expect(await lines()).toEqual([1, 2])
  })

  const insertLater = async (tx: Tx, id: number) => insert(tx, id)
})

describe('an error in it has its SQLSTATE', () => {
  test('40001', async () => {
    const strict = other({ isolation: 'repeatable-read' })
    const error = await outcome(
      inTransaction(strict, async (tx) => {
        await tx.query(sql`select * from line`)
        await w.query(`update line set word = 'other' where id = 1`)
        await update(tx, 1)
      }),
    )
    expect([sqlState(error), isTransient(error)]).toEqual(['40001', true])
  })

  test('40P01', async () => {
    const patient = other({ lockTimeoutMs: 10_000 })
    let [arrived, go] = [0, () => {}]
    const both = new Promise<void>((resolve) => (go = resolve))
    const answers = await race(2, (i) =>
      outcome(
        inTransaction(patient, async (tx) => {
          await update(tx, 1 + i)
          if (++arrived === 2) go()
          await both
          await update(tx, 2 - i)
        }),
      ),
    )
    const errors = answers.filter((answer) => answer instanceof Error)
    expect(errors.map((error) => [sqlState(error), isTransient(error)])).toEqual([['40P01', true]])
  })

  test('23505', async () => {
    const error = await outcome(inTransaction(db, (tx) => insert(tx, 1)))
    expect([sqlState(error), isRace(error), isTransient(error)]).toEqual(['23505', true, false])
  })

  test('55P03', async () => {
    const hasty = other({ lockTimeoutMs: 50 })
    const error = await inTransaction(db, async (tx) => {
      await update(tx, 1)
      return outcome(inTransaction(hasty, (tx) => update(tx, 1)))
    })
    expect([sqlState(error), isLockTimeout(error)]).toEqual(['55P03', true])
  })

  test('57014', async () => {
    const error = await outcome(
      inTransaction(other({ statementTimeoutMs: 50 }), (tx) => tx.execute('select pg_sleep(5)', [])),
    )
    expect([sqlState(error), isStatementTimeout(error)]).toEqual(['57014', true])
  })

  test('a mistake of ours is none of these, and its text is PostgreSQL’s', async () => {
    const error = await outcome(inTransaction(db, (tx) => tx.execute('select nothing from nowhere', [])))
    expect([isTransient, isRace, isLockTimeout, isStatementTimeout, isDisconnection].map((is) => is(error))).toEqual(
      Array(5).fill(false),
    )
    expect(sqlState(error)).toBe('42P01')
    expect((error as unknown as Error).message).toBe('relation "nowhere" does not exist (42P01)')
  })

  const lost = (error: unknown) => {
    expect(isDisconnection(error), `${sqlState(error)}: ${error}`).toBe(true)
    expect([isTransient(error), isRace(error), isLockTimeout(error)]).toEqual([false, false, false])
  }

  test('a connection that is lost between statements, during one, and before COMMIT', async () => {
    const between = await outcome(
      inTransaction(db, async (tx) => {
        await insert(tx, 3)
        await kill(await pidOf(tx))
        await insert(tx, 4)
      }),
    )
    const during = await outcome(
      inTransaction(db, (tx) => tx.execute('select pg_terminate_backend(pg_backend_pid())', [])),
    )
    const before = await outcome(
      inTransaction(db, async (tx) => {
        await insert(tx, 3)
        await kill(await pidOf(tx))
      }),
    )
    for (const error of [between, during, before]) lost(error)
    expect(await lines()).toEqual([1, 2])
  })

  test.each(['lose the reply', 'lose it'] as const)('a connection that is lost at COMMIT: %s', async (what) => {
    const far = other({}, network.url)
    Object.assign(network, { atCommit: what, times: 1 })
    lost(await outcome(inTransaction(far, (tx) => insert(tx, 3))))
    await vi.waitFor(async () => expect(await lines()).toEqual(what === 'lose it' ? [1, 2] : [1, 2, 3]), patience)
  })

  test('no connection', async () => {
    const small = other({ max: 1, waitMs: 1_000 })
    await small.$queryRaw`select 1`
    await inTransaction(small, async () => lost(await outcome(inTransaction(small, async () => {}))))
    lost(await outcome(inTransaction(other({}, 'postgresql://a:b@nowhere.invalid:5432/c'), async () => {})))
  })
})
