import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { demoCourse, demoLesson } from '../../src/learning/demo.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { academy } from '../academy.ts'
import { globalId, serve } from '../api.ts'
import { outsiders } from '../classroom.ts'
import { demoServer, end, run } from '../docs/demoServer.ts'
import { range } from '../live/client.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'
import { answers } from './answers.ts'

/** A client with a normalized cache, whichever it is. */
export interface TestClient {
  /** Asks the server, whatever the cache has. */
  query(document: string, variables: object): Promise<unknown>
  mutate(document: string, variables: object, how?: { readonly overSocket: true }): Promise<unknown>
  /** Returns how to stop. */
  subscribe(document: string, variables: object, next: (data: unknown) => void): () => void
  /** What the cache has; undefined if it lacks a field. */
  cached(document: string, variables: object): unknown
  stop(): unknown
}

/** Where a client connects. */
export interface Connection {
  readonly url: string
  readonly socketUrl: string
  readonly token: string
}

/** How a client is made: `plain` with the library's cache and the possible types, `guarded` as the example has it. */
export interface Making {
  readonly example: string
  plain(connection: Connection): TestClient
  guarded(connection: Connection): TestClient
}

const STATE = `query State($id: ID!, $lesson: ID!) {
  enrollment(id: $id) { id version percent completedLessonCount }
  lesson(id: $lesson) { id progress { id status } }
}`
const COMPLETE = `mutation Complete($input: CompleteLessonInput!) {
  completeLesson(input: $input) {
    __typename
    ... on CompleteLessonPayload { version replayed enrollment { id version percent completedLessonCount }
    lessonProgress { id status } }
    ... on DomainError { code message }
  }
}`
const RESET = `mutation Reset($input: ResetProgressInput!) {
  resetProgress(input: $input) {
    __typename
    ... on ResetProgressPayload { version replayed enrollment { id version percent completedLessonCount }
    lessonProgress { id status } }
    ... on DomainError { code message }
  }
}`
const UPDATES = `subscription Updates($id: ID!, $after: Cursor) {
  enrollmentUpdates(enrollmentId: $id, after: $after) {
    __typename
    ... on StreamItem { cursor }
    ... on EnrollmentSnapshot { version enrollment { id version percent completedLessonCount } progress { id status } }
    ... on EnrollmentChange { version kind enrollment { id version percent completedLessonCount }
    lessonProgress { id status } }
  }
}`

const CREATE = `mutation Create($input: CreatePlanInput!) {
  createPlan(input: $input) { __typename ... on CreatePlanPayload { plan { id version } } }
}`
const ADD = `mutation Add($input: AddWorkoutsInput!) {
  addWorkouts(input: $input) { __typename ... on AddWorkoutsPayload { plan { id version } workouts { id title } } }
}`
const RENAME = `mutation Rename($input: RenameWorkoutInput!) {
  renameWorkout(input: $input) {
    __typename
    ... on RenameWorkoutPayload { version replayed plan { id version } workout { id title } }
  }
}`
const SELECT = `mutation Select($input: UpdateSelectionInput!) {
  updateSelection(input: $input) {
    __typename
    ... on UpdateSelectionPayload { version replayed plan { id version }
    workout { id title selection { id currentPlanDay } } }
  }
}`
const PLAN = `query Plan($planId: ID!, $workoutId: ID!) {
  plan(id: $planId) { id version title }
  workout(id: $workoutId) { id title selection { id currentPlanDay } }
}`

const COURSES = `query Courses($first: Int, $after: String, $filter: CourseFilterInput, $orderBy: CourseOrderInput) {
  courses(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
    totalCount
    edges { cursor node { id title } }
    pageInfo { endCursor hasNextPage }
  }
}`
const NODES = `query Nodes($filter: CourseFilterInput) {
  courses(filter: $filter) { totalCount nodes { id title } }
}`
const WITHOUT_ARGUMENTS = '{ courses { totalCount nodes { id title } edges { node { id } } } }'
const OF_A_PERSON = '{ viewer { id enrollments { nodes { id version } } plans { nodes { id version } } } }'

const w = await world()
const server = await serve(w)
const { commit } = w.process()
const { person, course } = academy(commit)
const { holds, untilBlocked } = await outsiders(w)
const socketUrl = `${server.url.replace('http', 'ws')}/graphql`
const socketOf = (url: string) => `${url.replace('http', 'ws')}graphql`

/**
 * A learner in a course of three lessons, and what they do elsewhere, as on a second device. The enrollment has version
 * 3: they have begun again.
 */
async function learning() {
  const learner = await person()
  const lessons = await course(3)
  await server.enroll(learner.token, lessons.id)
  const enrollmentId = enrollmentOf(learner.id, lessons.id)
  const lesson = (n: number) => globalId('Lesson', lessons.lesson(n))
  const elsewhere = {
    complete: (n: number) => server.complete(learner.token, lessons.lesson(n)),
    reset: (n: number) => server.resetLesson(learner.token, lessons.lesson(n)),
  }
  await elsewhere.complete(1)
  await elsewhere.reset(1)
  const state = { id: globalId('Enrollment', enrollmentId), lesson: lesson(1) }
  return { token: learner.token, enrollmentId, id: state.id, state, lesson, elsewhere }
}

/** A plan of version 2 with a workout. */
async function plannedWorkout(client: TestClient) {
  const made = await client.mutate(CREATE, { input: { title: 'Plan', idempotencyKey: 'create' } })
  const planId = (made as { createPlan: { plan: { id: string } } }).createPlan.plan.id
  const input = { planId, workouts: [{ title: 'One' }], idempotencyKey: 'add' }
  const added = await client.mutate(ADD, { input })
  const [workout] = (added as { addWorkouts: { workouts: { id: string }[] } }).addWorkouts.workouts
  return { planId, workoutId: workout!.id }
}

/** A client, until the test is over. */
function using(client: TestClient): TestClient {
  onTestFinished(() => void client.stop())
  return client
}

async function network() {
  const network = await answers(`${server.url}/graphql`)
  onTestFinished(() => void network.close())
  return network
}

interface Shown {
  readonly enrollment: { readonly version: number; readonly completedLessonCount: number }
  readonly lesson: { readonly progress: { readonly status: string } | null }
}
interface Item {
  readonly __typename: string
  readonly version: number
}

/** Watches an enrollment; `until` resolves when the change of that version has arrived. */
function watching(client: TestClient, id: string) {
  const items: Item[] = []
  const stop = client.subscribe(UPDATES, { id, after: null }, (data) =>
    items.push((data as { enrollmentUpdates: Item }).enrollmentUpdates),
  )
  onTestFinished(stop)
  const until = (version: number, timeout = 25_000) =>
    vi.waitUntil(() => (items.at(-1)?.version ?? 0) >= version, { timeout, interval: 5 })
  return { items, until }
}

/** The tests of a client with a normalized cache. */
export function promises({ example, plain, guarded }: Making) {
  const cachedBy = (client: TestClient, state: object) => client.cached(STATE, state) as Shown | undefined

  describe('a cache that guards nothing', () => {
    test('goes back to nothing when an old request is sent again', async () => {
      const { token, state, lesson, elsewhere } = await learning()
      const client = using(plain({ url: `${server.url}/graphql`, socketUrl, token }))
      const first = { input: { lessonId: lesson(1), idempotencyKey: 'first' } }
      await client.mutate(COMPLETE, first)
      await elsewhere.complete(2)
      await elsewhere.reset(1)
      await client.query(STATE, state)
      const before = cachedBy(client, state)
      expect(before).toMatchObject({
        enrollment: { version: 6, completedLessonCount: 1 },
        lesson: { progress: { status: 'NOT_STARTED' } },
      })
      expect(await client.mutate(COMPLETE, first)).toMatchObject({ completeLesson: { version: 4, replayed: true } })
      expect(cachedBy(client, state)).toEqual(before)
    })

    test('goes back to no old plan or workout when an old request is sent again', async () => {
      const { token } = await person()
      const client = using(plain({ url: `${server.url}/graphql`, socketUrl, token }))
      const { planId, workoutId } = await plannedWorkout(client)
      const rename = { input: { workoutId, title: 'Two', idempotencyKey: 'rename' } }
      const select = { input: { workoutId, currentPlanDay: '2027-03-01', idempotencyKey: 'select' } }
      await client.mutate(RENAME, rename)
      await client.mutate(SELECT, select)
      await client.mutate(RENAME, { input: { workoutId, title: 'Three' } })
      await client.mutate(SELECT, { input: { workoutId, currentPlanDay: '2027-03-02' } })
      const plan = () => client.cached(PLAN, { planId, workoutId })
      await client.query(PLAN, { planId, workoutId })
      const before = plan()
      expect(before).toMatchObject({
        plan: { version: 6 },
        workout: { title: 'Three', selection: { currentPlanDay: '2027-03-02' } },
      })
      expect(await client.mutate(RENAME, rename)).toMatchObject({ renameWorkout: { version: 3, replayed: true } })
      expect(await client.mutate(SELECT, select)).toMatchObject({ updateSelection: { version: 4, replayed: true } })
      expect(plan()).toEqual(before)
    })

    test('ends with the newest version, in whichever order the requests of a batch are answered', async () => {
      const { token, enrollmentId, state, lesson, elsewhere } = await learning()
      const slow = await network()
      const client = using(plain({ url: slow.url, socketUrl, token }))
      await client.query(STATE, state)
      const holder = await holds([enrollmentId])
      const first = elsewhere.complete(1)
      await untilBlocked(1)
      slow.isHolding = true
      const requests = [
        client.mutate(RESET, { input: { target: { lessonId: lesson(1) } } }),
        client.mutate(COMPLETE, { input: { lessonId: lesson(2) } }),
        client.mutate(COMPLETE, { input: { lessonId: lesson(3) } }),
      ]
      await vi.waitUntil(() => slow.requests === 1 + requests.length, { timeout: 20_000 })
      for (const _ of requests) await server.ask('{ viewer { id } }', {}, token) // by now they are queued
      await holder.end()
      await first
      await slow.untilHeld(requests.length)
      for (let left = requests.length; left > 0; left--) slow.release('last')
      const payloads = (await Promise.all(requests)).map((data) => Object.values(data as object)[0] as Item & Shown)
      expect(payloads.map(({ version }) => version).sort()).toEqual([5, 6, 7])
      expect(payloads.map(({ enrollment }) => enrollment.version)).toEqual([7, 7, 7])
      expect(cachedBy(client, state)?.enrollment).toMatchObject({ version: 7, completedLessonCount: 2 })
    })

    test('follows the stream when mutations go over the same socket', async () => {
      const { token, id, state, lesson, elsewhere } = await learning()
      const client = using(plain({ url: `${server.url}/graphql`, socketUrl, token }))
      await client.query(STATE, state)
      const { items, until } = watching(client, id)
      await until(3)
      for (const n of range(1, 10)) {
        const input = { lessonId: lesson(1), idempotencyKey: `complete-${n}` }
        const answered = client.mutate(COMPLETE, { input }, { overSocket: true })
        await Promise.all([answered, elsewhere.complete(2)])
        await Promise.all([elsewhere.reset(1), elsewhere.reset(2)])
      }
      await until(43)
      expect(items.map(({ version }) => version)).toEqual(range(3, 43))
      expect(cachedBy(client, state)).toMatchObject({
        enrollment: { version: 43, completedLessonCount: 0 },
        lesson: { progress: { status: 'NOT_STARTED' } },
      })
    })
  })

  describe.each([
    ['a cache that guards nothing goes back', plain, 4, 'COMPLETED', 3],
    ['the guarded cache stays at the newest version', guarded, 6, 'NOT_STARTED', 5],
  ])('%s', (_, make, afterMutation, status, afterQuery) => {
    test('when the answer to a mutation is overtaken by the stream', async () => {
      const { token, id, state, lesson, elsewhere } = await learning()
      const slow = await network()
      const client = using(make({ url: slow.url, socketUrl, token }))
      await client.query(STATE, state)
      const { until } = watching(client, id)
      await until(3)
      slow.isHolding = true
      const late = client.mutate(COMPLETE, { input: { lessonId: lesson(1) } })
      await slow.untilHeld(1)
      await elsewhere.reset(1)
      await elsewhere.complete(2)
      await until(6)
      slow.release()
      await late
      expect(cachedBy(client, state)).toMatchObject({
        enrollment: { version: afterMutation },
        lesson: { progress: { status } },
      })
    })

    test('when mutations are answered in the reverse order', async () => {
      const { token, state, lesson } = await learning()
      const slow = await network()
      const client = using(make({ url: slow.url, socketUrl, token }))
      await client.query(STATE, state)
      slow.isHolding = true
      const requests: Promise<unknown>[] = []
      for (const mutation of [COMPLETE, RESET, COMPLETE, RESET]) {
        const target = { lessonId: lesson(1) }
        const idempotencyKey = `request ${requests.length}`
        const input = mutation === RESET ? { target, idempotencyKey } : { ...target, idempotencyKey }
        requests.push(client.mutate(mutation, { input }))
        await slow.untilHeld(requests.length) // each has a batch of its own
      }
      for (const request of requests.reverse()) {
        slow.release('last')
        await request
      }
      expect(cachedBy(client, state)).toMatchObject({
        enrollment: { version: afterMutation === 4 ? 4 : 7 },
        lesson: { progress: { status } },
      })
    })

    test('when the answer to a query is overtaken by the stream', async () => {
      const { token, id, state, elsewhere } = await learning()
      const slow = await network()
      const client = using(make({ url: slow.url, socketUrl, token }))
      await client.query(STATE, state)
      const { until } = watching(client, id)
      await until(3)
      slow.isHolding = true
      const late = client.query(STATE, state)
      await slow.untilHeld(1)
      for (const n of [1, 2]) await elsewhere.complete(n)
      await until(5)
      slow.release()
      await late
      expect(cachedBy(client, state)).toMatchObject({ enrollment: { version: afterQuery } })
    })
  })

  describe(`the lists of ${example}`, () => {
    /** Two courses, and a client that has asked for nothing yet. */
    async function listing() {
      const { token } = await learning()
      const [one, two] = [await course(1), await course(1)]
      const client = using(guarded({ url: `${server.url}/graphql`, socketUrl, token }))
      const fromServer = async (document: string, variables: object) =>
        (await server.ask<object, object>(document, variables, token)).data
      return { client, one, two, fromServer }
    }

    test('are each as the server has them, whatever else was asked for before', async () => {
      const { client, one, two, fromServer } = await listing()
      const asked: [string, object][] = [
        [COURSES, { first: 10 }],
        [COURSES, { first: 10, filter: { title: one.slug } }],
        [COURSES, { first: 10, filter: { title: two.slug } }],
        [COURSES, { first: 10, orderBy: { field: 'TITLE', direction: 'DESC' } }],
        [COURSES, { first: 10, filter: { enrolled: true } }],
      ]
      for (const [document, variables] of asked)
        expect(await client.query(document, variables)).toMatchObject((await fromServer(document, variables)) as object)
      for (const [document, variables] of asked)
        expect(client.cached(document, variables)).toMatchObject((await fromServer(document, variables)) as object)
    })

    test.each([
      ['without arguments', WITHOUT_ARGUMENTS, () => ({})],
      ['of a person, without arguments', OF_A_PERSON, () => ({})],
      ['with arguments that have no value', NODES, () => ({})],
      ['as nodes, with a filter', NODES, (title: string) => ({ filter: { title } })],
    ])('are as the server has them when they are asked for %s', async (_, document, variablesOf) => {
      const { client, one, fromServer } = await listing()
      const variables = variablesOf(one.slug)
      const expected = (await fromServer(document, variables)) as object
      expect(await client.query(document, variables)).toMatchObject(expected)
      expect(client.cached(document, variables)).toMatchObject(expected)
    })

    test('grow page by page, each by itself', async () => {
      const { client, two, fromServer } = await listing()
      const orders = ['ASC', 'DESC'].map((direction) => ({ orderBy: { field: 'TITLE', direction }, first: 1 }))
      for (const order of orders) {
        const { courses } = (await client.query(COURSES, order)) as { courses: { pageInfo: { endCursor: string } } }
        await client.query(COURSES, { ...order, after: courses.pageInfo.endCursor })
      }
      await client.query(COURSES, { first: 1, filter: { title: two.slug } })
      for (const order of orders) {
        const { courses } = (await fromServer(COURSES, { ...order, first: 2 })) as { courses: object }
        expect(client.cached(COURSES, order)).toMatchObject({ courses })
      }
    })
  })

  describe(example, () => {
    test('sends a mutation with a key again when its answer is lost', async () => {
      const { token, state, lesson } = await learning()
      const slow = await network()
      const client = using(guarded({ url: slow.url, socketUrl, token }))
      slow.losing = 2
      const input = { lessonId: lesson(1), idempotencyKey: 'once' }
      expect(await client.mutate(COMPLETE, { input })).toMatchObject({ completeLesson: { version: 4, replayed: true } })
      expect(slow.requests).toBe(3)
      await client.query(STATE, state)
      expect(cachedBy(client, state)).toMatchObject({ enrollment: { version: 4 } })
    })

    test('misses nothing, and receives nothing twice, when its socket is killed', async () => {
      const { token, id, elsewhere } = await learning()
      const cable = await proxy(server.url)
      onTestFinished(() => cable.close())
      const client = using(guarded({ url: `${server.url}/graphql`, socketUrl: socketOf(cable.url), token }))
      const { items, until } = watching(client, id)
      await until(3)
      for (const version of [5, 7]) {
        cable.unreachable = true
        cable.cut()
        await elsewhere.complete(1)
        await elsewhere.reset(1)
        cable.unreachable = false
        await until(version)
      }
      expect(items.map(({ __typename }) => __typename)).toEqual([
        'EnrollmentSnapshot',
        ...range(4, 7).map(() => 'EnrollmentChange'),
      ])
      expect(items.map(({ version }) => version)).toEqual(range(3, 7))
    })

    test('goes on where it was when the server was gone for seven seconds', { timeout: 120_000 }, async () => {
      const demo = await world()
      let running = await demoServer(demo.url)
      const cable = await proxy(running.url)
      onTestFinished(() => end(running))
      onTestFinished(() => cable.close())
      const token = 'demo-learner-2'
      const client = using(guarded({ url: cable.url, socketUrl: cable.url.replace('http', 'ws'), token }))
      const courseId = demoCourse('sketching-with-code')
      const lessonId = demoLesson('sketching-with-code', 'color')
      const id = globalId('Enrollment', enrollmentOf(token, courseId))
      const state = { id, lesson: globalId('Lesson', lessonId) }
      await client.query(STATE, state)
      const { items, until } = watching(client, id)
      await until(2)

      process.kill(-running.child.pid!, 'SIGKILL')
      await running.ended
      const input = { lessonId: state.lesson, idempotencyKey: 'while it was gone' }
      const answered = client.mutate(COMPLETE, { input })
      const asked = client.query(STATE, state)
      const learner = { actor: { id: token, role: 'LEARNER' as const } }
      const elsewhere = demo.process().commit
      await elsewhere(completeLesson, { ...learner, input: { learnerId: token, lessonId } })
      await elsewhere(resetProgress, { ...learner, input: { learnerId: token, lessonId } })
      await sleep(7_000) // what is promised
      running = await demoServer(demo.url)
      cable.target = running.url

      expect(await answered).toMatchObject({ completeLesson: { version: 5 } })
      await asked
      await until(5)
      expect(items.map(({ version }) => version)).toEqual(range(2, 5))
      expect(cachedBy(client, state)).toMatchObject({
        enrollment: { version: 5, completedLessonCount: 2 },
        lesson: { progress: { status: 'COMPLETED' } },
      })
    })

    test('prints what it does, or in one line why it can’t', async () => {
      const demo = await world()
      const running = await demoServer(demo.url)
      onTestFinished(() => end(running))
      const shown = run(process.execPath, [example, running.url])
      onTestFinished(() => end(shown))
      const lines = ['The stream: INITIAL', 'The stream: LESSON_COMPLETED', 'The stream: LESSON_RESET']
      await vi.waitFor(() => expect(shown.printed.match(/^The stream: .*$/gm)).toEqual(lines), { timeout: 30_000 })
      expect(shown.printed).toMatch(/^The answer: .*"replayed":false/m)
      expect(shown.printed).toMatch(/^The same request again: .*"replayed":true/m)
      expect(shown.printed).toMatch(/^The cache: .*"version":4/m)
      expect(shown.printed).not.toMatch(/error|warn|invalid|missing/i)

      const ends = async (token: string) => {
        const refused = run(process.execPath, [example, running.url, token])
        await refused.ended
        expect(refused.child.exitCode).toBe(1)
        return refused.printed
      }
      expect(await ends('demo-learner-1')).toMatch(/^Enroll first: .*\n$/)
      expect(await ends('no-such-token')).toMatch(/^.*the header `Authorization` is unknown.*\n$/)
    })
  })
}
