import pg from 'pg'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Listener, rootChannel, type Window } from '../../src/journal/listeners.ts'
import { Tail, type TailOptions } from '../../src/journal/tail.ts'
import { outsiders, patience } from '../classroom.ts'
import { race, world } from '../world.ts'
import { things, until } from './follower.ts'

const w = await world()
await things(w)
const { outsider } = await outsiders(w)

/** So seldom that within a test it doesn't happen. */
const NEVER = 600_000
const NAME = 'lockstep (reads the journal)'

function tailOf(options: Partial<TailOptions> = {}) {
  const logged: string[] = []
  const log = (_: object, message: string) => void logged.push(message)
  const tail = new Tail({ url: w.url, everyMs: NEVER, log: { info: log, warn: log, error: log }, ...options })
  onTestFinished(() => tail.stop())
  return Object.assign(tail, { logged })
}

/** Keeps what it hears. */
function ear(onHear: () => void = () => {}) {
  const heard: { id: string; version: number; window: Window }[] = []
  let changed = () => {}
  const listener: Listener = {
    hear({ rootId, version }, window) {
      heard.push({ id: rootId, version, window })
      changed()
      onHear()
    },
    reset: () => {},
  }
  return {
    listener,
    heard,
    get names() {
      return heard.map(({ id, version }) => `${id} ${version}`)
    },
    until: (count: number, ms = 10_000) =>
      until(
        () => heard.length >= count,
        (wake) => (changed = wake),
        ms,
        () => `${heard.length} of ${count} heard`,
      ),
  }
}

const change = async (thing: string, topic = `of ${thing}`) =>
  (await w.query<{ version: number }>('select change($1, $2) as version', [thing, topic]))[0]!.version
const sessions = () =>
  w.query<{ pid: number; state: string; query: string; begun: string }>(
    `select pid, state, query, query_start::text as begun from pg_stat_activity
      where datname = current_database() and application_name = $1 order by pid`,
    [NAME],
  )
/** The only one, once those of earlier tests are gone. */
const onlySession = () =>
  vi.waitFor(async () => {
    const all = await sessions()
    expect(all).toHaveLength(1)
    return all[0]!
  }, patience)
const kill = () =>
  w.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = $1`,
    [NAME],
  )
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => i + from)

describe('listening', () => {
  test('a listener of a root or a topic hears its events, each once, and no others', async () => {
    const tail = tailOf()
    const [root, topic, other] = [ear(), ear(), ear()]
    await tail.attach(rootChannel('Thing', 'a1'), root.listener)
    await tail.attach('A', topic.listener)
    await tail.attach('B', other.listener)
    for (const [thing, of] of [
      ['a1', 'A'],
      ['a2', 'A'],
      ['b1', 'B'],
      ['a1', 'A'],
    ] as const)
      await change(thing, of)
    tail.ring()
    await Promise.all([root.until(2), topic.until(3), other.until(1)])
    await change('b1', 'B')
    tail.ring()
    await other.until(2)
    expect(root.names).toEqual(['a1 1', 'a1 2'])
    expect(topic.names).toEqual(['a1 1', 'a1 2', 'a2 1'])
    expect(other.names).toEqual(['b1 1', 'b1 2'])
  })

  test('once attached, a listener hears everything that is committed, also of transactions begun before', async () => {
    const tail = tailOf()
    for (const round of numbers(20)) {
      const thing = `attached ${round}`
      const begun = await outsider()
      await begun.query('select change($1, $2)', [`${thing} before`, thing])
      const { listener, until, heard } = ear()
      await tail.attach(thing, listener)
      await Promise.all([begun.end('commit'), change(`${thing} after`, thing)])
      tail.ring()
      await until(2)
      expect(heard.map(({ id }) => id).sort()).toEqual([`${thing} after`, `${thing} before`])
      tail.detach(thing, listener)
    }
  })

  test('a listener that throws is reported, and the others hear the event', async () => {
    const tail = tailOf()
    const throws = () => {
      throw new Error('not today')
    }
    const [first, last] = [ear(), ear()]
    await tail.attach('thrown', first.listener)
    await tail.attach('thrown', { hear: throws, reset: throws })
    await tail.attach('thrown', last.listener)
    tail.guard(rootChannel('Thing', 't1'), throws)
    for (const _ of numbers(3)) await change('t1', 'thrown')
    tail.ring()
    await Promise.all([first.until(3), last.until(3)])
    expect(last.names).toEqual(['t1 1', 't1 2', 't1 3'])
    expect(first.names).toEqual(last.names)
    expect(tail.logged.length).toBeGreaterThanOrEqual(6)
    expect(new Set(tail.logged)).toEqual(new Set(['A listener failed on an event; the others receive it.']))
  })

  test('a listener that has left, or whose tail has ended, hears nothing more', async () => {
    const [ended, lives] = [tailOf({ everyMs: 5 }), tailOf({ everyMs: 5 })]
    const [left, stopped, witness] = [ear(), ear(), ear()]
    await ended.attach('left', stopped.listener)
    await lives.attach('left', left.listener)
    await lives.attach('left', witness.listener)
    await change('l1', 'left')
    await Promise.all([left.until(1), stopped.until(1), witness.until(1)])
    lives.detach('left', left.listener)
    await ended.stop()
    for (const n of numbers(5, 2)) {
      await change('l1', 'left')
      await witness.until(n)
    }
    expect([left.heard.length, stopped.heard.length]).toEqual([1, 1])
  })
})

describe('guards', () => {
  test.each([
    ['a window that fits a page', 1_000],
    ['a window of many pages, the change on the last of them', 5],
  ])(
    'a guard is called before anything that was committed together with the change, or later, is told: %s',
    async (_, page) => {
      const tail = tailOf({ page })
      const topic = `guarded ${page}`
      const told: string[] = []
      await tail.attach(topic, { hear: ({ rootId, version }) => told.push(`${rootId} ${version}`), reset: () => {} })
      const guard = (thing: string) =>
        tail.guard(rootChannel('Thing', `${thing} ${page}`), () => told.push(`! ${thing}`))
      guard('never')
      const end = guard('z')
      await change(`before ${page}`, topic)
      tail.ring()
      await vi.waitFor(() => expect(told).toHaveLength(1), patience)
      const together = await outsider()
      for (const n of numbers(22))
        await together.query('select change($1, $2)', [`a ${page} ${String(n).padStart(2, '0')}`, topic])
      await together.query('select change($1, $2)', [`z ${page}`, 'another topic'])
      await together.end('commit')
      tail.ring()
      await vi.waitFor(() => expect(told).toHaveLength(24), patience)
      expect(told.slice(0, 3)).toEqual([`before ${page} 1`, '! z', `a ${page} 01 1`])
      expect(told.filter((each) => each.startsWith('!'))).toEqual(['! z'])

      end()
      await change(`z ${page}`, topic)
      await change(`after ${page}`, topic)
      tail.ring()
      await vi.waitFor(() => expect(told).toHaveLength(26), patience)
      expect(told.filter((each) => each.startsWith('!'))).toEqual(['! z'])
    },
  )
})

describe('waking', () => {
  test('a commit of another process is heard when that one notifies, long before the next poll', async () => {
    const [here, there] = [tailOf(), tailOf()]
    const own = ear()
    await here.attach('elsewhere', own.listener)
    const began = performance.now()
    await change('e1', 'elsewhere')
    there.ring()
    await own.until(1)
    console.log(`heard after ${Math.round(performance.now() - began)} ms`)
    expect(own.names).toEqual(['e1 1'])
  })

  test('a commit without a notification is heard at the next poll', async () => {
    const tail = tailOf({ everyMs: 20 })
    const own = ear()
    await tail.attach('silent', own.listener)
    for (const n of numbers(10)) {
      await change('s1', 'silent')
      await own.until(n)
    }
    expect(own.names).toEqual(numbers(10).map((n) => `s1 ${n}`))
  })

  test('a thousand commits send the other processes a few notifications, the last one included', async () => {
    const quietMs = 50
    const tail = tailOf({ quietMs })
    const client = new pg.Client({ connectionString: w.url })
    await client.connect()
    onTestFinished(() => client.end())
    let notified = 0
    client.on('notification', () => notified++)
    await client.query('listen lockstep')
    const other = tailOf()
    const { listener, until } = ear()
    await other.attach('often', listener)

    const began = performance.now()
    for (let rings = 0; rings < 1_000 || performance.now() - began < 600; rings++) {
      tail.ring()
      await new Promise(setImmediate)
    }
    await change('o1', 'often')
    tail.ring()
    await until(1)
    const most = Math.ceil((performance.now() - began) / quietMs) + 1
    await client.query('select 1') // all that came before this has come
    console.log(`${notified} notifications, at most ${most}`)
    expect(notified).toBeGreaterThan(0)
    expect(notified).toBeLessThanOrEqual(most)
  })

  test('its own notifications don’t wake it a second time; those of others do', async () => {
    const tail = tailOf({ quietMs: 300 }) // by then, what was rung for has been read
    const own = ear()
    await tail.attach('own', own.listener)
    const { pid } = await onlySession()
    const looked = async () => (await sessions()).find((each) => each.pid === pid)!
    await change('w1', 'own')
    tail.ring()
    await own.until(1)
    const before = await vi.waitFor(async () => {
      const now = await looked()
      expect(now.query).toBe('notify lockstep')
      expect(now.state).toBe('idle') // and it is over
      return now
    }, patience)
    const busy = tailOf({ everyMs: 5 })
    const witness = ear()
    await busy.attach('own', witness.listener)
    for (const n of numbers(5)) {
      await change('w1', 'own')
      await witness.until(n)
    }
    expect(await looked()).toEqual(before)
    busy.ring()
    await own.until(6)
  })

  test('while nobody listens, only the epoch’s name is read, however much is committed, rung and polled', async () => {
    const read: number[] = []
    const idle = tailOf({ everyMs: 5, quietMs: NEVER, watch: { read: (events) => read.push(events) } })
    await idle.epoch() // it has a connection
    const { pid } = await onlySession()
    const last = async () => (await sessions()).find((each) => each.pid === pid)!.query
    const before = 'select epoch as name from "Journal"'
    await vi.waitFor(async () => expect(await last()).toBe(before), patience)
    const busy = tailOf({ everyMs: 5 }) // looks as often
    const witness = ear()
    await busy.attach('idle', witness.listener)
    for (const n of numbers(30)) {
      await change('i1', 'idle')
      idle.ring()
      await witness.until(n)
      expect(await last()).toBe(before)
    }
    expect(read).toEqual([])

    const own = ear()
    await idle.attach('idle', own.listener)
    await change('i1', 'idle')
    await own.until(1)
    expect(own.names).toEqual(['i1 31']) // and not what came before
    expect(read).toEqual([1])
    idle.detach('idle', own.listener)
    await change('i1', 'idle')
    await witness.until(32)
    await vi.waitFor(async () => expect(await last()).toBe(before), patience)
    for (const n of numbers(30, 33)) {
      await change('i1', 'idle')
      await witness.until(n)
    }
    expect(await last()).toBe(before)
    expect(own.names).toHaveLength(1)
  })
})

describe('what goes wrong', () => {
  test('an idle connection that is lost is opened again at once, and unheard commits are heard', async () => {
    const tail = tailOf()
    const other = tailOf({ everyMs: 20 }) // its first poll opens its connection; it notifies nobody until it is rung
    const own = ear()
    await tail.attach('lost', own.listener)
    /**
     * Resolves when both have a connection and nothing is under way on it: one that is lost in the middle of something
     * is had again the next time it is looked.
     */
    const quiet = () =>
      vi.waitFor(async () => {
        const both = await sessions()
        expect(both.map(({ state }) => state)).toEqual(['idle', 'idle'])
        return both
      }, patience)
    for (const n of numbers(5)) {
      const victims = (await quiet()).map(({ pid }) => pid)
      await change('v1', 'lost') // nobody is told of it
      await kill()
      await own.until(2 * n - 1)
      // PostgreSQL ends the other one’s process in its own time.
      await vi.waitFor(async () => {
        const now = (await sessions()).map(({ pid }) => pid)
        expect(now.filter((pid) => victims.includes(pid))).toEqual([])
      }, patience)
      await change('v1', 'lost')
      await quiet()
      other.ring()
      await own.until(2 * n)
    }
    expect(own.names).toEqual(numbers(10).map((n) => `v1 ${n}`))
  })

  test('however often its connection is lost beside busy writers, each event is heard once, in order', async () => {
    let lost = 0
    const tail = tailOf({ everyMs: 10, page: 7, watch: { lost: () => lost++ } })
    const own = ear()
    await tail.attach('torn', own.listener)
    let over = false
    const killing = (async () => {
      while (!over) {
        await kill()
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
      }
    })()
    await race(8, async (i) => {
      for (const _ of numbers(150)) {
        const client = await w.psql.connect()
        await client.query('begin')
        for (const __ of numbers(1 + Math.floor(Math.random() * 5)))
          await client.query('select change($1, $2)', [`torn ${i}`, 'torn'])
        await client.query('commit')
        client.release()
        tail.ring()
      }
    })
    over = true
    await killing
    const rows = await w.query<{ id: string; version: number }>(
      `select id, version from "Thing" where topic = 'torn' order by id`,
    )
    await own.until(
      rows.reduce((sum, { version }) => sum + version, 0),
      25_000,
    )
    for (const { id, version } of rows)
      expect(own.heard.filter((each) => each.id === id).map((each) => each.version)).toEqual(numbers(version))
    console.log(`lost ${lost} times; ${own.heard.length} events`)
    expect(lost).toBeGreaterThan(3)
  })

  test('a connection lost within a transaction’s pages repeats none of its events', async () => {
    let [pages, lost] = [0, 0]
    const tail = tailOf({
      ...{ everyMs: 10, page: 50 },
      watch: {
        read() {
          if (++pages % 20 === 3) void kill()
        },
        lost: () => lost++,
      },
    })
    const own = ear()
    await tail.attach('large', own.listener)
    await w.query(`select change('large ' || lpad((n % 10)::text, 3, '0'), 'large') from generate_series(1, 8000) n`)
    tail.ring()
    await own.until(8_000, 25_000)
    for (const n of numbers(10, 0))
      expect(
        own.heard.filter(({ id }) => id === `large ${String(n).padStart(3, '0')}`).map(({ version }) => version),
      ).toEqual(numbers(800))
    expect(lost).toBeGreaterThan(0)
    expect(own.heard).toHaveLength(8_000)
  })

  test('an answer that is too late is given up, and nothing is missed', async () => {
    let lost = 0
    const tail = tailOf({ everyMs: 20, answerMs: 500, watch: { lost: () => lost++ } })
    const own = ear()
    await tail.attach('late', own.listener)
    const holder = await outsider()
    await holder.query('lock table "Journal" in access exclusive mode')
    await change('late 1', 'late')
    tail.ring()
    await vi.waitFor(() => expect(lost).toBeGreaterThan(1), patience)
    expect(own.heard).toEqual([])
    await change('late 1', 'late')
    await holder.end()
    await own.until(2)
    expect(own.names).toEqual(['late 1 1', 'late 1 2'])
    const logged = [
      'The journal cannot be read; trying again every second until it can.',
      'The journal is read again; nothing was missed.',
    ]
    await vi.waitFor(() => expect(tail.logged).toEqual(logged), patience) // once, however often it was tried
  })

  test('attaching rejects while the database cannot be reached, and nothing hangs', async () => {
    const tail = tailOf({ url: 'postgres://nobody@localhost:1/nothing' })
    await expect(tail.attach('nowhere', ear().listener)).rejects.toThrow()
    await expect(tail.epoch()).rejects.toThrow()
  })
})

test('20,000 events of one transaction are heard once and in order, page by page', async () => {
  const read: number[] = []
  const tail = tailOf({ watch: { read: (events) => read.push(events) } })
  const [all, one] = [ear(), ear()]
  await tail.attach('twenty', all.listener)
  await tail.attach(rootChannel('Thing', 'twenty 007'), one.listener)
  await w.query(`select change('twenty ' || lpad((n % 100)::text, 3, '0'), 'twenty') from generate_series(1, 20000) n`)
  const began = performance.now()
  tail.ring()
  await all.until(20_000, 25_000)
  console.log(`20,000 events in ${Math.round(performance.now() - began)} ms, ${read.length} pages`)
  expect(one.heard.map(({ version }) => version)).toEqual(numbers(200))
  for (const n of numbers(100, 0))
    expect(
      all.heard.filter(({ id }) => id === `twenty ${String(n).padStart(3, '0')}`).map(({ version }) => version),
    ).toEqual(numbers(200))
  expect(Math.max(...read)).toBe(1_000)
  expect(new Set(all.heard.map(({ window }) => window)).size).toBe(1)
})
