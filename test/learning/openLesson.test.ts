import { expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { race, world } from '../world.ts'
import { kinds, replays } from './replay.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)

const OwnLesson = graphql(
  `query OwnLesson($id: ID!) { node(id: $id) { ... on Lesson { title progress { status openedAt } } } }`,
)

async function enrolled(lessons: number, requires: Record<number, readonly number[]> = {}) {
  const [learner, taken] = await Promise.all([person(), course(lessons, requires)])
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}

test('fifty learners open one lesson at one moment: each is shown it and has one row of their own', async () => {
  const taken = await course(2)
  const learners = await Promise.all(Array.from({ length: 50 }, () => person()))
  await Promise.all(learners.map(async ({ token }) => payload(await api.enroll(token, taken.id))))
  const answers = await race(100, async (i) => payload(await api.open(learners[i >> 1]!.token, taken.lesson(1))))
  for (const answer of answers)
    expect(answer).toMatchObject({
      version: 2,
      tracked: true,
      lesson: { id: globalId('Lesson', taken.lesson(1)) },
      lessonProgress: { status: 'IN_PROGRESS', completedAt: null, resets: 0 },
    })
  expect(
    await w.query(
      'select count(*)::int as rows, count(distinct "enrollmentId")::int as learners from "LessonProgress" where ' +
        '"lessonId" = $1',
      [taken.lesson(1)],
    ),
  ).toEqual([{ rows: 50, learners: 50 }])
  for (const learner of learners)
    expect(kinds(await replays(w, enrollmentOf(learner.id, taken.id)))).toEqual(['enrolled', 'lessonOpened'])
})

test('opening begins a lesson once: a second time changes nothing and keeps the first time', async () => {
  const { learner, taken, id } = await enrolled(1)
  expect((await api.get(OwnLesson, { id: globalId('Lesson', taken.lesson(1)) }, learner.token)).node).toEqual({
    title: 'Lesson 1',
    progress: null,
  })
  const first = payload(await api.open(learner.token, taken.lesson(1)))
  expect(payload(await api.open(learner.token, taken.lesson(1)))).toEqual(first)
  expect((await api.get(OwnLesson, { id: globalId('Lesson', taken.lesson(1)) }, learner.token)).node).toEqual({
    title: 'Lesson 1',
    progress: { status: 'IN_PROGRESS', openedAt: first.lessonProgress!.openedAt },
  })
  expect(await replays(w, id)).toHaveLength(2)
})

test('a completed lesson can be opened and stays completed, also when both are asked at one moment', async () => {
  for (let round = 0; round < 15; round++) {
    const { learner, taken, id } = await enrolled(1)
    await race(6, async (i) =>
      payload(await (i % 2 ? api.open(learner.token, taken.lesson(1)) : api.complete(learner.token, taken.lesson(1)))),
    )
    expect(payload(await api.open(learner.token, taken.lesson(1)))).toMatchObject({
      lessonProgress: { status: 'COMPLETED' },
    })
    const told = kinds(await replays(w, id))
    expect([
      ['enrolled', 'lessonOpened', 'lessonCompleted', 'courseCompleted'],
      ['enrolled', 'lessonCompleted', 'courseCompleted'],
    ]).toContainEqual(told)
  }
})

test('a locked lesson is not opened: what must be completed first is named, and nothing is recorded', async () => {
  const { learner, taken, id } = await enrolled(3, { 3: [1, 2] })
  expect(await api.open(learner.token, taken.lesson(3))).toMatchObject({
    __typename: 'PrerequisiteNotMet',
    lessons: [{ title: 'Lesson 1' }, { title: 'Lesson 2' }],
  })
  expect(await replays(w, id)).toHaveLength(1)
  for (const n of [1, 2]) payload(await api.complete(learner.token, taken.lesson(n)))
  expect(payload(await api.open(learner.token, taken.lesson(3)))).toMatchObject({
    lessonProgress: { status: 'IN_PROGRESS' },
  })
})

test('a lesson that was begun can be opened also after a prerequisite was reset', async () => {
  const { learner, taken, id } = await enrolled(2, { 2: [1] })
  payload(await api.complete(learner.token, taken.lesson(1)))
  const { version } = payload(await api.open(learner.token, taken.lesson(2)))
  payload(await api.resetLesson(learner.token, taken.lesson(1)))
  expect(payload(await api.open(learner.token, taken.lesson(2)))).toMatchObject({
    version: version + 1,
    lessonProgress: { status: 'IN_PROGRESS' },
  })
  await replays(w, id)
})

test(
  'one that the course no longer has, or never had, is not found; without an enrollment, the error names ' +
    'the course',
  async () => {
    const { learner, taken } = await enrolled(2)
    await taken.revise(1)
    expect(await api.open(learner.token, taken.lesson(2))).toMatchObject({ __typename: 'LessonNotFound' })
    expect(await api.open(learner.token, taken.lesson(9))).toMatchObject({ __typename: 'LessonNotFound' })
    expect(await api.open((await person()).token, taken.lesson(1))).toMatchObject({ __typename: 'NotEnrolled' })
    expect(await api.open(learner.token, 'nowhere.lesson1')).toMatchObject({ __typename: 'CourseNotFound' })
  },
)

test('expectedVersion of another version is a conflict, and the lesson is not begun', async () => {
  const { learner, taken, id } = await enrolled(1)
  expect(await api.open(learner.token, taken.lesson(1), { expectedVersion: 3 })).toMatchObject({
    __typename: 'VersionConflict',
    code: 'VERSION_CONFLICT',
  })
  expect(await replays(w, id)).toHaveLength(1)
  expect(payload(await api.open(learner.token, taken.lesson(1), { expectedVersion: 1 }))).toMatchObject({ version: 2 })
})
