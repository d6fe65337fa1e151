import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { catchUpAll } from '../../src/learning/overdueEnrollments.ts'
import { academy, type Person, type TestCourse } from '../academy.ts'
import { Complete, globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { race, world } from '../world.ts'
import { kinds, Look, replays } from './replay.ts'

const w = await world()
const { db, commit } = w.process()
const { person, course } = academy(commit)
const [api, other] = [await serve(w), await serve(w)]

const TwoCompletions = graphql(`
  mutation TwoCompletions($a: CompleteLessonInput!, $b: CompleteLessonInput!) {
    a: completeLesson(input: $a) { __typename ... on CompleteLessonPayload { version replayed alreadyCompleted
    courseCompleted } ... on DomainError { code } }
    b: completeLesson(input: $b) { __typename ... on CompleteLessonPayload { version replayed alreadyCompleted
    courseCompleted } ... on DomainError { code } }
  }
`)

/** A learner in a new course of so many lessons. */
async function enrolled(lessons: number, requires: Record<number, readonly number[]> = {}) {
  const [learner, taken] = await Promise.all([person(), course(lessons, requires)])
  return { learner, taken, id: await enrollIn(taken, learner) }
}
async function enrollIn(taken: TestCourse, learner: Person) {
  payload(await api.enroll(learner.token, taken.id))
  return enrollmentOf(learner.id, taken.id)
}
const complete = async ({ token }: Person, taken: TestCourse, n: number, more = {}) =>
  payload(await api.complete(token, taken.lesson(n), more))
const look = async ({ token }: Person, id: string) =>
  (await api.get(Look, { id: globalId('Enrollment', id) }, token)).enrollment!
const caughtUp = (courseId: string) => catchUpAll({ db, commit, courseId })

describe('one lesson', () => {
  test(
    'five requests released at one moment: one completes the lesson, all five succeed, and there is one event ' +
      'and one row',
    async () => {
      for (let round = 0; round < 10; round++) {
        const { learner, taken, id } = await enrolled(2)
        const answers = await race(5, () => complete(learner, taken, 1))
        expect(answers.filter(({ alreadyCompleted }) => !alreadyCompleted)).toHaveLength(1)
        expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2]))
        expect(new Set(answers.map(({ lessonProgress }) => lessonProgress.completedAt)).size).toBe(1)
        expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted'])
        expect(await w.query('select status from "LessonProgress" where "enrollmentId" = $1', [id])).toEqual([
          { status: 'COMPLETED' },
        ])
      }
    },
  )

  test('five requests to two servers at one database: still one event and one row', async () => {
    for (let round = 0; round < 10; round++) {
      const { learner, taken, id } = await enrolled(2)
      const answers = await race(6, async (i) =>
        payload(await (i % 2 ? api : other).complete(learner.token, taken.lesson(1))),
      )
      expect(answers.filter(({ alreadyCompleted }) => !alreadyCompleted)).toHaveLength(1)
      expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted'])
    }
  })

  test('completing it again is a success that appends nothing and keeps the first time', async () => {
    const { learner, taken, id } = await enrolled(2)
    const first = await complete(learner, taken, 1)
    const second = await complete(learner, taken, 1)
    expect(first).toMatchObject({
      version: 2,
      replayed: false,
      alreadyCompleted: false,
      courseCompleted: false,
      lessonProgress: { status: 'COMPLETED', resets: 0 },
      enrollment: { version: 2, completedLessonCount: 1, lessonCount: 2, percent: 50 },
    })
    expect(second).toEqual({ ...first, alreadyCompleted: true })
    expect(await replays(w, id)).toHaveLength(2)
  })

  test('the answer is the committed row', async () => {
    const { learner, taken, id } = await enrolled(1)
    const { lessonProgress, enrollment } = await complete(learner, taken, 1)
    const [row] = await w.query<{ status: string; openedAt: Date; completedAt: Date }>(
      'select * from "LessonProgress" where "enrollmentId" = $1',
      [id],
    )
    expect(lessonProgress).toMatchObject({
      status: row!.status,
      openedAt: row!.openedAt.toISOString(),
      completedAt: row!.completedAt.toISOString(),
    })
    const {
      id: shownId,
      version,
      completedLessonCount,
      lessonCount,
      percent,
      attempt,
      completedAt,
    } = await look(learner, id)
    const counts = { completedLessonCount, lessonCount, percent, attempt, completedAt }
    expect(enrollment).toEqual({ id: shownId, version, ...counts })
  })

  test('two aliases in one document touch the same row twice, and it is completed once', async () => {
    const { learner, taken, id } = await enrolled(2)
    const lessonId = globalId('Lesson', taken.lesson(1))
    const { a, b } = await api.get(TwoCompletions, { a: { lessonId }, b: { lessonId } }, learner.token)
    expect(a).toMatchObject({ alreadyCompleted: false, version: 2 })
    expect(b).toMatchObject({ alreadyCompleted: true, replayed: false, version: 2 })
    expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted'])
  })

  test('two aliases with one key are one request and its replay', async () => {
    const { learner, taken, id } = await enrolled(2)
    const input = { lessonId: globalId('Lesson', taken.lesson(1)), idempotencyKey: 'twins' }
    const { a, b } = await api.get(TwoCompletions, { a: input, b: input }, learner.token)
    expect(a).toMatchObject({ alreadyCompleted: false, replayed: false, version: 2 })
    expect(b).toEqual({ ...a, replayed: true })
    expect(await replays(w, id)).toHaveLength(2)
  })

  test('two aliases complete two lessons, the second of them the course', async () => {
    const { learner, taken, id } = await enrolled(2)
    const [a, b] = [1, 2].map((n) => ({ lessonId: globalId('Lesson', taken.lesson(n)) }))
    const answer = await api.get(TwoCompletions, { a: a!, b: b! }, learner.token)
    expect(answer).toMatchObject({
      a: { version: 2, courseCompleted: false },
      b: { version: 4, courseCompleted: true },
    })
    expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted', 'courseCompleted'])
  })

  test(
    'one that is no longer part of the course can neither be completed nor counted, and what was done in ' + 'it stays',
    async () => {
      const { learner, taken, id } = await enrolled(3)
      await complete(learner, taken, 1)
      await taken.revise(3, {}, [1, 2])
      await caughtUp(taken.id)
      expect(await api.complete(learner.token, taken.lesson(2))).toMatchObject({
        __typename: 'LessonNotFound',
        code: 'LESSON_NOT_FOUND',
      })
      expect(await api.complete(learner.token, taken.lesson(1))).toMatchObject({ __typename: 'LessonNotFound' })
      const seen = await look(learner, id)
      expect(seen).toMatchObject({ completedLessonCount: 0, lessonCount: 1, percent: 0, completedAt: null })
      expect(seen.progress!.edges).toMatchObject([{ node: { status: 'COMPLETED', lesson: { active: false } } }])
      await taken.revise(3)
      await caughtUp(taken.id)
      expect(await look(learner, id)).toMatchObject({ completedLessonCount: 1, lessonCount: 3, percent: 33 })
      await replays(w, id)
    },
  )

  test('needs an enrollment to be completed; without one, the error names the course', async () => {
    const [learner, taken] = [await person(), await course(1)]
    expect(await api.complete(learner.token, taken.lesson(1))).toMatchObject({
      __typename: 'NotEnrolled',
      code: 'NOT_ENROLLED',
    })
    expect(await w.query('select * from "Enrollment" where "learnerId" = $1', [learner.id])).toEqual([])
  })
})

describe('the course', () => {
  test('two last lessons at once, one at each of two servers, complete it exactly once, never zero times', async () => {
    const taken = await course(2)
    for (let round = 0; round < 12; round++) {
      const learners = await Promise.all(Array.from({ length: 5 }, () => person()))
      const ids = await Promise.all(learners.map((learner) => enrollIn(taken, learner)))
      const answers = await race(10, async (i) =>
        payload(await (i & 1 ? api : other).complete(learners[i >> 1]!.token, taken.lesson((i & 1) + 1))),
      )
      for (const [i, id] of ids.entries()) {
        expect([answers[2 * i]!.courseCompleted, answers[2 * i + 1]!.courseCompleted].sort()).toEqual([false, true])
        expect(kinds(await replays(w, id))).toEqual([
          'enrolled',
          'lessonCompleted',
          'lessonCompleted',
          'courseCompleted',
        ])
      }
    }
  })

  test('two last lessons at once at one server complete it exactly once', async () => {
    for (let round = 0; round < 20; round++) {
      const { learner, taken, id } = await enrolled(2)
      const answers = await race(2, (i) => complete(learner, taken, i + 1))
      expect(answers.map(({ courseCompleted }) => courseCompleted).sort()).toEqual([false, true])
      expect((await replays(w, id)).filter(({ kind }) => kind === 'courseCompleted')).toHaveLength(1)
    }
  })

  test(
    'servers take turns by the enrollment’s lock: the journal’s guard against a stale state is ' + 'never needed',
    async () => {
      const servers = [await serve(w), await serve(w)]
      const taken = await course(8)
      for (let round = 0; round < 5; round++) {
        const learner = await person()
        const id = await enrollIn(taken, learner)
        await race(16, async (i) => payload(await servers[i & 1]!.complete(learner.token, taken.lesson((i >> 1) + 1))))
        expect((await replays(w, id)).filter(({ kind }) => kind === 'courseCompleted')).toHaveLength(1)
      }
      const races =
        (await Promise.all(servers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text())))
          .join('')
          .match(/^lockstep_commit_races_total\{.*$/gm) ?? []
      expect(races.filter((line) => /race="(retry|split)"/.test(line))).toEqual([])
      expect(races.filter((line) => /race="(lock-wait|reread)"/.test(line))).not.toEqual([])
    },
  )

  test('all lessons at once complete it exactly once', async () => {
    const { learner, taken, id } = await enrolled(20)
    const answers = await race(40, async (i) =>
      payload(await (i % 3 ? api : other).complete(learner.token, taken.lesson((i % 20) + 1))),
    )
    expect(answers.filter(({ courseCompleted }) => courseCompleted)).toHaveLength(1)
    expect(answers.filter(({ alreadyCompleted }) => alreadyCompleted)).toHaveLength(20)
    expect((await replays(w, id)).filter(({ kind }) => kind === 'courseCompleted')).toHaveLength(1)
    expect(await look(learner, id)).toMatchObject({
      completedLessonCount: 20,
      percent: 100,
      attempt: 1,
      completions: { nodes: [{ attempt: 1 }] },
    })
  })

  test('courseCompleted is true for exactly one key and its replays, for no other request', async () => {
    const { learner, taken } = await enrolled(2)
    await complete(learner, taken, 1)
    const answers = await race(5, (i) => complete(learner, taken, 2, { idempotencyKey: `key ${i}` }))
    expect(answers.filter(({ courseCompleted }) => courseCompleted)).toHaveLength(1)
    const winner = answers.findIndex(({ courseCompleted }) => courseCompleted)
    for (let i = 0; i < 5; i++)
      expect(await complete(learner, taken, 2, { idempotencyKey: `key ${i}` })).toMatchObject({
        replayed: true,
        courseCompleted: i === winner,
      })
    expect(await complete(learner, taken, 2)).toMatchObject({ courseCompleted: false, alreadyCompleted: true })
  })

  test('is completed a second time after a reset, as the second attempt; both stay recorded', async () => {
    const { learner, taken, id } = await enrolled(2)
    for (const n of [1, 2]) await complete(learner, taken, n)
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    expect(await look(learner, id)).toMatchObject({
      attempt: 2,
      percent: 50,
      completedAt: null,
      completions: { nodes: [{ attempt: 1 }] },
    })
    expect(await complete(learner, taken, 1)).toMatchObject({
      courseCompleted: true,
      enrollment: { attempt: 2, percent: 100 },
    })
    expect(await look(learner, id)).toMatchObject({
      attempt: 2,
      completions: { nodes: [{ attempt: 1 }, { attempt: 2 }] },
    })
    expect(
      (await replays(w, id)).filter(({ kind }) => kind === 'courseCompleted').map(({ data }) => data),
    ).toMatchObject([{ attempt: 1 }, { attempt: 2 }])
  })

  test('stays completed when a lesson is added later: the percentage falls, the completion does not', async () => {
    const { learner, taken, id } = await enrolled(2)
    for (const n of [1, 2]) await complete(learner, taken, n)
    const before = await look(learner, id)
    await taken.revise(4)
    await caughtUp(taken.id)
    const { completedAt, completions } = before
    expect(await look(learner, id)).toMatchObject({
      completedLessonCount: 2,
      lessonCount: 4,
      percent: 50,
      attempt: 1,
      completedAt,
      completions,
      newLessonCount: 2,
    })
    expect(await complete(learner, taken, 3)).toMatchObject({
      courseCompleted: false,
      enrollment: { percent: 75, completedAt },
    })
    expect(await complete(learner, taken, 4)).toMatchObject({
      courseCompleted: false,
      enrollment: { percent: 100, completedAt },
    })
    expect(await look(learner, id)).toMatchObject({ newLessonCount: 0, completions })
    await replays(w, id)
  })

  test('without any active lesson is never completed', async () => {
    const { learner, taken, id } = await enrolled(1)
    await taken.revise(1, {}, [1])
    await caughtUp(taken.id)
    expect(await look(learner, id)).toMatchObject({
      completedLessonCount: 0,
      lessonCount: 0,
      percent: 0,
      completedAt: null,
      completions: { nodes: [] },
      availableLessons: { nodes: [] },
    })
    await replays(w, id)
  })

  test('a change of the course that nobody has caught up with is counted with the next completion', async () => {
    const { learner, taken, id } = await enrolled(3)
    await complete(learner, taken, 1)
    await taken.revise(3, {}, [3])
    expect(await complete(learner, taken, 2)).toMatchObject({
      courseCompleted: true,
      enrollment: { completedLessonCount: 2, lessonCount: 2, percent: 100 },
    })
    expect(kinds(await replays(w, id)).slice(-3)).toEqual(['courseChanged', 'lessonCompleted', 'courseCompleted'])
  })

  test.each([
    ['the lesson that is being completed', 2],
    ['the other lesson that is still open', 3],
  ])('is completed exactly once when a revision deactivates %s at that moment', async (_, gone) => {
    const total = gone
    for (let round = 0; round < 30; round++) {
      const { learner, taken, id } = await enrolled(total)
      await complete(learner, taken, 1)
      const [answer] = await Promise.all([
        api.complete(learner.token, taken.lesson(2)),
        taken.revise(total, {}, [gone]),
      ])
      expect(['CompleteLessonPayload', ...(gone === 2 ? ['LessonNotFound'] : [])]).toContain(answer.__typename)
      await caughtUp(taken.id)
      expect((await replays(w, id)).filter(({ kind }) => kind === 'courseCompleted')).toHaveLength(1)
      expect(await w.query('select attempt from "CourseCompletion" where "enrollmentId" = $1', [id])).toEqual([
        { attempt: 1 },
      ])
      expect(await look(learner, id)).toMatchObject({ percent: 100, lessonCount: gone - 1 })
    }
  })

  test(
    'counts what SQL counts, whatever is completed, reset and revised, and never more than ' + '100 percent',
    async () => {
      const lessons = 5
      const step = fc.oneof(
        fc.record({ act: fc.constant('complete' as const), n: fc.integer({ min: 1, max: lessons }) }),
        fc.record({ act: fc.constant('reset' as const), n: fc.integer({ min: 1, max: lessons }) }),
        fc.record({ act: fc.constant('resetAll' as const) }),
        fc.record({
          act: fc.constant('revise' as const),
          inactive: fc.subarray([1, 2, 3, 4, 5]),
          catchUp: fc.boolean(),
        }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
          const { learner, taken, id } = await enrolled(lessons, { 3: [1] })
          for (const step of steps) {
            if (step.act === 'complete') await api.complete(learner.token, taken.lesson(step.n))
            else if (step.act === 'reset') await api.resetLesson(learner.token, taken.lesson(step.n))
            else if (step.act === 'resetAll') payload(await api.reset(learner.token, id))
            else {
              await taken.revise(lessons, { 3: [1] }, step.inactive)
              if (step.catchUp) await caughtUp(taken.id)
            }
            expect((await look(learner, id)).percent).toBeLessThanOrEqual(100)
          }
          await caughtUp(taken.id)
          const [sets] = await w.query<{ done: string; active: string }>(
            `with active as (select id from "Lesson" where "courseId" = $2 and active), done as (select "lessonId"
            from "LessonProgress" where "enrollmentId" = $1 and status = 'COMPLETED' intersect select id from active)
           select (select count(*) from done) as done, (select count(*) from active) as active`,
            [id, taken.id],
          )
          const [done, active] = [Number(sets!.done), Number(sets!.active)]
          const seen = await look(learner, id)
          expect(seen).toMatchObject({
            completedLessonCount: done,
            lessonCount: active,
            percent: active ? Math.floor((100 * done) / active) : 0,
          })
          const attempts = seen.completions!.nodes.map(({ attempt }) => attempt)
          expect(attempts).toEqual([...new Set(attempts)].sort())
          if (active && done === active) expect(seen.completedAt).not.toBeNull()
          await replays(w, id)
        }),
        { numRuns: 25 },
      )
    },
  )
})

describe('prerequisites', () => {
  test(
    'a lesson whose prerequisites are open is refused, naming those that are missing in the order of ' + 'the course',
    async () => {
      const { learner, taken, id } = await enrolled(4, { 4: [3, 2, 1] })
      await complete(learner, taken, 2)
      expect(await api.complete(learner.token, taken.lesson(4))).toMatchObject({
        ...{
          __typename: 'PrerequisiteNotMet',
          code: 'PREREQUISITE_NOT_MET',
          message: '2 other lessons must be completed first.',
        },
        lessons: [{ id: globalId('Lesson', taken.lesson(1)) }, { id: globalId('Lesson', taken.lesson(3)) }],
      })
      for (const n of [1, 3]) await complete(learner, taken, n)
      expect(await complete(learner, taken, 4)).toMatchObject({ courseCompleted: true })
      await replays(w, id)
    },
  )

  test('a prerequisite that is no longer part of the course is not asked for', async () => {
    const { learner, taken } = await enrolled(3, { 2: [1], 3: [2] })
    await taken.revise(3, { 3: [2] }, [1])
    expect(await api.complete(learner.token, taken.lesson(3))).toMatchObject({ __typename: 'PrerequisiteNotMet' })
    expect(await complete(learner, taken, 2)).toMatchObject({ alreadyCompleted: false })
    await taken.revise(3, { 3: [2] }, [1, 2])
    expect(await complete(learner, taken, 3)).toMatchObject({ courseCompleted: true, enrollment: { percent: 100 } })
  })

  test('a lesson that was completed stays so when its prerequisite is reset', async () => {
    const { learner, taken, id } = await enrolled(3, { 2: [1] })
    for (const n of [1, 2]) await complete(learner, taken, n)
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    expect(await complete(learner, taken, 2)).toMatchObject({
      alreadyCompleted: true,
      enrollment: { completedLessonCount: 1 },
    })
    await replays(w, id)
  })

  test('raced with its prerequisite, a lesson is never completed before it', async () => {
    for (let round = 0; round < 20; round++) {
      const { learner, taken, id } = await enrolled(2, { 2: [1] })
      const [, dependent] = await race(2, (i) =>
        api.complete(learner.token, taken.lesson(round % 2 ? i + 1 : 2 - i)).then((answer) => answer),
      ).then((both) => (round % 2 ? both : both.reverse()))
      expect(['CompleteLessonPayload', 'PrerequisiteNotMet']).toContain(dependent!.__typename)
      const completed = (await replays(w, id)).flatMap(({ data }) => ('lessonId' in data ? [data.lessonId] : []))
      expect(completed).toEqual(
        dependent!.__typename === 'PrerequisiteNotMet' ? [taken.lesson(1)] : [taken.lesson(1), taken.lesson(2)],
      )
    }
  })
})

describe('expectedVersion', () => {
  test(
    'the version that is there is accepted; another is a conflict that bears the current version ' + 'and state',
    async () => {
      const { learner, taken, id } = await enrolled(2)
      expect(await complete(learner, taken, 1, { expectedVersion: 1 })).toMatchObject({ version: 2 })
      const { completeLesson } = await api.get(
        Complete,
        { input: { lessonId: globalId('Lesson', taken.lesson(2)), expectedVersion: 1 } },
        learner.token,
      )
      expect(completeLesson).toMatchObject({
        ...{ __typename: 'VersionConflict', code: 'VERSION_CONFLICT', expectedVersion: 1, currentVersion: 2 },
        current: {
          __typename: 'Enrollment',
          id: globalId('Enrollment', id),
          version: 2,
          completedLessonCount: 1,
          percent: 50,
        },
      })
      expect(await replays(w, id)).toHaveLength(2)
    },
  )

  test('of five requests with the same expectedVersion, one succeeds and four get a conflict', async () => {
    const { learner, taken, id } = await enrolled(5)
    const answers = await race(5, (i) => api.complete(learner.token, taken.lesson(i + 1), { expectedVersion: 1 }))
    expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
      'CompleteLessonPayload',
      ...Array(4).fill('VersionConflict'),
    ])
    expect(await replays(w, id)).toHaveLength(2)
  })
})

test(
  'a learner without any progress has an enrollment that can be looked at: nothing done, and what can be ' + 'done now',
  async () => {
    const { learner, taken, id } = await enrolled(3, { 3: [1, 2] })
    expect(await look(learner, id)).toMatchObject({
      ...{
        version: 1,
        completedLessonCount: 0,
        lessonCount: 3,
        percent: 0,
        attempt: 1,
        completedAt: null,
        newLessonCount: 0,
        completions: { nodes: [] },
      },
      availableLessons: {
        nodes: [{ id: globalId('Lesson', taken.lesson(1)) }, { id: globalId('Lesson', taken.lesson(2)) }],
      },
      progress: { totalCount: 0, edges: [] },
    })
  },
)
