import { describe, expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person, type TestCourse } from '../academy.ts'
import { globalId, made, payload, serve } from '../api.ts'
import { race, world } from '../world.ts'
import { kinds, Look, replays } from './replay.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const [api, other] = [await serve(w), await serve(w)]

async function enrolled(lessons: number, requires: Record<number, readonly number[]> = {}) {
  const [learner, taken] = await Promise.all([person(), course(lessons, requires)])
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}
const complete = async ({ token }: Person, taken: TestCourse, n: number, more = {}) =>
  payload(await api.complete(token, taken.lesson(n), more))
const look = async ({ token }: Person, id: string) =>
  (await api.get(Look, { id: globalId('Enrollment', id) }, token)).enrollment!

describe('a lesson', () => {
  test('with progress is reset, and a message says so', async () => {
    const { learner, taken, id } = await enrolled(2)
    await complete(learner, taken, 1)
    payload(await api.content(learner.token, taken.item(1)))
    expect(payload(await api.resetLesson(learner.token, taken.lesson(1)))).toMatchObject({
      ...{ version: 4, replayed: false, reset: true, message: 'Your progress for this lesson has been reset.' },
      lessonProgress: { status: 'NOT_STARTED', openedAt: null, completedAt: null, resets: 1 },
      enrollment: { completedLessonCount: 0, percent: 0, attempt: 1 },
    })
    expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'contentCompleted', 'lessonReset'])
    expect(await w.query('select * from "ContentCompletion" where "enrollmentId" = $1', [id])).toEqual([])
    expect(await complete(learner, taken, 1)).toMatchObject({
      alreadyCompleted: false,
      lessonProgress: { status: 'COMPLETED', resets: 1 },
      enrollment: { percent: 50 },
    })
  })

  test('without progress is no error: a message says that there was none, and nothing is appended', async () => {
    const { learner, taken, id } = await enrolled(2)
    const none = {
      reset: false,
      message: 'No progress found for this lesson.',
      version: 1,
      lessonProgress: { status: 'NOT_STARTED', resets: 0 },
    }
    expect(payload(await api.resetLesson(learner.token, taken.lesson(1)))).toMatchObject(none)
    expect(await replays(w, id)).toHaveLength(1)
  })

  test('is reset once, however often it is asked at one moment', async () => {
    for (let round = 0; round < 10; round++) {
      const { learner, taken, id } = await enrolled(2)
      await complete(learner, taken, 1)
      const answers = await race(5, async () => payload(await api.resetLesson(learner.token, taken.lesson(1))))
      expect(answers.filter(({ reset }) => reset)).toHaveLength(1)
      expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'lessonReset'])
    }
  })

  test('of another lesson nothing is forgotten', async () => {
    const { learner, taken, id } = await enrolled(3)
    for (const n of [1, 2]) await complete(learner, taken, n)
    payload(await api.content(learner.token, taken.item(2)))
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    expect((await look(learner, id)).progress!.edges.map(({ node: { status } }) => status)).toEqual([
      'NOT_STARTED',
      'COMPLETED',
    ])
    expect(
      await w.query('select "contentItemId" as item from "ContentCompletion" where "enrollmentId" = $1', [id]),
    ).toEqual([{ item: taken.item(2) }])
  })

  test('that is no longer part of the course can be reset without changing what is counted', async () => {
    const { learner, taken, id } = await enrolled(2)
    for (const n of [1, 2]) await complete(learner, taken, n)
    await taken.revise(2, {}, [2])
    expect(payload(await api.resetLesson(learner.token, taken.lesson(2)))).toMatchObject({
      reset: true,
      enrollment: { completedLessonCount: 1, percent: 100, attempt: 1 },
    })
    await replays(w, id)
  })

  test('that the course never had is not found', async () => {
    const { learner, taken } = await enrolled(1)
    expect(await api.resetLesson(learner.token, taken.lesson(9))).toMatchObject({ __typename: 'LessonNotFound' })
  })
})

describe('a whole enrollment', () => {
  test('is begun again; its completion stays recorded as the earlier attempt', async () => {
    const { learner, taken, id } = await enrolled(2)
    for (const n of [1, 2]) await complete(learner, taken, n)
    expect(payload(await api.reset(learner.token, id))).toMatchObject({
      ...{ reset: true, message: 'Your progress for this course has been reset.', lessonProgress: null },
      enrollment: { completedLessonCount: 0, percent: 0, attempt: 2, completedAt: null },
    })
    expect(await look(learner, id)).toMatchObject({
      completions: { nodes: [{ attempt: 1 }] },
      progress: { totalCount: 2 },
    })
    for (const n of [1, 2]) await complete(learner, taken, n)
    expect(await look(learner, id)).toMatchObject({
      percent: 100,
      attempt: 2,
      completions: { nodes: [{ attempt: 1 }, { attempt: 2 }] },
    })
    await replays(w, id)
  })

  test('without progress says so', async () => {
    const { learner, id } = await enrolled(2)
    expect(payload(await api.reset(learner.token, id))).toMatchObject({
      reset: false,
      message: 'No progress found for this course.',
      version: 1,
    })
    expect(await replays(w, id)).toHaveLength(1)
  })

  test('an admin may reset that of another; an instructor of the course and other learners may not', async () => {
    const { learner, taken, id } = await enrolled(1)
    const [admin, instructor, stranger] = [await person('ADMIN'), await person('INSTRUCTOR'), await person()]
    await teach(taken.id, instructor)
    await complete(learner, taken, 1)
    for (const { token } of [instructor, stranger])
      expect(await api.reset(token, id)).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' })
    expect(await replays(w, id)).toHaveLength(3)
    expect(payload(await api.reset(admin.token, id))).toMatchObject({ reset: true, enrollment: { percent: 0 } })
    expect((await replays(w, id)).at(-1)).toMatchObject({ kind: 'enrollmentReset', actor: admin.id })
  })

  test('that does not exist: the error names the course to enroll in', async () => {
    const [learner, taken] = [await person(), await course(1)]
    expect(await api.reset(learner.token, enrollmentOf(learner.id, taken.id))).toMatchObject({
      __typename: 'NotEnrolled',
    })
    expect(await api.reset(learner.token, enrollmentOf(learner.id, 'nowhere'))).toMatchObject({
      __typename: 'CourseNotFound',
    })
  })
})

test(
  'completing and resetting at once, at two servers: whichever is first, the history folds to ' + 'the state',
  async () => {
    for (let round = 0; round < 25; round++) {
      const { learner, taken, id } = await enrolled(2)
      await complete(learner, taken, 1)
      const answers = await race(6, async (i) =>
        payload(
          await (i % 3 === 0
            ? api.reset(learner.token, id)
            : i % 3 === 1
              ? other.complete(learner.token, taken.lesson(2))
              : (i % 2 ? api : other).resetLesson(learner.token, taken.lesson(2))),
        ),
      )
      const told = await replays(w, id)
      expect(Math.max(...answers.map(({ version }) => version))).toBe(told.at(-1)!.version)
      const seen = await look(learner, id)
      expect(seen.completions!.nodes).toHaveLength(told.filter(({ kind }) => kind === 'courseCompleted').length)
    }
  },
)

test(
  'a late retry of an old completion does not undo the reset that came after it: it is told what it made then, and ' +
    'shown what is there now',
  async () => {
    const { learner, taken, id } = await enrolled(2)
    const first = await complete(learner, taken, 1, { idempotencyKey: 'late' })
    const now = payload(await api.resetLesson(learner.token, taken.lesson(1)))
    const retries = await race(5, () => complete(learner, taken, 1, { idempotencyKey: 'late' }))
    for (const retry of retries) {
      expect(made(retry)).toEqual({ ...made(first), replayed: true })
      expect(retry).toMatchObject({ enrollment: now.enrollment, lessonProgress: now.lessonProgress })
    }
    expect(await look(learner, id)).toMatchObject({ completedLessonCount: 0, percent: 0, version: 3 })
    expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'lessonReset'])
  },
)

test('a late retry of an old reset does not undo the completion that came after it', async () => {
  const { learner, taken, id } = await enrolled(2)
  await complete(learner, taken, 1)
  const first = payload(await api.resetLesson(learner.token, taken.lesson(1), { idempotencyKey: 'reset' }))
  await complete(learner, taken, 1)
  const late = payload(await api.resetLesson(learner.token, taken.lesson(1), { idempotencyKey: 'reset' }))
  expect(made(late)).toEqual({ ...made(first), replayed: true })
  expect(late).toMatchObject({ enrollment: { version: 4, percent: 50 }, lessonProgress: { status: 'COMPLETED' } })
  expect(await look(learner, id)).toMatchObject({ completedLessonCount: 1, percent: 50 })
  await replays(w, id)
})

test('expectedVersion: a learner who saw an older version does not reset what came since', async () => {
  const { learner, taken, id } = await enrolled(2)
  await complete(learner, taken, 1)
  expect(await api.resetLesson(learner.token, taken.lesson(1), { expectedVersion: 1 })).toMatchObject({
    __typename: 'VersionConflict',
  })
  expect(await api.reset(learner.token, id, { expectedVersion: 1 })).toMatchObject({ __typename: 'VersionConflict' })
  expect(payload(await api.reset(learner.token, id, { expectedVersion: 2 }))).toMatchObject({ version: 3 })
})
