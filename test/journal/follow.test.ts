import { setTimeout as sleep } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { sql } from '../../src/database/client.ts'
import { parseCursor, rootCursor, type TopicCursor, topicCursor } from '../../src/journal/cursor.ts'
import { EPOCH, epochOf, renewEpoch } from '../../src/journal/epoch.ts'
import { beginHistories } from '../../src/journal/beginHistories.ts'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import type { Aggregate, Shape } from '../../src/commit/aggregate.ts'
import { learners, outsiders, patience } from '../classroom.ts'
import { academy } from '../academy.ts'
import { race, world } from '../world.ts'
import { classOf, expectExact, feedOf, type Follower, process, rootOf, things } from './follower.ts'

const w = await world()
await things(w)
const { outsider } = await outsiders(w)
const NEVER = 600_000
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => i + from)

const here = process(w)
/** Another process, whose tail nobody rings: it looks by itself. */
const there = process(w)
const { course } = academy(here.commit)

const change = async (thing: string, topic: string, token = '') =>
  (await w.query<{ version: number }>('select change($1, $2, $3) as version', [thing, topic, token]))[0]!.version
const versionsOf = async (topic: string) =>
  Object.fromEntries(
    (await w.query<{ id: string; version: number }>('select id, version from "Thing" where topic = $1', [topic])).map(
      ({ id, version }) => [id, version],
    ),
  )
/** A cursor behind all that a feed has now. */
async function cursorOf({ follow }: typeof here, ...[source]: Parameters<typeof here.follow>): Promise<string> {
  const follower = follow(source)
  await follower.until(1)
  follower.stop()
  return follower.cursor!
}

describe('the order of commits', () => {
  test('an event that is written first and committed last is received; a reader by sequence loses it', async () => {
    const feed = here.follow(feedOf('order'))
    await feed.until(1)
    let last = 0
    const bySequence: string[] = []
    /** What a reader does that asks for what has a higher number than the last that it saw. */
    const poll = async () => {
      const rows = await w.query<{ number: string; id: string }>(
        `select number, "rootId" as id from "Event" where topic = 'order' and number > $1 order by number`,
        [last],
      )
      for (const { number, id } of rows) [last] = [Number(number), bySequence.push(id)]
    }
    const slow = await outsider()
    await slow.query(`select change('slow', 'order')`)
    await change('quick', 'order')
    await poll()
    await feed.until(2)
    await slow.end('commit')
    await poll()
    await feed.until(3)
    expect(bySequence).toEqual(['quick'])
    expect(feed.changes.map(({ event }) => event.rootId)).toEqual(['quick', 'slow'])
    expect(await w.query(`select "rootId" as id from "Event" where topic = 'order' order by number`)).toEqual([
      { id: 'slow' },
      { id: 'quick' },
    ])
    expectExact(feed.items)
  })

  test('resuming with a cursor from between the two commits brings the late one', async () => {
    const feed = here.follow(feedOf('order again'))
    await feed.until(1)
    const slow = await outsider()
    await slow.query(`select change('slow again', 'order again')`)
    for (const n of numbers(3)) await change(`quick again ${n}`, 'order again')
    await feed.until(4)
    feed.stop()
    await slow.end('commit')
    await change('quick again 1', 'order again')
    const back = there.follow(feedOf('order again'), feed.cursor)
    await back.until(2)
    expect(back.changes.map(({ event, version }) => `${event.rootId} ${version}`).sort()).toEqual([
      'quick again 1 2',
      'slow again 1',
    ])
    expectExact([...feed.items, ...back.items])
  })

  // 30 seconds are no other thing to PostgreSQL than 60 readings: nothing on the way looks at the time that a
  // transaction has been open
  test('a stuck transaction that has written delays no feed, and is received when it commits', async () => {
    const feeds = [here.follow(feedOf('stuck')), there.follow(feedOf('stuck')), there.follow(rootOf('Thing', 'free 1'))]
    const stuck = await outsider()
    await stuck.query(`select change('stuck', 'stuck')`)
    await change('free 1', 'stuck')
    await Promise.all(feeds.slice(0, 2).map((feed) => feed.until(() => expectExact(feed.items)['free 1'] === 1)))
    const late: number[] = []
    for (const n of numbers(60)) {
      const began = performance.now()
      await change(`free ${1 + (n % 3)}`, 'stuck')
      await Promise.all(
        feeds
          .slice(0, 2)
          .map((feed) => feed.until(() => Object.values(expectExact(feed.items)).reduce((a, b) => a + b, 0) >= n + 1)),
      )
      late.push(performance.now() - began)
    }
    late.sort((a, b) => a - b)
    console.log(`heard after ${Math.round(late[30]!)} ms, at most ${Math.round(late.at(-1)!)} ms`)
    expect(late[30]).toBeLessThan(500)
    // nor those who come back meanwhile, from whenever
    const cursors = feeds[0]!.items.map(({ cursor }) => cursor)
    for (const at of [0, 20, 40, 59]) {
      const back = there.follow(feedOf('stuck'), cursors[at])
      await back.until(() => feeds[0]!.items.length === at + 1 + back.items.length)
      expect(back.snapshots).toEqual([])
      back.stop()
    }
    expect(feeds[0]!.changes.some(({ event }) => event.rootId === 'stuck')).toBe(false)
    await stuck.end('commit')
    await Promise.all(
      feeds.slice(0, 2).map((feed) => feed.until(() => feed.changes.some(({ event }) => event.rootId === 'stuck'))),
    )
    for (const feed of feeds) expectExact(feed.items)
    const back = there.follow(feedOf('stuck'), cursors[30]) // from when it was open
    await back.until(() => back.changes.some(({ event }) => event.rootId === 'stuck'))
    expectExact([...feeds[0]!.items.slice(0, 31), ...back.items])
  })

  test('rolled back events are never received', async () => {
    const feed = here.follow(feedOf('undone'))
    await feed.until(1)
    for (const n of numbers(10)) {
      const undone = await outsider()
      await undone.query(`select change('undone', 'undone', 'undone')`)
      await change(`other ${n}`, 'undone', 'done')
      await feed.until(n + 1)
      await undone.end('rollback')
    }
    await change('undone', 'undone', 'done')
    await feed.until(12)
    expect(new Set(feed.changes.map(({ event }) => (event.data as { token: string }).token))).toEqual(new Set(['done']))
    expectExact(feed.items)
  })
})

test('slow commits, rollbacks, a stuck writer, followers that reconnect: each change once, in order', async () => {
  const roots = numbers(8).map((n) => `storm ${n}`)
  const [topic, writers, ms] = ['storm', 16, 2_500]
  const undone = new Set<string>()
  let isOver = false
  let visits = 0
  const stuck = await outsider()
  await stuck.query(`select change('storm stuck', $1, 'stuck')`, [topic])

  /** Follows from where it left off, again and again; answers with all that it was told. */
  async function comeAndGo(by: typeof here, source: Parameters<typeof here.follow>[0]): Promise<Follower['items']> {
    const told: Follower['items'] = []
    while (!isOver) {
      visits++
      const visit = by.follow(source, told.at(-1)?.cursor)
      const enough = 1 + Math.floor(Math.random() * 30)
      await visit.until(() => visit.items.length >= enough || isOver)
      if (Math.random() < 0.3) await sleep(Math.random() * 50)
      visit.stop()
      told.push(...visit.items)
      expect(visit.failures).toEqual([])
      if (Math.random() < 0.5) await sleep(Math.random() * 150) // away
    }
    const last = by.follow(source, told.at(-1)?.cursor)
    const end =
      'topic' in source.subject
        ? await versionsOf(topic)
        : { [source.subject.rootId]: (await versionsOf(topic))[source.subject.rootId]! }
    await last.until(
      () => JSON.stringify(sorted(expectExact([...told, ...last.items]))) === JSON.stringify(sorted(end)),
    )
    return [...told, ...last.items]
  }
  const sorted = (versions: object) => Object.entries(versions).sort(([a], [b]) => (a < b ? -1 : 1))

  await change(roots[0]!, topic) // for those who follow one root to begin with
  const ends = Promise.all(
    [here, there].flatMap((by) => [
      ...[1, 2, 3, 4].map(() => comeAndGo(by, feedOf(topic))),
      ...[1, 2, 3, 4].map(() => comeAndGo(by, rootOf('Thing', roots[0]!))),
    ]),
  )
  const steady = [here.follow(feedOf(topic)), there.follow(feedOf(topic)), here.follow(rootOf('Thing', roots[0]!))]

  const until = performance.now() + ms
  await race(writers, async (writer) => {
    for (let n = 0; performance.now() < until; n++) {
      const client = await w.psql.connect()
      const token = `${writer}/${n}`
      const touched = roots.filter(() => Math.random() < 0.2) // by ascending name, as all lock
      await client.query('begin')
      for (const root of touched) await client.query('select change($1, $2, $3)', [root, topic, token])
      await sleep(Math.random() * 12)
      const isUndone = Math.random() < 0.1
      if (isUndone) undone.add(token)
      await client.query(isUndone ? 'rollback' : 'commit')
      client.release()
      if (Math.random() < 0.5) here.tail.ring()
    }
  })
  await stuck.end('commit')
  isOver = true
  const told = await ends
  const end = await versionsOf(topic)
  for (const each of steady.slice(0, 2))
    await each.until(() => JSON.stringify(sorted(expectExact(each.items))) === JSON.stringify(sorted(end)))
  await steady[2]!.until(() => steady[2]!.items.at(-1)?.version === end[roots[0]!])

  const journal = await w.query<{ id: string; version: number; token: string }>(
    `select "rootId" as id, version, data->>'token' as token from "Event" where topic = $1`,
    [topic],
  )
  const tokens = new Map(journal.map(({ id, version, token }) => [`${id} ${version}`, token]))
  for (const items of [...told, ...steady.map((each) => each.items)]) {
    expectExact(items)
    expect(items.filter(({ is }) => is === 'snapshot')).toHaveLength(1) // the first, and it was resumed ever after
    for (const item of items) {
      if (item.is === 'snapshot') continue
      const { token } = item.event.data as { token: string }
      expect(undone.has(token)).toBe(false)
      expect(token).toBe(tokens.get(`${item.event.rootId} ${item.version}`))
    }
  }
  console.log(`${journal.length} events, ${undone.size} transactions undone, ${visits} visits`)
  expect(undone.size).toBeGreaterThan(3)
  expect(visits).toBeGreaterThan(40)
  expect(journal.length).toBeGreaterThan(100)
})

describe('the present, and what comes next', () => {
  test('have no gap between them, at whatever moment one begins beside a busy writer', async () => {
    const lessons = await course(3)
    const pupils = await learners(w, here.commit, 3, lessons)
    let isOver = false
    onTestFinished(() => void (isOver = true))
    const writing = Promise.all(
      pupils.map(async (pupil) => {
        while (!isOver) {
          await pupil.complete(1)
          await pupil.reset()
        }
      }),
    )
    const followers: Follower[] = []
    for (const n of numbers(150)) {
      const by = n % 3 ? here : there
      followers.push(by.follow(n % 2 ? classOf(lessons.id) : rootOf('Enrollment', pupils[0]!.enrollmentId)))
      if (n % 10 === 0) await sleep(Math.random() * 40)
      else if (n % 3 === 0) await new Promise(setImmediate)
    }
    await Promise.all(followers.map((each) => each.until(5)))
    isOver = true
    await writing
    const rows = await w.query<{ id: string; version: number }>(
      'select id, version from "Enrollment" where "courseId" = $1',
      [lessons.id],
    )
    const end = Object.fromEntries(rows.map(({ id, version }) => [id, version]))
    for (const each of followers) {
      await each.until(() => Object.entries(expectExact(each.items)).every(([id, version]) => version === end[id]))
      expect(each.snapshots.map(({ reason }) => reason)).toEqual(['INITIAL'])
      expect(each.failures).toEqual([])
    }
    expect(
      new Set(followers.map(({ snapshots }) => JSON.stringify(snapshots[0]!.present.versions))).size,
    ).toBeGreaterThan(5) // they did begin at different moments
  })

  test('have no gap between them for the first follower either', async () => {
    for (const round of numbers(40)) {
      const topic = `first ${round}`
      let isOver = false
      onTestFinished(() => void (isOver = true))
      await change(`${topic} 0`, topic)
      const writing = race(3, async (writer) => {
        while (!isOver) {
          await change(`${topic} ${writer}`, topic)
          here.tail.ring()
        }
      })
      const followers = [here.follow(feedOf(topic)), there.follow(rootOf('Thing', `${topic} 0`))]
      await Promise.all(followers.map((each) => each.until(8)))
      isOver = true
      await writing
      for (const each of followers) {
        expectExact(each.items)
        expect(each.snapshots.map(({ reason }) => reason)).toEqual(['INITIAL'])
        each.stop()
      }
    }
  })

  test('a follower that begins while the present is read for another one does not receive that one', async () => {
    const topic = 'slowly'
    await change('slowly', topic)
    const feed = feedOf(topic)
    const slow = { ...feed, read: sql`select s.row from (${feed.read}) s, pg_sleep(0.4)` }
    const witness = here.follow(rootOf('Thing', 'slowly'))
    await witness.until(1)
    const first = here.follow(slow)
    await vi.waitFor(
      async () =>
        expect(
          await w.query(
            `select 1 from pg_stat_activity
            where datname = current_database() and wait_event = 'PgSleep' and pid <> pg_backend_pid()`,
          ),
        ).toHaveLength(1),
      patience,
    )
    await change('slowly', topic)
    here.tail.ring()
    await witness.until(2) // and so it has been handed out, before the second comes
    const second = here.follow(slow)
    await Promise.all([first.until(2), second.until(1)])
    await change('slowly', topic)
    here.tail.ring()
    await Promise.all([first.until(3), second.until(2)])
    expect(first.items.map(({ is }) => is)).toEqual(['snapshot', 'change', 'change'])
    for (const each of [first, second]) expect(expectExact(each.items)).toEqual({ slowly: 3 })
  })

  test('all followers receive the same object, and the present is read once for all who begin together', async () => {
    await change('same', 'same')
    const followers = numbers(20).map(() => here.follow(feedOf('same')))
    await Promise.all(followers.map((each) => each.until(1)))
    await change('same', 'same')
    await Promise.all(followers.map((each) => each.until(2)))
    await change('same', 'same')
    await Promise.all(followers.map((each) => each.until(3)))
    const different = (at: number) => new Set(followers.map(({ items }) => items[at])).size
    expect(different(0)).toBeLessThanOrEqual(2) // the first of them asked before the others did
    // and so have other places to come back to, if that was read in the same moment
    expect(different(1)).toBeLessThanOrEqual(2)
    expect(different(2)).toBe(1)
    for (const each of followers) expectExact(each.items)
  })

  test('following something that does not exist fails with the source’s error', async () => {
    const follower = here.follow(rootOf('Thing', 'nowhere'))
    await follower.until(() => follower.failures.length > 0)
    expect(follower.failures).toEqual([new Error('There is nothing to follow.')])
    expect(follower.items).toEqual([])
  })

  test('a follower that stops while it receives a page receives nothing more of it', async () => {
    const topic = 'stops'
    const cursor = await cursorOf(here, feedOf(topic))
    for (const _ of numbers(10)) await change('stops', topic)
    const begun = rootCursor({ epoch: here.tail.currentEpoch, rootType: 'Thing', rootId: 'stops', version: 0 })
    for (const [source, after] of [
      [feedOf(topic), cursor],
      [rootOf('Thing', 'stops'), begun],
    ] as const) {
      const told: number[] = []
      const ended = await new Promise<() => void>((resolve) => {
        const stop = here.out.follow(source, parseCursor(after), {
          hear({ version }) {
            told.push(version)
            if (version !== 3) return
            stop()
            resolve(stop)
          },
          fail() {},
        })
      })
      ended()
      const witness = here.follow(source)
      await witness.until(1)
      await change('stops', topic)
      await witness.until(2)
      witness.stop()
      expect(told).toEqual([1, 2, 3])
    }
  })

  test('a reader that throws is dropped with its error, and the others receive the change', async () => {
    await change('thrower', 'thrower')
    const failures: unknown[] = []
    const before = here.follow(feedOf('thrower'))
    await before.until(1)
    here.out.follow(feedOf('thrower'), undefined, {
      hear({ is }) {
        if (is === 'change') throw new Error('not today')
      },
      fail: (error) => failures.push(error),
    })
    const after = here.follow(feedOf('thrower'))
    await after.until(1)
    for (const _ of numbers(3)) await change('thrower', 'thrower')
    await Promise.all([before.until(4), after.until(4)])
    for (const each of [before, after]) expectExact(each.items)
    expect(failures).toEqual([new Error('not today')])
  })

  test('after the last follower has left, nothing is listened to', async () => {
    const { follow, tail, out } = process(w)
    await change('gone', 'gone')
    const followers = [follow(feedOf('gone')), follow(feedOf('gone')), follow(rootOf('Thing', 'gone'))]
    await Promise.all(followers.map((each) => each.until(1)))
    expect([tail.channels, out.feeds]).toEqual([2, 2])
    for (const each of followers) each.stop()
    expect([tail.channels, out.feeds]).toEqual([0, 0])
    const again = follow(feedOf('gone'))
    await again.until(1)
    await change('gone', 'gone')
    await again.until(2)
    expectExact(again.items)
  })
})

describe('coming back', () => {
  const rooted = (rootId: string, version: number, epoch = here.tail.currentEpoch) =>
    rootCursor({ epoch, rootType: 'Thing', rootId, version })

  test('to a root: exactly the changes after the version, whichever it is', async () => {
    for (const _ of numbers(7)) await change('resumed', 'resumed')
    await here.tail.epoch()
    for (const from of numbers(8, 0)) {
      const back = here.follow(rootOf('Thing', 'resumed'), rooted('resumed', from))
      await back.until(7 - from)
      await change('resumed other', 'resumed')
      expect(back.versions()).toEqual(numbers(7 - from, from + 1))
      expect(back.snapshots).toEqual([])
    }
    const followers = numbers(8, 0).map(
      (from) => [from, here.follow(rootOf('Thing', 'resumed'), rooted('resumed', from))] as const,
    )
    await change('resumed', 'resumed')
    for (const [from, each] of followers) {
      await each.until(8 - from)
      expect(each.versions()).toEqual(numbers(8 - from, from + 1))
    }
  })

  test('to a feed: exactly the changes after each item, also in the middle of one transaction', async () => {
    const topic = 'places'
    const feed = here.follow(feedOf(topic))
    await feed.until(1)
    const stuck = await outsider()
    await stuck.query('select change($1, $2)', ['place stuck', topic])
    for (const n of numbers(4)) {
      await w.query(`select change('place ' || (i % 7), $1) from generate_series(1, 15) i`, [topic])
      await feed.until(1 + 15 * n)
    }
    await stuck.end('commit')
    await feed.until(62)
    for (const [at, { cursor }] of feed.items.entries()) {
      const back = (at % 2 ? here : there).follow(feedOf(topic), cursor)
      await back.until(61 - at)
      expectExact([...feed.items.slice(0, at + 1), ...back.items])
      expect(back.items).toHaveLength(61 - at)
      expect(back.snapshots).toEqual([])
      // and the cursors of what it was told then are as good
      const cursors = back.items.map(({ cursor }) => cursor)
      back.stop()
      const half = Math.floor(cursors.length / 2)
      if (!half) continue
      const again = there.follow(feedOf(topic), cursors[half])
      await again.until(cursors.length - half - 1)
      expectExact([...feed.items.slice(0, at + 1), ...back.items.slice(0, half + 1), ...again.items])
      again.stop()
    }
  })

  test.each([
    ['of another epoch', () => rooted('elsewhere', 2, 'another!')],
    ['ahead of the root', () => rooted('elsewhere', 4)],
    ['far ahead of the root', () => rooted('elsewhere', 2 ** 31 - 1)],
  ])('with a cursor %s: the present, marked as of another epoch, and then what comes next', async (_, cursor) => {
    if (!(await versionsOf('elsewhere')).elsewhere) for (const __ of numbers(3)) await change('elsewhere', 'elsewhere')
    await w.query(`delete from "Event" where "rootId" = 'elsewhere' and version > 3`)
    await w.query(`update "Thing" set version = 3 where id = 'elsewhere'`)
    await here.tail.epoch()
    const back = here.follow(rootOf('Thing', 'elsewhere'), cursor())
    await back.until(1)
    expect(back.items[0]).toMatchObject({ is: 'snapshot', reason: 'HISTORY_REPLACED', version: 3 })
    await change('elsewhere', 'elsewhere')
    await back.until(2)
    expect(back.versions()).toEqual([4])
  })

  test('with a feed’s cursor of another epoch or of the future: the present, marked so, then changes', async () => {
    const topic = 'elsewhere too'
    const cursor = parseCursor(await cursorOf(here, feedOf(topic))) as TopicCursor
    const future = cursor.to.replace(/^(\d+):(\d+):/, (_, xmin, xmax) => `${xmin}:${BigInt(xmax) + 1_000_000n}:`)
    let version = 0
    for (const each of [
      { ...cursor, epoch: 'another!' },
      { ...cursor, from: future, to: future },
    ]) {
      const back = here.follow(feedOf(topic), topicCursor(each))
      await back.until(1)
      expect(back.items[0]).toMatchObject({ is: 'snapshot', reason: 'HISTORY_REPLACED' })
      await change('elsewhere too', topic)
      await back.until(2)
      expect(back.versions()).toEqual([++version])
    }
  })

  test('a root deleted and made again while followed: the present as of another epoch, then changes', async () => {
    for (const _ of numbers(3)) await change('again', 'again')
    const followers = [
      here.follow(rootOf('Thing', 'again')),
      there.follow(rootOf('Thing', 'again'), rooted('again', 1)),
    ]
    await Promise.all([followers[0]!.until(1), followers[1]!.until(2)])
    await w.query(`delete from "Thing" where id = 'again'`)
    await change('again', 'again')
    for (const each of followers) {
      await each.until(() => each.items.at(-1)?.is === 'snapshot' && each.items.at(-1)?.version === 1)
      expect(each.items.at(-1)).toMatchObject({ reason: 'HISTORY_REPLACED' })
    }
    for (const _ of numbers(2)) await change('again', 'again')
    for (const each of followers) {
      await each.until(() => each.items.at(-1)?.version === 3)
      expectExact(each.items, { again: 1 })
      expect(each.failures).toEqual([])
    }
  })

  test('to a deleted root, or reading it again, fails with the source’s error', async () => {
    for (const _ of numbers(3)) await change('no more', 'no more')
    const follower = here.follow(rootOf('Thing', 'no more'))
    await follower.until(1)
    await w.query(`delete from "Thing" where id = 'no more'`)
    for (const version of [0, 3]) {
      const back = here.follow(rootOf('Thing', 'no more'), rooted('no more', version))
      await back.until(() => back.failures.length > 0)
      expect(back.failures).toEqual([new Error('There is nothing to follow.')])
      expect(back.items).toEqual([])
    }
    // made again and deleted again before it is looked: what is heard last is of a root that isn't there
    const both = await outsider()
    await both.query(`select change('no more', 'no more')`)
    await both.query(`alter table "Thing" disable trigger forget_history`)
    await both.query(`delete from "Thing" where id = 'no more'`)
    await both.query(`alter table "Thing" enable trigger forget_history`)
    await both.end('commit')
    await follower.until(() => follower.failures.length > 0)
    expect(follower.failures).toEqual([new Error('There is nothing to follow.')])
  })

  test('rows changed without the journal begin their history anew: all receive the present, not a gap', async () => {
    const lessons = await course(3)
    const [pupil] = await learners(w, here.commit, 1, lessons)
    await pupil!.complete(1)
    await pupil!.complete(2)
    const id = pupil!.enrollmentId
    const live = here.follow(rootOf('Enrollment', id))
    await live.until(1)
    await w.query(`update "Enrollment" set version = version + 4 where id = $1`, [id])
    expect(await beginHistories({ db: here.db, aggregates: [enrollments as unknown as Aggregate<Shape>] })).toBe(1)
    await pupil!.complete(3)
    const back = here.follow(
      rootOf('Enrollment', id),
      rootCursor({ epoch: here.tail.currentEpoch, rootType: 'Enrollment', rootId: id, version: 1 }),
    )
    for (const each of [live, back]) {
      await each.until(() => each.items.at(-1)?.version === 9)
      expectExact(each.items, { [id]: 1 })
      expect(each.snapshots.length).toBeGreaterThan(0)
    }
  })
})

describe('another epoch', () => {
  test('followers receive the present, marked so, and later changes; an older cursor is of another epoch', async () => {
    const topic = 'epochs'
    for (const _ of numbers(3)) await change('epoch', topic)
    const before = here.follow(feedOf(topic))
    await before.until(1)
    const followers = [here, there].flatMap((by) => [by.follow(feedOf(topic)), by.follow(rootOf('Thing', 'epoch'))])
    await Promise.all(followers.map((each) => each.until(1)))
    const old = await here.tail.epoch()

    const [count] = await w.query<{ count: number }>('select count(*)::int as count from "Event"')
    const told: number[] = []
    expect(await renewEpoch(here.db, (freed) => told.push(freed))).toBe(count!.count)
    expect(told.at(-1)).toBe(count!.count)
    expect(await w.query(`select 1 from "Event" where xid <> '2'::xid8`)).toEqual([])
    await Promise.all(followers.map((each) => each.until(2)))
    await change('epoch', topic)
    for (const each of followers) {
      await each.until(3)
      expect(each.items.map(({ is, version }) => `${is} ${version}`).slice(-1)).toEqual(['change 4'])
      expect(each.snapshots.map(({ reason }) => reason)).toEqual(['INITIAL', 'HISTORY_REPLACED'])
      expectExact(each.items)
    }
    expect(await here.tail.epoch()).not.toBe(old)

    const back = here.follow(feedOf(topic), before.items[0]!.cursor)
    await back.until(1)
    expect(back.items[0]).toMatchObject({ is: 'snapshot', reason: 'HISTORY_REPLACED' })
    await change('epoch', topic)
    const resumed = there.follow(feedOf(topic), followers[0]!.items[2]!.cursor)
    await resumed.until(1)
    expect(resumed.items).toMatchObject([{ is: 'change', version: 5 }])
    expect(await renewEpoch(here.db)).toBe(2) // only what has come since
  })

  test('it may begin beside busy writers: no gap between the present and later changes', async () => {
    const topic = 'renewed'
    const slow = process(w, { everyMs: 60 })
    for (const writer of numbers(6, 0)) await change(`renewed ${writer}`, topic)
    let isOver = false
    onTestFinished(() => void (isOver = true))
    const writing = race(6, async (writer) => {
      while (!isOver) {
        await change(`renewed ${writer}`, topic)
        here.tail.ring()
      }
    })
    const followers = [here, there, slow].flatMap((by) => [
      by.follow(feedOf(topic)),
      by.follow(feedOf(topic)),
      by.follow(rootOf('Thing', 'renewed 0')),
    ])
    const renewals = 8
    const epochs = new Set<string>()
    /** The first item of the epoch that is now: the present. */
    let begun: number[] = []
    for (let n = 0; n <= renewals; n++) {
      if (n > 0) await renewEpoch(here.db)
      const [named] = await w.query<Parameters<typeof epochOf>[0]>(EPOCH)
      const epoch = epochOf(named!)
      epochs.add(epoch)
      const present = (each: Follower) =>
        each.items.findIndex(({ is, cursor }) => is === 'snapshot' && parseCursor(cursor)!.epoch === epoch)
      await Promise.all(
        followers.map((each) => each.until(() => present(each) >= 0 && each.items.length > present(each) + 10)),
      )
      begun = followers.map(present)
      // what is told while events are being freed may have a gap, which the present then closes; from there on, there
      // is none
      for (const [i, each] of followers.entries()) {
        expectExact(each.items.slice(begun[i]))
        if (n > 0) expect(each.items[begun[i]!]).toMatchObject({ reason: 'HISTORY_REPLACED' })
      }
    }
    expect(epochs.size).toBe(renewals + 1)
    isOver = true
    await writing
    const end = await versionsOf(topic)
    for (const [i, each] of followers.entries()) {
      await each.until(() =>
        Object.entries(expectExact(each.items.slice(begun[i]))).every(([id, version]) => version === end[id]),
      )
      expect(each.failures).toEqual([])
    }
  })

  test('events with transaction numbers of another cluster, not reached in this one, are freed of them', async () => {
    const topic = 'restored'
    await w.query(`select change('restored', $1) from generate_series(1, 5)`, [topic])
    await w.query(`update "Event" set xid = (xid::text::numeric + 1000000)::text::xid8 where topic = $1`, [topic])
    await renewEpoch(here.db)
    const { follow } = process(w) // which knows of no other epoch
    const feed = follow(feedOf(topic))
    await feed.until(1)
    for (const n of numbers(3)) {
      await change('restored', topic)
      await feed.until(1 + n)
    }
    expect(feed.items.map(({ is, version }) => `${is} ${version}`)).toEqual([
      'snapshot 1',
      'change 6',
      'change 7',
      'change 8',
    ])
    const back = follow(feedOf(topic), feed.items[1]!.cursor)
    await back.until(2)
    expect(back.versions()).toEqual([7, 8])
  })
})

describe('catching up', () => {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  const heap = () => {
    collect()
    return globalThis.process.memoryUsage().heapUsed / 1e6
  }

  test('with 100,000 changes of a thousand roots: all of them, in order, in pages, in bounded memory', {
    timeout: 120_000,
  }, async () => {
    const topic = 'hundred thousand'
    const page = 5_000
    const { out } = process(w, {}, { page })
    const cursor = await cursorOf(here, feedOf(topic))
    const inserted = performance.now()
    await w.query(
      `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
        select 'Thing', 'many ' || lpad(r::text, 4, '0'), v, $1, 'changed', jsonb_build_object('n', v),
          jsonb_build_object('id', r, 'version', v, 'completed', v, 'total', 100), 'somebody', now()
        from generate_series(1, 100) v, generate_series(1, 1000) r`,
      [topic],
    )
    await w.query('analyze "Event"')
    const began = performance.now()
    const base = heap()
    let [events, pages, wrong, most] = [0, 0, 0, 0]
    const versions = new Map<string, number>()
    await new Promise<void>((resolve, reject) => {
      const stop = out.follow(feedOf(topic), parseCursor(cursor), {
        hear(item) {
          if (item.is !== 'change' || item.version !== (versions.get(item.event.rootId) ?? 0) + 1) return void wrong++
          versions.set(item.event.rootId, item.version)
          if (++events < 100_000) return
          stop()
          resolve()
        },
        fail: reject,
        async ready() {
          if (++pages % 5 === 0) most = Math.max(most, heap() - base)
        },
      })
    })
    const seconds = (performance.now() - began) / 1_000
    console.log(
      `inserted in ${Math.round(began - inserted)} ms; 100,000 events in ${seconds.toFixed(1)} s, ${pages} pages, ` +
        `at most ${most.toFixed(1)} MB more than before`,
    )
    expect(wrong).toBe(0)
    expect(versions.size).toBe(1_000)
    expect(pages).toBeGreaterThanOrEqual(100_000 / page)
    expect(pages).toBeLessThanOrEqual(100_000 / page + 2)
    expect(most).toBeLessThan(50)
  })

  test('a slow reader is waited for: no page is read before it has taken the last one', async () => {
    const topic = 'slow reader'
    const { follow } = process(w, {}, { page: 10 })
    const cursor = await cursorOf(here, feedOf(topic))
    await w.query(`select change('slow reader ' || i % 5, $1) from generate_series(1, 100) i`, [topic])
    let let_ = () => {}
    let asked = 0
    const reader = follow(feedOf(topic), cursor, () => {
      asked++
      return new Promise((resolve) => (let_ = resolve))
    })
    for (const page of numbers(10)) {
      await vi.waitFor(() => expect(asked).toBe(page), patience)
      await change('slow reader 0', topic) // it goes on meanwhile
      expect(reader.items.length).toBe((page - 1) * 10)
      let_()
      await reader.until(page * 10)
    }
    const through = setInterval(() => let_(), 5)
    await reader.until(110)
    clearInterval(through)
    expectExact(reader.items)
    expect(reader.items).toHaveLength(110)
  })

  test.each(['root', 'feed'])(
    'more comes while catching up with a %s than is kept for that: it is read again, and nothing is missed',
    async (what) => {
      const topic = `overrun ${what}`
      const source = what === 'root' ? rootOf('Thing', topic) : feedOf(topic)
      const { follow, tail } = process(w, {}, { page: 7, most: 3 })
      await change(topic, topic)
      const cursor = await cursorOf(here, source)
      for (const _ of numbers(30)) await change(topic, topic)
      await tail.epoch()
      for (const after of [cursor, undefined]) {
        let rounds = 0
        const witness = follow(source) // hears all that this tail hands out
        await witness.until(1)
        const reader = follow(source, after, async () => {
          // five changes come, and are heard, while it reads a page
          if (++rounds > 10) return
          const before = witness.items.length
          await w.query(`select change($1, $1) from generate_series(1, 5)`, [topic])
          await witness.until(before + 5)
        })
        const end = (
          await vi.waitFor(async () => {
            expect(rounds).toBeGreaterThan(10)
            return versionsOf(topic)
          }, patience)
        )[topic]!
        await reader.until(
          () => reader.items.at(-1)?.version === end || expectExact(reader.items, { [topic]: 1 })[topic] === end,
        )
        await change(topic, topic)
        await reader.until(() => reader.versions().at(-1) === end + 1)
        expectExact(reader.items, { [topic]: 1 })
        expect(reader.snapshots).toHaveLength(after ? 0 : 1)
        reader.stop()
        witness.stop()
      }
    },
  )

  test('beside busy writers ends, and misses nothing', async () => {
    const topic = 'chased'
    const { follow, tail } = process(w, {}, { page: 100, most: 20 })
    const cursor = await cursorOf(here, feedOf(topic))
    await w.query(`select change('chased ' || i % 5, $1) from generate_series(1, 1000) i`, [topic])
    let isOver = false
    onTestFinished(() => void (isOver = true))
    const writing = race(4, async (writer) => {
      while (!isOver) {
        await change(`chased ${writer}`, topic)
        tail.ring()
      }
    })
    const readers = numbers(4).map(() => follow(feedOf(topic), cursor))
    await Promise.all(readers.map((reader) => reader.until(1_300, 20_000)))
    isOver = true
    await writing
    const end = await versionsOf(topic)
    for (const reader of readers) {
      await reader.until(() => Object.entries(expectExact(reader.items)).every(([id, version]) => version === end[id]))
      expect(reader.snapshots).toEqual([])
    }
  })
})

test('20,000 changes of one transaction are received in order, and resumed from any place in it', {
  timeout: 60_000,
}, async () => {
  const topic = 'at once'
  const one = process(w, { everyMs: NEVER }, { page: 2_000 })
  await change('at once 0', topic)
  const [feed, root] = [one.follow(feedOf(topic)), one.follow(rootOf('Thing', 'at once 0'))]
  await Promise.all([feed.until(1), root.until(1)])
  await w.query(`select change('at once ' || i % 40, $1) from generate_series(1, 20000) i`, [topic])
  const began = performance.now()
  one.tail.ring()
  await feed.until(20_001, 30_000)
  await root.until(501)
  console.log(`20,000 events in ${Math.round(performance.now() - began)} ms`)
  expectExact(feed.items)
  expectExact(root.items)
  expect(feed.items).toHaveLength(20_001)
  for (const at of [1_000, 12_345, 19_999]) {
    const back = one.follow(feedOf(topic), feed.items[at]!.cursor)
    await back.until(20_000 - at, 30_000)
    expectExact([...feed.items.slice(0, at + 1), ...back.items])
    back.stop()
  }
})
