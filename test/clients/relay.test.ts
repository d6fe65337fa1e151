import { randomUUID } from 'node:crypto'
import {
  createOperationDescriptor,
  type Environment,
  getRequest,
  getSingularSelector,
  type SingularReaderSelector,
} from 'relay-runtime'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { globalId, payload, serve } from '../api.ts'
import completeMutation, { type relayCompleteMutation } from '../generated/relay/relayCompleteMutation.graphql.ts'
import courseQuery, { type relayCourseQuery } from '../generated/relay/relayCourseQuery.graphql.ts'
import enrollmentQuery, { type relayEnrollmentQuery } from '../generated/relay/relayEnrollmentQuery.graphql.ts'
import everythingQuery, { type relayEverythingQuery } from '../generated/relay/relayEverythingQuery.graphql.ts'
import lessonsFragment, { type relayLessons_course$data } from '../generated/relay/relayLessons_course.graphql.ts'
import lessonsPageQuery, { type relayLessonsPageQuery } from '../generated/relay/relayLessonsPageQuery.graphql.ts'
import levelMutation, { type relayLevelMutation } from '../generated/relay/relayLevelMutation.graphql.ts'
import levelQuery, { type relayLevelQuery } from '../generated/relay/relayLevelQuery.graphql.ts'
import nodesQuery, { type relayNodesQuery } from '../generated/relay/relayNodesQuery.graphql.ts'
import optimisticMutation, { type relayOptimisticMutation } from '../generated/relay/relayOptimisticMutation.graphql.ts'
import planQuery, { type relayPlanQuery } from '../generated/relay/relayPlanQuery.graphql.ts'
import selectMutation, { type relaySelectMutation } from '../generated/relay/relaySelectMutation.graphql.ts'
import { about } from '../licensing/standing.ts'
import { range, versions } from '../live/client.ts'
import { planner } from '../planning/planner.ts'
import { guarded, mutate, read, record, things, unguarded, unguardedSocket, watch } from './relayClient.ts'
import { type Learner, scene } from './scene.ts'

const s = await scene()
const api = await serve(s)
const learner = () => s.learner(api.url)

// Relay writes there where an id has two types, a field is missing, or a connection is not as it must be
const warned = vi.spyOn(console, 'error')
afterEach(() => {
  expect(warned.mock.calls).toEqual([])
  warned.mockClear()
})

const readEnrollment = async (environment: Environment, id: string) =>
  (await read<relayEnrollmentQuery>(environment, enrollmentQuery, { id })).enrollment!

interface Versioned {
  readonly version: number
}

const complete = async (environment: Environment, lessonId: string, idempotencyKey: string = randomUUID()) => {
  const input = { lessonId, idempotencyKey }
  return (await mutate<relayCompleteMutation>(environment, completeMutation, { input })).completeLesson
}

test('a query with variables is answered', async () => {
  const { enrollment, ...place } = await learner()
  const data = await readEnrollment(guarded(place), enrollment)
  expect(data).toMatchObject({ id: enrollment, version: 1, percent: 0, progress: { nodes: [] } })
})

test('what @connection keeps is a list without gaps, page by page', async () => {
  const environment = guarded(await learner())
  const { course } = await read<relayCourseQuery>(environment, courseQuery, { slug: s.course.slug })
  const lessons = () => {
    const selector = getSingularSelector(lessonsFragment, course) as SingularReaderSelector
    return (environment.lookup(selector).data as unknown as relayLessons_course$data).lessons!
  }
  const titles = () => lessons().edges.map(({ node }) => node.title)
  expect(titles()).toEqual(['Lesson 1', 'Lesson 2'])
  const next = { first: 5, after: lessons().pageInfo.endCursor }
  await read<relayLessonsPageQuery>(environment, lessonsPageQuery, { id: course!.id, ...next })
  expect(titles()).toEqual(range(1, 4).map((n) => `Lesson ${n}`))
  expect(lessons()).toMatchObject({ totalCount: 4, pageInfo: { hasNextPage: false } })
})

test('whatever has an id is refetched by it, as the same type', async () => {
  const someone = await learner()
  await (await planner(api, someone)).select(1, { currentPlanDay: '2030-01-01' })
  payload(await about(api, await s.school.person('ADMIN'), someone.id).up(1_000))
  for (const n of range(1, 4)) await complete(guarded(someone), someone.lesson(n))

  const environment = guarded(someone)
  await read<relayEverythingQuery>(environment, everythingQuery, {})
  const kept = Object.entries(things(environment)).map(([id, it]) => ({ id, __typename: it!.__typename }))
  expect(new Set(kept.map(({ __typename }) => __typename))).toEqual(
    new Set([
      ...['User', 'Course', 'Lesson', 'ContentItem', 'Enrollment', 'LessonProgress', 'CourseCompletion'],
      ...['Plan', 'Workout', 'WorkoutSelection'],
      ...['Specialization', 'SpecializationLevel', 'SpecializationProgress', 'License', 'LicenseProgression'],
    ]),
  )
  const ids = kept.map(({ id }) => id)
  const { nodes } = await read<relayNodesQuery>(unguarded(someone), nodesQuery, { ids })
  expect(nodes!.filter((node) => node)).toEqual(kept)
})

test('a mutation whose answer is lost is sent again with its key: it is a replay, and there is one event', async () => {
  const { network, enrollment, lesson, history, ...place } = await learner()
  const environment = guarded(place)
  const lost = network.atAnswer('CompleteLessonPayload', 'lose')
  const answer = complete(environment, lesson(1))
  await lost
  expect(await answer).toMatchObject({ version: 2, replayed: true, enrollment: { version: 2 } })
  expect(record(environment, enrollment)).toMatchObject({ version: 2, percent: 25 })
  expect((await history()).map(({ kind }) => kind)).toEqual(['enrolled', 'lessonCompleted'])
})

test('a refusal is data, and moves nothing', async () => {
  const { enrollment, ...place } = await learner()
  const environment = guarded(place)
  await readEnrollment(environment, enrollment)
  const before = things(environment)
  expect(await complete(environment, globalId('Lesson', 'none'))).toMatchObject({
    __typename: 'CourseNotFound',
    code: 'COURSE_NOT_FOUND',
  })
  expect(things(environment)).toEqual(before)
})

test('an optimistic response is shown until the answer is there', async () => {
  const { network, enrollment, lesson, ...place } = await learner()
  const environment = guarded(place)
  const { id, version } = await readEnrollment(environment, enrollment)
  const arrived = network.atAnswer('CompleteLessonPayload', 'hold')
  const input = { lessonId: lesson(1), idempotencyKey: randomUUID() }
  const answer = mutate<relayOptimisticMutation>(
    environment,
    optimisticMutation,
    { input },
    {
      completeLesson: {
        __typename: 'CompleteLessonPayload',
        version,
        enrollment: { id, version, completedLessonCount: 1, percent: 99 },
      },
    },
  )
  const letGo = await arrived
  expect(record(environment, enrollment)).toMatchObject({ percent: 99 })
  letGo()
  await answer
  expect(record(environment, enrollment)).toMatchObject({ version: 2, percent: 25 })
})

test('a stream has a snapshot, then each change in order, and the store has the last of them', async () => {
  const { enrollment, change, ...place } = await learner()
  const environment = guarded(place)
  const stream = watch(environment, enrollment)
  await stream.until(1)
  await change(5)
  const [snapshot, ...changes] = await stream.until(6)
  expect(snapshot).toMatchObject({ __typename: 'EnrollmentSnapshot', reason: 'INITIAL', version: 1 })
  expect(versions(changes)).toEqual(range(2, 6))
  expect(record(environment, enrollment)).toMatchObject({ version: 6, percent: 25 })
  stream.stop()
})

test('a stream goes on at its cursor after its socket is killed: nothing is missed, nothing comes twice', async () => {
  const { network, enrollment, change, ...place } = await learner()
  const stream = watch(guarded(place), enrollment)
  await stream.until(1)
  await change(2)
  await stream.until(3)
  network.cut()
  await change(3)
  await stream.until(6)
  await change()
  expect(versions(await stream.until(7))).toEqual(range(1, 7))
  stream.stop()
})

test('a stream that there is no room for begins when there is', async () => {
  const narrow = await serve(s, { LIVE_SUBSCRIPTIONS_PER_USER: '1' })
  const { network, enrollment, ...place } = await s.learner(narrow.url)
  const first = watch(guarded(place), enrollment)
  await first.until(1)
  const refused = network.atAnswer('TOO_MANY_SUBSCRIPTIONS', 'hold')
  const second = watch(guarded(place), enrollment)
  const letGo = await refused
  letGo()
  first.stop()
  expect(versions(await second.until(1))).toEqual([1])
  second.stop()
})

test('a stream that the viewer may not see ends with the reason', async () => {
  const [someone, other] = [await learner(), await learner()]
  const stream = watch(guarded(someone), other.enrollment)
  await stream.end()
  expect(stream.errors).toMatchObject([{ cause: [{ extensions: { code: 'NOT_FOUND' } }] }])
})

describe('a store that does nothing is moved back by no replay', () => {
  /** A mutation was sent, and more has happened since: sends it again, and expects that this changes nothing. */
  async function expectUnmoved(environment: Environment, load: () => Promise<unknown>, again: () => Promise<unknown>) {
    await load()
    const before = things(environment)
    expect(await again()).toMatchObject({ replayed: true })
    expect(things(environment)).toMatchObject(before)
    await load()
    expect(things(environment)).toMatchObject(before)
    return Object.values(before).map((it) => it!.__typename)
  }

  test('of an enrollment', async () => {
    const { enrollment, lesson, change, ...place } = await learner()
    const environment = unguarded(place)
    const send = () => complete(environment, lesson(1), 'of-an-enrollment')
    expect(await send()).toMatchObject({ replayed: false, version: 2, enrollment: { percent: 25 } })
    await change(2) // the first changes nothing: the lesson is completed
    const load = () => readEnrollment(environment, enrollment)
    expect(await expectUnmoved(environment, load, send)).toEqual(
      expect.arrayContaining(['Enrollment', 'LessonProgress']),
    )
    expect(record(environment, enrollment)).toMatchObject({ version: 3, percent: 0 })
  })

  test('of a plan', async () => {
    const owner = await learner()
    const plan = await planner(api, owner, 1)
    const environment = unguarded(owner)
    const input = { workoutId: plan.workout(1), currentPlanDay: '2030-01-01', idempotencyKey: 'of-a-plan' }
    const send = async () => (await mutate<relaySelectMutation>(environment, selectMutation, { input })).updateSelection
    await send()
    payload(await plan.select(1, { currentPlanDay: '2030-02-02' }))
    const load = () => read<relayPlanQuery>(environment, planQuery, { id: plan.planId })
    expect(await expectUnmoved(environment, load, send)).toEqual(
      expect.arrayContaining(['Plan', 'Workout', 'WorkoutSelection']),
    )
    expect(record(environment, plan.planId)).toMatchObject({ version: 4 })
  })

  test('of progress and license', async () => {
    const { id, ...place } = await learner()
    const instructor = await s.school.person('INSTRUCTOR')
    const environment = unguarded({ ...place, token: instructor.token })
    const { update, up } = about(api, instructor, id)
    const who = { userId: globalId('User', id), specialization: 'PLAYER' }
    const send = async () => {
      const input = { ...who, newLevel: 5, reason: 'a test', idempotencyKey: 'of-progress' }
      return (await mutate<relayLevelMutation>(environment, levelMutation, { input })).updateLevel
    }
    payload(await up(10))
    await send()
    payload(await update({ newLevel: 3 }))
    const load = () => read<relayLevelQuery>(environment, levelQuery, who)
    expect(await expectUnmoved(environment, load, send)).toEqual(
      expect.arrayContaining(['SpecializationProgress', 'License']),
    )
  })
})

describe('a late answer', () => {
  const kinds = {
    query: {
      begins: '{"data":{"enrollment":',
      ask: (environment: Environment, { enrollment }: Learner) => readEnrollment(environment, enrollment),
    },
    mutation: {
      begins: 'CompleteLessonPayload',
      ask: (environment: Environment, { lesson }: Learner) => complete(environment, lesson(1)),
    },
  }

  /**
   * An answer is held back until the stream is ahead of it; then it arrives. Returns what the store has then, what it
   * should have, and what the caller got.
   */
  async function late(kind: keyof typeof kinds, environment: Environment, someone: Learner) {
    const { network, enrollment, change } = someone
    const { begins, ask } = kinds[kind]
    await change(2)
    await readEnrollment(environment, enrollment)
    const stream = watch(environment, enrollment)
    await stream.until(1)
    const arrived = network.atAnswer(begins, 'hold')
    const answer = ask(environment, someone)
    const letGo = await arrived
    await change(4) // of the same lesson; the first may find it completed
    const { length } = await someone.history()
    await stream.until((items) => items.at(-1)!.version === length)
    letGo()
    const response = await answer
    stream.stop()
    const fresh = unguarded(someone)
    await readEnrollment(fresh, enrollment)
    return { response, kept: things(environment), present: things(fresh) }
  }

  test.each(['query', 'mutation'] as const)('to a %s moves back a store that does nothing', async (kind) => {
    const someone = await learner()
    const { kept, present } = await late(kind, unguarded(someone), someone)
    const [{ version }, { version: newest }] = [kept, present].map((all) => all[someone.enrollment]!) as [
      Versioned,
      Versioned,
    ]
    expect(version).toBeLessThan(newest)
  })

  test.each(['query', 'mutation'] as const)(
    'to a %s moves nothing back in the store of examples/relay.mjs, nor below a root',
    async (kind) => {
      const someone = await learner()
      const { response, kept, present } = await late(kind, guarded(someone), someone)
      expect(Object.values(present).map((it) => it!.__typename)).toEqual(['Enrollment', 'LessonProgress'])
      expect(kept).toMatchObject(present)
      const { version } = present[someone.enrollment] as Versioned
      expect(response).toMatchObject(kind === 'query' ? { version } : { enrollment: { version } })
    },
  )

  test('of several that arrive in reverse order moves nothing back', async () => {
    const { network, enrollment, lesson, ...place } = await learner()
    const environment = guarded(place)
    await readEnrollment(environment, enrollment)
    const sent = range(1, 3).map((n) => {
      const arrived = network.atAnswer(lesson(n), 'hold')
      return { answer: complete(environment, lesson(n)), arrived }
    })
    const letGo = await Promise.all(sent.map(({ arrived }) => arrived))
    for (const [i, { answer }] of [...sent.entries()].reverse()) {
      letGo[i]!()
      await answer
    }
    expect(record(environment, enrollment)).toMatchObject({ version: 4, percent: 75 })
  })
})

describe('answers and items, sent at the same time', () => {
  /** Completes lessons, several at once, and resets one, while a stream shows it. Returns the versions of the store. */
  async function busy({ enrollment, lesson, change, history }: Learner, environment: Environment) {
    const stream = watch(environment, enrollment)
    await stream.until(1)
    const query = createOperationDescriptor(getRequest(enrollmentQuery), { id: enrollment })
    await readEnrollment(environment, enrollment)
    const seen: number[] = []
    environment.retain(query)
    environment.subscribe(environment.lookup(query.fragment), () => {
      seen.push(record(environment, enrollment)!.version as number)
    })
    for (let round = 0; round < 5; round++)
      await Promise.all([...range(1, 4).map((n) => complete(environment, lesson(n))), change(2)])
    const { length } = await history()
    await stream.until((items) => items.at(-1)!.version === length)
    stream.stop()
    expect(seen.at(-1)).toBe(length)
    return seen
  }

  test('over one WebSocket, they leave the newest in a store that does nothing', async () => {
    const someone = await learner()
    await busy(someone, unguardedSocket(someone))
  })

  test('never move back the store of examples/relay.mjs', async () => {
    const someone = await learner()
    const seen = await busy(someone, guarded(someone))
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })
})

test('a history that was replaced is forgotten: the store has the lower version of the new one', async () => {
  const { enrollment, change, lesson, beginAgain, ...place } = await learner()
  const environment = guarded(place)
  const stream = watch(environment, enrollment)
  await change(5)
  await stream.until((items) => items.at(-1)!.version === 6)
  await beginAgain()
  const items = await stream.until((items) => items.at(-1)!.reason === 'HISTORY_REPLACED')
  expect(items.at(-1)).toMatchObject({ version: 1, enrollment: { version: 1, percent: 0 } })
  expect(record(environment, enrollment)).toMatchObject({ version: 1, percent: 0 })
  expect(await complete(environment, lesson(2))).toMatchObject({ replayed: false, version: 2 })
  expect(record(environment, enrollment)).toMatchObject({ version: 2, percent: 25 })
  stream.stop()
})
