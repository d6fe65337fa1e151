import http from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test, vi } from 'vitest'
import type WebSocket from 'ws'
import type { LessonState } from '../../src/learning/courseAggregate.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { reviseCourse } from '../../src/learning/reviseCourse.ts'
import { academy, type Person, system, type TestCourse } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { ENROLLMENT, range, type Stream, type Told, versions, watching } from './client.ts'
import { launch } from './fleet.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const BUFFER = 262_144
const usual = await serve(w)
const api = await serve(w, { LIVE_BUFFER_BYTES: String(BUFFER) })
const watch = watching(api.url)
const watchUsual = watching(usual.url)

/** Somebody in a course whose lessons have so long titles. */
async function enrolled(lessons = 2, letters = 0) {
  const [learner, taken] = await Promise.all([person(), course(lessons)])
  if (letters) {
    const states = range(1, lessons).map((n): [string, LessonState] => [
      taken.lesson(n),
      {
        slug: `lesson-${n}`,
        position: n,
        title: `${n}`.padEnd(letters, '.'),
        active: true,
        requires: [],
        contents: {},
      },
    ])
    const input = {
      courseId: taken.id,
      slug: taken.slug,
      title: taken.slug,
      description: '',
      lessons: Object.fromEntries(states),
    }
    await commit(reviseCourse, { actor: system, input })
  }
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}
/** Brings as much as the titles have letters. */
const LARGE = ENROLLMENT.replaceAll('enrollment { id', 'enrollment { availableLessons { nodes { title } } id')

/**
 * One change after the other, so many of them, or until it is enough; lesson 1 is completed and begun again. Answers
 * the last version.
 */
async function fire(
  { token }: Person,
  taken: TestCourse,
  enough: (changes: number) => boolean | Promise<boolean>,
  by: Pick<typeof api, 'resetLesson' | 'complete'> = api,
) {
  let version = 0
  for (let n = 0; !(await enough(n)); n++)
    version = payload(
      n % 2 ? await by.resetLesson(token, taken.lesson(1)) : await by.complete(token, taken.lesson(1)),
    ).version
  return version
}

/**
 * A client that can stop reading. It does not see the server's pings then, and says by itself that it is still there:
 * otherwise the server would take it for gone after two pings, and how much waits for it by then depends on how fast
 * this machine is.
 */
function pausable(through: typeof watch, by: Person, id: string, query = ENROLLMENT) {
  let socket: WebSocket | undefined
  let pongs: NodeJS.Timeout | undefined
  const client = through.connect(by, {
    on: { opened: (opened) => (socket = opened as WebSocket), closed: () => clearInterval(pongs) },
  })
  return {
    stream: through.enrollment(id, { client, query }),
    pause() {
      socket!.pause()
      pongs = setInterval(() => socket!.pong(), 1_000).unref()
    },
    resume() {
      clearInterval(pongs)
      socket!.resume()
    },
    client,
  }
}

/**
 * All that somebody is told up to a version who goes on as they are told to when they lag. Answers how often they did.
 */
async function whole(through: typeof watch, by: Person, id: string, first: Stream<Told>, upTo: number) {
  const told: Told[] = []
  let lagged = 0
  for (let stream = first; ; ) {
    await stream.until(
      (items) => items.at(-1)?.__typename === 'SubscriberTooSlow' || items.at(-1)?.version === upTo,
      20_000,
    )
    const last = stream.items.at(-1)!
    if (last.__typename !== 'SubscriberTooSlow') {
      told.push(...stream.items)
      return { told, lagged }
    }
    await stream.end()
    expect(stream.errors).toEqual([])
    told.push(...stream.items.slice(0, -1))
    expect(last.cursor).toBe(told.at(-1)!.cursor)
    lagged++
    stream = through.enrollment(id, { by, after: last.cursor })
  }
}

/** What this process holds, when all that can be thrown away has been. */
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
async function held() {
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test('who does not read for ten seconds under fire misses nothing, and holds nobody up', {
  timeout: 60_000,
}, async () => {
  const { learner, taken, id } = await enrolled()
  const slow = pausable(watchUsual, learner, id)
  const fast = watchUsual.enrollment(id, { by: learner })
  await Promise.all([slow.stream, fast].map((stream) => stream.until(1)))
  slow.pause()
  const begun = performance.now()
  const last = await fire(learner, taken, () => performance.now() - begun > 10_000, usual)
  await fast.until(last, 2_000)
  expect(versions(fast.items)).toEqual(range(1, last))
  expect(slow.stream.items.length).toBeLessThan(last)
  slow.resume()
  const { told } = await whole(watchUsual, learner, id, slow.stream, last)
  expect(versions(told)).toEqual(range(1, last))
  expect(told.slice(1)).toEqual(fast.items.slice(1))
  expect(last).toBeGreaterThan(50)
})

test('who is too slow is told from where to go on, and with that misses nothing; the others have all of it before', {
  timeout: 60_000,
}, async () => {
  const { learner, taken, id } = await enrolled(2, 25_000)
  const slow = pausable(watch, learner, id, LARGE)
  const fast = [
    watch.enrollment(id, { by: learner, query: LARGE }),
    watch.enrollment(id, { by: learner, query: LARGE, over: 'server-sent events' }),
  ]
  await Promise.all([slow.stream, ...fast].map((stream) => stream.until(1)))
  const lagging = await watch.metric('lockstep_live_closed_total{why="too_slow"}')
  slow.pause()
  const last = await fire(learner, taken, (changes) => changes === 400)
  for (const stream of fast) expect(versions(await stream.until(last))).toEqual(range(1, last))
  expect(await watch.metric('lockstep_live_closed_total{why="too_slow"}')).toBe(lagging + 1)
  slow.resume()
  const { told, lagged } = await whole(watch, learner, id, slow.stream, last)
  expect(versions(told)).toEqual(range(1, last))
  expect(lagged).toBeGreaterThan(0)
})

test('who never reads is let go, and no more is kept for them than LIVE_BUFFER_BYTES; nobody else notices', {
  timeout: 90_000,
}, async () => {
  const { learner, taken, id } = await enrolled(2, 25_000)
  const fast = watch.enrollment(id, { by: learner })
  await fast.until(1)
  const before = await watch.metric('lockstep_live_subscriptions')
  const slow = range(1, 4).map(() => pausable(watch, learner, id, LARGE))
  await Promise.all(slow.map(({ stream }) => stream.until(1)))
  for (const { pause } of slow) pause()
  const events = await Promise.all(
    range(1, 4).map(() => unread(api.url, LARGE, { id: globalId('Enrollment', id) }, learner.token)),
  )
  const open = () => watch.metric('lockstep_live_subscriptions')
  await vi.waitUntil(async () => (await open()) === before + 8, { timeout: 10_000 })
  const lagging = await watch.metric('lockstep_live_closed_total{why="too_slow"}')
  const memory = await held()
  const last = await fire(learner, taken, (changes) => changes === 600) // 20 MB for each of them
  await vi.waitUntil(async () => (await watch.metric('lockstep_live_subscriptions')) === before, { timeout: 10_000 })
  expect(await watch.metric('lockstep_live_closed_total{why="too_slow"}')).toBe(lagging + 8)
  // of each: the buffer, what this client's own buffers hold; and what the test itself keeps
  expect(((await held()) - memory) / 1e6).toBeLessThan(8 * 3 + 10)
  expect(versions(await fast.until(last))).toEqual(range(1, last))

  // and when they read at last, that is what they find
  for (const each of events) {
    const told = await each.rest()
    const [end, lag, previous] = [told.at(-1), told.at(-2), told.at(-3)]
    expect(end).toBe('complete')
    expect(lag).toMatchObject({ __typename: 'SubscriberTooSlow', cursor: (previous as Told).cursor })
    expect(versions(told.slice(0, -2) as Told[])).toEqual(range(1, told.length - 2))
    const rest = await whole(
      watch,
      learner,
      id,
      watch.enrollment(id, { by: learner, after: (lag as Told).cursor }),
      last,
    )
    expect(versions(rest.told)).toEqual(range(told.length - 1, last))
  }
})

/** An event stream that nobody reads, until its rest is asked for. */
async function unread(url: string, query: string, variables: object, token: string) {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${token}`,
    }
    http
      .request(`${url}/graphql`, { method: 'POST', headers }, resolve)
      .on('error', reject)
      .end(JSON.stringify({ query, variables }))
  })
  return {
    async rest() {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      return text.split('\n\n').flatMap((message): (Told | string)[] => {
        const [, event] = /^event: (.*)$/m.exec(message) ?? []
        const [, data] = /^data: ?(.*)$/m.exec(message) ?? []
        if (event === 'next')
          return [(JSON.parse(data!) as { data: { enrollmentUpdates: Told } }).data.enrollmentUpdates]
        return event ? [event] : []
      })
    },
  }
}

test('with the smallest of buffers, one who reads nothing and asks for more on the same connection stops nobody', {
  timeout: 90_000,
}, async () => {
  // a process of its own, since it is one that would hang
  const server = await launch(w.url, { LIVE_BUFFER_BYTES: '8192' })
  try {
    const through = watching(server.url)
    const { learner, taken, id } = await enrolled(6, 1_200) // an item is just smaller than the buffer
    const first = through.enrollment(id, { by: learner })
    const { cursor } = (await first.until(1))[0]!
    const slow = pausable(through, learner, id, LARGE)
    await slow.stream.until(1)
    slow.pause()
    let lagged = 0
    await fire(
      learner,
      taken,
      async (changes) => {
        if (changes % 50 === 0) lagged = (await server.metric('lockstep_live_closed_total{why="too_slow"}')) || 0
        return lagged > 0 || changes === 4_000
      },
      server,
    )
    expect(lagged).toBe(1)
    for (let i = 0; i < 20; i++) through.enrollment(id, { client: slow.client, after: cursor })
    const { version } = payload(await server.resetLesson(learner.token, taken.lesson(2)))
    await first.until((items) => items.some((item) => item.version >= version), 5_000)
    const another = through.enrollment(id, { by: learner })
    await another.until(1, 5_000)
    expect((await fetch(`${server.url}/livez`, { signal: AbortSignal.timeout(5_000) })).status).toBe(200)
  } finally {
    server.kill('SIGKILL')
    await server.exit
  }
})
