import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { composed, COURSE, ENROLLMENT, range, versions, watching } from './client.ts'

/** Every statement that this process sends to a database. */
const sent: string[] = []
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [asked] = args as [string | { text?: string }]
  sent.push(typeof asked === 'string' ? asked : (asked.text ?? ''))
  return query.apply(this, args)
} as never
afterAll(() => {
  pg.Client.prototype.query = query as never
})
/**
 * How many of those so far read the present, or what was missed, of what is followed; and how many ask whose sessions
 * they are.
 */
const reads = () => sent.filter((text) => text.includes('pg_current_snapshot()::text as now')).length
const looks = () => sent.filter((text) => /^\s*select s\."tokenHash"/.test(text)).length

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w, { LIVE_SUBSCRIPTIONS_PER_USER: '5000' })
const { connect, enrollment, course: watchCourse, metric } = watching(api.url)
const CROWD = 1_000

async function school(lessons = 8) {
  const [learner, instructor, taken] = await Promise.all([person(), person('INSTRUCTOR'), course(lessons)])
  await teach(taken.id, instructor)
  payload(await api.enroll(learner.token, taken.id))
  return { learner, instructor, taken, id: enrollmentOf(learner.id, taken.id) }
}

const nobody = () =>
  vi.waitFor(
    async () =>
      expect(
        await Promise.all(['connections', 'subscriptions'].map((what) => metric(`lockstep_live_${what}`))),
      ).toEqual([0, 0]),
    {
      timeout: 25_000,
    },
  )

describe('a thousand', () => {
  test('who connect at once, and then ask at once for one enrollment, each have its present and all that ' +
    'follows, for ' +
    'a few readings of it', {
    timeout: 120_000,
  }, async () => {
    const { learner, taken, id } = await school()
    const clients = range(1, CROWD).map(() => connect(learner, { lazy: false, retryAttempts: 5 }))
    await vi.waitUntil(async () => (await metric('lockstep_live_connections')) === CROWD, {
      timeout: 60_000,
      interval: 100,
    })
    sent.length = 0
    const streams = clients.map((client) => enrollment(id, { client }))
    const change = api.complete(learner.token, taken.lesson(1)).then(payload) // while they come
    await Promise.all([change, ...streams.map((stream) => stream.until(1, 60_000))])
    console.log(`${CROWD} asked: ${reads()} readings of what they follow, ${looks()} looks at their sessions`)
    for (const count of [reads(), looks()]) {
      expect(count).toBeGreaterThan(0)
      expect(count).toBeLessThan(CROWD / 10)
    }
    for (const n of [2, 3, 4]) payload(await api.complete(learner.token, taken.lesson(n)))
    await Promise.all(streams.map((stream) => stream.until((items) => items.at(-1)?.version === 5, 30_000)))
    for (const { items } of streams) {
      expect(items[0]).toMatchObject({ __typename: 'EnrollmentSnapshot', reason: 'INITIAL' })
      expect(versions(items)).toEqual(range(items[0]!.version, 5))
    }
    expect(await metric('lockstep_live_subscriptions')).toBe(CROWD)
    for (const client of clients) void client.dispose()
    await nobody()
  })

  test('who come back at once with cursors, from anywhere, while changes go on, miss nothing and are told ' +
    'nothing twice', {
    timeout: 120_000,
  }, async () => {
    const { learner, taken, id } = await school()
    const first = enrollment(id, { by: learner })
    await first.until(1)
    for (const n of range(1, 7)) payload(await api.complete(learner.token, taken.lesson(n)))
    const cursors = (await first.until(8)).map(({ cursor }) => cursor)
    const streams = range(0, CROWD - 1).map((i) => ({
      from: i % 8,
      stream: enrollment(id, { by: learner, after: cursors[i % 8]! }),
    }))
    const there = () => streams.filter(({ stream }) => stream.items.length).length
    let last = 8
    for (let n = 0; n < 40; n++) {
      const lesson = taken.lesson(1 + ((n >> 1) % 7))
      last = payload(
        n % 2 ? await api.complete(learner.token, lesson) : await api.resetLesson(learner.token, lesson),
      ).version
      // a change for each so many who have come
      await vi.waitUntil(() => there() >= (n * CROWD) / 50, { timeout: 60_000, interval: 10 })
    }
    await Promise.all(streams.map(({ stream }) => stream.until((items) => items.at(-1)?.version === last, 60_000)))
    for (const { from, stream } of streams) {
      expect(versions(stream.items)).toEqual(range(from + 2, last))
      expect(stream.items.every(({ __typename }) => __typename === 'EnrollmentChange')).toBe(true)
    }
    for (const { stream } of streams) stream.stop()
    first.stop()
    await nobody()
  })
})

test(
  'whoever goes away leaves nothing behind, however they go: no subscription, no connection, nobody ' + 'who listens',
  async () => {
    const { learner, instructor, taken, id } = await school()
    await nobody()
    const sockets: { terminate(): void }[] = []
    const client = connect(learner, { on: { opened: (socket) => void sockets.push(socket as never) } })
    const streams = [
      enrollment(id, { by: learner }),
      enrollment(id, { by: learner, over: 'server-sent events' }),
      watchCourse(taken.id, { by: instructor }),
      watchCourse(taken.id, { by: instructor, over: 'server-sent events' }),
    ]
    const torn = range(1, 10).map(() => enrollment(id, { client }))
    await Promise.all([...streams, ...torn].map((stream) => stream.until(1)))
    expect(await metric('lockstep_live_subscriptions')).toBe(14)
    expect(await metric('lockstep_live_connections')).toBe(3)
    for (const { stop } of streams) stop()
    for (const socket of sockets) socket.terminate() // as a network that is lost
    await nobody()
    const early = range(1, 50).map(() => enrollment(id, { by: learner })) // who are gone before they are there
    for (const { stop } of early) stop()
    await nobody()
    payload(await api.complete(learner.token, taken.lesson(1)))
  },
)

test(
  'of what subscribers go through nothing stays: feeds, channels and subscriptions are none when the last ' +
    'has left',
  async () => {
    const { learner, instructor, taken, id } = await school()
    const parts = composed(w)
    const count = () => [
      parts.subscriptions.count,
      parts.subscriptions.streams,
      parts.followed.feeds,
      parts.tail.channels,
    ]
    expect(count()).toEqual([0, 0, 0, 0])
    for (let round = 0; round < 3; round++) {
      const streams = range(1, 40).map((n) =>
        n % 2
          ? parts.subscribe(ENROLLMENT, { id: globalId('Enrollment', id) }, learner)
          : parts.subscribe(COURSE, { id: globalId('Course', taken.id) }, instructor),
      )
      await Promise.all(streams.map((stream) => stream.until(1)))
      expect(count()).toEqual([40, 40, 2, 2])
      await parts.commit(completeLesson, {
        actor: learner.actor,
        input: { learnerId: learner.id, lessonId: taken.lesson(round + 1) },
      })
      await Promise.all(streams.map((stream) => stream.until(2)))
      for (const { stop } of streams) stop()
      await vi.waitFor(() => expect(count()).toEqual([0, 0, 0, 0]))
    }
    // those who are refused, or gone before they are there, leave nothing either
    const refused = [
      parts.subscribe(ENROLLMENT, { id: globalId('Enrollment', enrollmentOf(learner.id, 'nothing')) }, learner),
      parts.subscribe(COURSE, { id: globalId('Course', taken.id) }, learner),
    ]
    const hasty = range(1, 20).map(() => parts.subscribe(ENROLLMENT, { id: globalId('Enrollment', id) }, learner))
    await Promise.all([...refused, hasty[0]!].map((stream) => stream.until(1).catch(() => {})))
    for (const { stop } of hasty) stop()
    await vi.waitFor(() => expect(count()).toEqual([0, 0, 0, 0]))
  },
)

test(
  'what a viewer’s own is thrown away where it was rendered for all: nobody is shown, nor is it logged, that it ' +
    'went wrong there',
  async () => {
    const { learner, instructor, taken, id } = await school()
    const shown: unknown[] = []
    const parts = composed(w, {
      shown(error) {
        shown.push(error)
        return error as Error
      },
    })
    const own = `subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ... on EnrollmentSnapshot { version }
    ... on EnrollmentChange { version enrollment { availableLessons { nodes { progress { status } } } } } } }`
    const streams = [learner, instructor].map((by) => parts.subscribe(own, { id: globalId('Enrollment', id) }, by))
    await Promise.all(streams.map((stream) => stream.until(1)))
    await parts.commit(completeLesson, {
      actor: learner.actor,
      input: { learnerId: learner.id, lessonId: taken.lesson(1) },
    })
    for (const stream of streams)
      expect((await stream.until(2))[1]).toMatchObject({ data: { enrollmentUpdates: { version: 2 } } })
    expect(shown).toEqual([])
  },
)

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
test('five rounds of five hundred who come and go hold no memory', { timeout: 120_000 }, async () => {
  const { learner, taken, id } = await school()
  const held = async () => {
    for (let i = 0; i < 5; i++) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    sent.length = 0
    const { heapUsed, external } = process.memoryUsage()
    return (heapUsed + external) / 1e6
  }
  const round = async (n: number) => {
    const streams = range(1, 500).map((i) =>
      enrollment(id, { by: learner, over: i % 5 ? 'WebSocket' : 'server-sent events' }),
    )
    await Promise.all(streams.map((stream) => stream.until(1, 30_000)))
    payload(
      n % 2
        ? await api.complete(learner.token, taken.lesson(1))
        : await api.resetLesson(learner.token, taken.lesson(1)),
    )
    await Promise.all(streams.map((stream) => stream.until(2, 30_000)))
    for (const { stop } of streams) stop()
    await nobody()
  }
  // this client's own memory of them is only let go with the test, so that it is kept out of what is compared: as much
  // before as after
  const sizes: number[] = []
  for (let n = 1; n <= 6; n++) {
    await round(n)
    sizes.push(await held())
  }
  console.log(`After each round: ${sizes.map((size) => size.toFixed(1)).join(', ')} MB`)
  expect(sizes.at(-1)! - sizes[0]!).toBeLessThan(12)
})
