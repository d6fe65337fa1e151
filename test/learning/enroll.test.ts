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

const EnrollAnew = graphql(`
  mutation EnrollAnew($input: EnrollInput!) {
    enroll(input: $input) {
      __typename
      ... on DomainError { code message }
      ... on VersionConflict { expectedVersion currentVersion current { id ... on Enrollment { version enrolledAt
      course { slug } learner { name } } } }
    }
  }
`)

test('enrolling begins at nothing done, with all active lessons to do', async () => {
  const [learner, taken] = [await person(), await course(3)]
  await taken.revise(3, {}, [2])
  const { version, replayed, enrollment } = payload(await api.enroll(learner.token, taken.id))
  expect({ version, replayed }).toEqual({ version: 1, replayed: false })
  expect(enrollment).toEqual({
    id: globalId('Enrollment', enrollmentOf(learner.id, taken.id)),
    version: 1,
    completedLessonCount: 0,
    lessonCount: 2,
    percent: 0,
    attempt: 1,
    completedAt: null,
  })
  expect(kinds(await replays(w, enrollmentOf(learner.id, taken.id)))).toEqual(['enrolled'])
})

test('however many enroll one learner at one moment, there is one enrollment, and all succeed', async () => {
  for (let round = 0; round < 10; round++) {
    const [learner, taken] = [await person(), await course(1)]
    const answers = await race(8, () => api.enroll(learner.token, taken.id).then(payload))
    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([1]))
    expect(await w.query('select version from "Enrollment" where "learnerId" = $1', [learner.id])).toEqual([
      { version: 1 },
    ])
    expect(await replays(w, enrollmentOf(learner.id, taken.id))).toHaveLength(1)
  }
})

test('two servers enroll one learner at one moment: one enrollment, no error', async () => {
  const other = await serve(w)
  for (let round = 0; round < 10; round++) {
    const [learner, taken] = [await person(), await course(1)]
    const answers = await race(6, (i) => (i % 2 ? api : other).enroll(learner.token, taken.id).then(payload))
    expect(answers.map(({ version }) => version)).toEqual(Array(6).fill(1))
    expect(await replays(w, enrollmentOf(learner.id, taken.id))).toHaveLength(1)
  }
})

test('enrolling again changes nothing and forgets nothing', async () => {
  const [learner, taken] = [await person(), await course(2)]
  payload(await api.enroll(learner.token, taken.id))
  payload(await api.complete(learner.token, taken.lesson(1)))
  expect(payload(await api.enroll(learner.token, taken.id))).toMatchObject({
    version: 2,
    replayed: false,
    enrollment: { completedLessonCount: 1, percent: 50 },
  })
  expect(await replays(w, enrollmentOf(learner.id, taken.id))).toHaveLength(2)
})

test('many learners enroll in one course at one moment, each once', async () => {
  const taken = await course(2)
  const learners = await Promise.all(Array.from({ length: 30 }, () => person()))
  await race(60, (i) => api.enroll(learners[i >> 1]!.token, taken.id).then(payload))
  expect(await w.query('select count(*)::int as count from "Enrollment" where "courseId" = $1', [taken.id])).toEqual([
    { count: 30 },
  ])
  for (const learner of learners) await replays(w, enrollmentOf(learner.id, taken.id))
})

test('a course that does not exist gets an error that says so', async () => {
  const learner = await person()
  expect(await api.enroll(learner.token, 'nowhere')).toMatchObject({
    __typename: 'CourseNotFound',
    code: 'COURSE_NOT_FOUND',
    message: 'There is no such course.',
  })
})

test(
  'enrolling while the course is revised counts the lessons of one version or the other, and is ' + 'caught up',
  async () => {
    for (let round = 0; round < 15; round++) {
      const [learner, taken] = [await person(), await course(2)]
      const [answer] = await Promise.all([api.enroll(learner.token, taken.id), taken.revise(3)])
      expect([2, 3]).toContain(payload(answer).enrollment.lessonCount)
      expect(payload(await api.complete(learner.token, taken.lesson(1)))).toMatchObject({
        enrollment: { lessonCount: 3 },
      })
      await replays(w, enrollmentOf(learner.id, taken.id))
    }
  },
)

test('expectedVersion is compared with the enrollment’s version; a conflict has the current enrollment', async () => {
  const [learner, taken] = [await person(), await course(1)]
  payload(await api.enroll(learner.token, taken.id))
  const input = { courseId: globalId('Course', taken.id), expectedVersion: 7 }
  const { enroll } = await api.get(EnrollAnew, { input }, learner.token)
  expect(enroll).toMatchObject({
    __typename: 'VersionConflict',
    expectedVersion: 7,
    currentVersion: 1,
    current: { version: 1, course: { slug: taken.slug }, learner: { name: 'learner' } },
  })
})

test(
  'expectedVersion for an enrollment that does not exist: a conflict with version 0 and no ' + 'current state',
  async () => {
    const [learner, taken] = [await person(), await course(1)]
    const { enroll } = await api.get(
      EnrollAnew,
      { input: { courseId: globalId('Course', taken.id), expectedVersion: 1 } },
      learner.token,
    )
    expect(enroll).toMatchObject({
      __typename: 'VersionConflict',
      expectedVersion: 1,
      currentVersion: 0,
      current: null,
    })
    expect(await w.query('select id from "Enrollment" where "learnerId" = $1', [learner.id])).toEqual([])
    expect(payload(await api.enroll(learner.token, taken.id, { expectedVersion: 0 }))).toMatchObject({ version: 1 })
  },
)
