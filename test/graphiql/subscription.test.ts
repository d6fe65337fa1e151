import { expect, test, vi } from 'vitest'
import type WebSocket from 'ws'
import { enrollmentOf } from '../../src/learning/id.ts'
import type { LessonState } from '../../src/learning/courseAggregate.ts'
import { type CourseDefinition, reviseCourse } from '../../src/learning/reviseCourse.ts'
import { academy, system, type TestCourse } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { ENROLLMENT, range, versions } from '../live/client.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'
import { as, tab, type Watching } from './tab.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const database = await proxy(w.url)
w.onClose(() => database.close())
const api = await serve({ ...w, url: database.url }, { LIVE_BUFFER_BYTES: '65536' })
const network = await proxy(api.url)
w.onClose(() => network.close())

/** Somebody who watches their own enrollment, and changes it: in each round a lesson is completed and reset. */
async function watched({ query = ENROLLMENT, on = {}, letters = 0 }: Watched = {}) {
  const [learner, taken] = await Promise.all([person(), course(2)])
  if (letters) await commit(reviseCourse, { actor: system, input: withLongTitles(taken, letters) })
  payload(await api.enroll(learner.token, taken.id))
  const variables = { id: globalId('Enrollment', enrollmentOf(learner.id, taken.id)) }
  const watching = tab(new URL(network.url).origin, on).watch({ query, variables, headers: as(learner) })
  return {
    watching,
    learner,
    async change(rounds = 1) {
      for (let round = 0; round < rounds; round++) {
        payload(await api.complete(learner.token, taken.lesson(1)))
        payload(await api.resetLesson(learner.token, taken.lesson(1)))
      }
    },
  }
}

interface Watched {
  readonly query?: string
  readonly on?: Parameters<typeof tab>[1]
  /** How long the titles of the lessons are. */
  readonly letters?: number
}

function withLongTitles({ id, slug, lesson }: TestCourse, letters: number): CourseDefinition {
  const lessons = [1, 2].map((n): [string, LessonState] => [
    lesson(n),
    { slug: `lesson-${n}`, position: n, title: `${n}`.padEnd(letters, '.'), active: true, requires: [], contents: {} },
  ])
  return { courseId: id, slug, title: slug, description: '', lessons: Object.fromEntries(lessons) }
}

const has = (count: number) => (watching: Watching) => watching.items.length >= count
const isOpen = ({ shown }: Watching) => shown.connection === 'open'

test('a connection that is lost again and again: every change is shown once, in order', async () => {
  const { watching, change } = await watched()
  await watching.until(has(1))
  for (const round of range(1, 3)) {
    network.unreachable = true
    network.cut()
    await watching.until(({ shown }) => shown.connection === 'lost, trying again')
    await change()
    network.unreachable = false
    await watching.until(has(4 * round - 1))
    await watching.until(isOpen)
    await change()
    await watching.until(has(4 * round + 1))
  }
  watching.stop()
  expect(versions(watching.items)).toEqual(range(1, 13))
  expect(watching.items.filter(({ __typename }) => __typename === 'EnrollmentSnapshot')).toHaveLength(1)
})

test('a server that is away for seven seconds: the tab tries again every few seconds, and continues', async () => {
  const attempts: number[] = []
  const { watching, change } = await watched({ on: { connecting: () => attempts.push(performance.now()) } })
  await watching.until(has(1))
  network.unreachable = true
  network.cut()
  const gone = performance.now()
  await change()
  await vi.waitUntil(() => performance.now() - gone > 7_000, { timeout: 8_000 })
  network.unreachable = false
  await watching.until(has(3))
  watching.stop()
  expect(versions(watching.items)).toEqual([1, 2, 3])
  expect(watching.connections).toEqual(['open', 'lost, trying again', 'open', 'stopped'])
  const pauses = attempts.slice(1).map((at, i) => at - attempts[i]!)
  expect(attempts.length).toBeGreaterThan(4)
  expect(Math.max(...pauses)).toBeLessThan(6_000)
})

test('without a variable for `after`, a subscription begins anew after a lost connection', async () => {
  const query = ENROLLMENT.replace(', $after: Cursor', '').replace(', after: $after', '')
  const { watching, change } = await watched({ query })
  await watching.until(has(1))
  network.cut()
  await watching.until(has(2))
  await change()
  await watching.until(has(4))
  watching.stop()
  expect(watching.items.map(({ reason }) => reason)).toEqual(['INITIAL', 'INITIAL', undefined, undefined])
})

test('the variable for the cursor may have any name', async () => {
  const { watching } = await watched({ query: ENROLLMENT.replaceAll('$after', '$since') })
  await watching.until(has(1))
  network.cut()
  await watching.until(({ connections }) => connections.length === 3)
  watching.stop()
  expect(watching.items).toHaveLength(1)
})

test('the last twenty items are shown, the newest first', async () => {
  const { watching, change } = await watched()
  await watching.until(has(1))
  await change()
  await watching.until(has(3))
  const shownVersions = () => versions(watching.shown.newestFirst.map(({ data }) => data.enrollmentUpdates!))
  expect(shownVersions()).toEqual([3, 2, 1])
  await change(10)
  await watching.until(has(23))
  watching.stop()
  expect(watching.shown.received).toBe(23)
  expect(shownVersions()).toEqual(range(4, 23).reverse())
})

test('a tab that was too slow continues where it was', { timeout: 90_000 }, async () => {
  let socket: WebSocket | undefined
  const query = ENROLLMENT.replaceAll('enrollment { id', 'enrollment { availableLessons { nodes { title } } id')
  const on = { opened: (opened: unknown) => (socket = opened as WebSocket) }
  const { watching, change } = await watched({ query, on, letters: 25_000 })
  await watching.until(has(1))
  socket!.pause()
  const pongs = setInterval(() => socket!.pong(), 1_000) // it is slow, but there
  const lagging = async () =>
    /^lockstep_live_closed_total\{why="too_slow"\} (\d+)$/m.exec(await (await fetch(`${api.url}/metrics`)).text())?.[1]
  let rounds = 0
  for (; !Number((await lagging()) ?? 0); rounds += 20) await change(20)
  clearInterval(pongs)
  socket!.resume()
  await watching.until(({ items }) => items.at(-1)!.version === 2 * rounds + 1, 30_000)
  watching.stop()
  const known = watching.items.filter(({ version }) => version)
  expect(versions(known)).toEqual(range(1, 2 * rounds + 1))
  expect(watching.items.length).toBeGreaterThan(known.length)
})

test('an error that passes is tried again', async () => {
  let isFirst = true
  const connected = () => {
    if (!isFirst) return
    isFirst = false
    database.unreachable = true // before the subscription itself is sent
    database.cut()
  }
  const { watching } = await watched({ on: { connected } })
  await watching.until(({ connections }) => connections.includes('open, trying again'))
  database.unreachable = false
  await watching.until(has(1))
  watching.stop()
  expect(versions(watching.items)).toEqual([1])
})

test('an error that does not pass ends the subscription, and is shown', async () => {
  const { watching, learner } = await watched()
  await watching.until(has(1))
  watching.stop()
  const run = tab(new URL(network.url).origin)
  const variables = { id: globalId('Enrollment', 'nobody.nothing') }
  const refused = run.watch({ query: ENROLLMENT, variables, headers: as(learner) })
  await refused.until(({ isComplete }) => isComplete)
  expect(refused.shown).toMatchObject({ connection: 'closed', received: 0, newestFirst: [] })
  expect(refused.shown.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }])

  const stranger = run.watch({ query: ENROLLMENT, variables, headers: as({ token: 'unknown' }) })
  await stranger.until(({ isComplete }) => isComplete)
  expect(stranger.shown.errors).toMatchObject([{ message: expect.stringContaining('4401') }])
  await vi.waitUntil(() => network.connections === 0, { timeout: 20_000 })
})

test('a tab that is stopped closes its connection, also while it tries again', async () => {
  const { watching } = await watched()
  await watching.until(has(1))
  expect(network.connections).toBe(1)
  network.unreachable = true
  network.cut()
  await watching.until(({ shown }) => shown.connection === 'lost, trying again')
  watching.stop()
  network.unreachable = false
  const other = await watched()
  await other.watching.until(has(1))
  other.watching.stop()
  await vi.waitUntil(() => network.connections === 0, { timeout: 20_000 })
  expect(watching.shown.connection).toBe('stopped')
})

test('a tab that is stopped while it tries again does not try once more', async () => {
  const attempts = [0, 0]
  const [stopped, other] = await Promise.all(
    [0, 1].map((i) => watched({ on: { connecting: () => void attempts[i]!++ } })),
  )
  await Promise.all([stopped!, other!].map(({ watching }) => watching.until(has(1))))
  network.unreachable = true
  network.cut()
  for (const { watching } of [stopped!, other!])
    await watching.until(({ shown }) => shown.connection === 'lost, trying again')
  stopped!.watching.stop()
  const [before, others] = [attempts[0], attempts[1]!]
  await vi.waitUntil(() => attempts[1]! >= others + 4, { timeout: 20_000 }) // much later than its next one
  expect(attempts[0]).toBe(before)
  other!.watching.stop()
  network.unreachable = false
})

test('a tab that is stopped says so at once, and keeps its last items; one that had ended stays closed', async () => {
  const { watching, change, learner } = await watched()
  await watching.until(has(1))
  await change()
  await watching.until(has(3))
  const { newestFirst } = watching.shown
  watching.stop()
  expect(watching.shown).toEqual({ connection: 'stopped', received: 3, newestFirst })
  await change()
  await vi.waitUntil(() => network.connections === 0, { timeout: 20_000 })
  expect(watching.items).toHaveLength(3)
  expect(watching.connections).toEqual(['open', 'stopped'])

  const variables = { id: globalId('Enrollment', 'nobody.nothing') }
  const refused = tab(new URL(network.url).origin).watch({ query: ENROLLMENT, variables, headers: as(learner) })
  await refused.until(({ isComplete }) => isComplete)
  refused.stop()
  expect(refused.connections).toEqual(['closed'])
})

test("a query while the server is away says that it can't be reached, without a stack", async () => {
  const { ask } = tab(new URL(network.url).origin)
  const asking = () => ask({ query: '{ __typename }' }).catch((error: unknown) => error)
  network.unreachable = true
  network.cut()
  const error = (await asking()) as Error
  network.unreachable = false
  expect(error.message).toBe("The server can't be reached. Try again in a moment.")
  expect(error.stack).toBeUndefined()
  expect(await asking()).toEqual({ data: { __typename: 'Query' } })
})
