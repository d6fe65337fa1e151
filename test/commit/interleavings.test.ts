import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Commit, Committed } from '../../src/commit/commit.ts'
import { DomainError } from '../../src/commit/errors.ts'
import { catchUp } from '../../src/learning/catchUp.ts'
import { completeContent } from '../../src/learning/completeContent.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import type { EnrollmentView } from '../../src/learning/enrollmentState.ts'
import { openLesson } from '../../src/learning/openLesson.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { academy, system, type TestCourse } from '../academy.ts'
import { type Learner, learners } from '../classroom.ts'
import { expectWhole } from '../whole.ts'
import { outcome, world } from '../world.ts'

const w = await world()
const processes = [w.process(), w.process({ isolation: 'repeatable-read' }), w.process()]

const lessons = 5
const lesson = fc.integer({ min: 1, max: lessons })
const nothing = fc.constant({})
const verbs = {
  enroll: nothing,
  openLesson: fc.record({ lesson }),
  completeContent: fc.record({ lesson, item: fc.integer({ min: 1, max: 2 }) }),
  completeLesson: fc.record({ lesson }),
  resetLesson: fc.record({ lesson }),
  resetAll: nothing,
  catchUp: nothing,
  /** The number of lessons, and which of them are inactive. */
  reviseCourse: fc.record({
    count: fc.integer({ min: 2, max: lessons }),
    inactive: fc.uniqueArray(lesson, { maxLength: 2 }),
  }),
} as const
type Step = {
  readonly [V in keyof typeof verbs]: { readonly verb: V } & ((typeof verbs)[V] extends fc.Arbitrary<infer T>
    ? T
    : never)
}[keyof typeof verbs]

const weights: Record<keyof typeof verbs, number> = {
  enroll: 1,
  openLesson: 2,
  completeContent: 2,
  completeLesson: 7,
  resetLesson: 2,
  resetAll: 1,
  catchUp: 1,
  reviseCourse: 1,
}
const step = fc.oneof(
  ...Object.entries(verbs).map(([verb, input]) => ({
    weight: weights[verb as Step['verb']],
    arbitrary: input.map((input) => ({ verb, ...input }) as Step),
  })),
)
const asked = fc.record({
  step,
  /** The process that gets the request. */
  by: fc.nat(2),
  learner: fc.nat(1),
  key: fc.option(fc.nat(7), { freq: 3 }),
  expectedVersion: fc.option(fc.integer({ min: 1, max: 20 }), { freq: 10, nil: undefined }),
  /** What to wait for before the next request. */
  pause: fc.constantFrom('none', 'none', 'turn', 'answer'),
})

const expected = [
  'PREREQUISITE_NOT_MET',
  'IDEMPOTENCY_KEY_REUSED',
  'VERSION_CONFLICT',
  'NOT_ENROLLED',
  'LESSON_NOT_FOUND',
  'CONTENT_NOT_FOUND',
]

function ask(
  commit: Commit,
  course: TestCourse,
  { id: learnerId, actor, enrollmentId }: Learner,
  step: Step,
  more: { key?: string; expectedVersion?: number },
): Promise<Committed<EnrollmentView, object>> {
  switch (step.verb) {
    case 'enroll':
      return commit(enroll, { actor, input: { learnerId, courseId: course.id }, ...more })
    case 'openLesson':
      return commit(openLesson, { actor, input: { learnerId, lessonId: course.lesson(step.lesson) }, ...more })
    case 'completeContent':
      return commit(completeContent, {
        actor,
        input: { learnerId, contentItemId: course.item(step.lesson, step.item) },
        ...more,
      })
    case 'completeLesson':
      return commit(completeLesson, { actor, input: { learnerId, lessonId: course.lesson(step.lesson) }, ...more })
    case 'resetLesson':
      return commit(resetProgress, { actor, input: { learnerId, lessonId: course.lesson(step.lesson) }, ...more })
    case 'resetAll':
      return commit(resetProgress, { actor, input: { enrollmentId }, ...more })
    case 'catchUp':
      return commit(catchUp, { actor: system, input: { enrollmentId } })
    case 'reviseCourse':
      throw new Error('is no request of an enrollment')
  }
}

test('any requests in three processes: history is dense and folds to the rows, a key takes effect once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
      const { commit } = processes[0]!
      const course = await academy(commit).course(lessons, { 2: [1], 4: [2] })
      const people = await learners(w, commit, 2, course)
      const run = randomUUID()

      const flying: Promise<Committed<EnrollmentView, object> | Error | number>[] = []
      for (const { step, by, learner, key, expectedVersion, pause } of steps) {
        const { commit } = processes[by]!
        const person = people[learner]!
        const flight =
          step.verb === 'reviseCourse'
            ? course.revise(step.count, step.count > 3 ? { 2: [1], 4: [2] } : { 2: [1] }, step.inactive, commit)
            : ask(commit, course, person, step, { ...(key !== null && { key: `${run}-${key}` }), expectedVersion })
        flying.push(outcome<Committed<EnrollmentView, object> | number>(flight))
        if (pause === 'turn') await new Promise(setImmediate)
        if (pause === 'answer') await flying.at(-1)
      }
      const answers = await Promise.all(flying)
      for (const answer of answers)
        if (answer instanceof Error) expect(answer instanceof DomainError ? answer.code : answer).toBeOneOf(expected)

      for (const [n, { enrollmentId }] of people.entries()) {
        const history = await expectWhole(w, enrollmentId)
        const given = answers.flatMap((answer, i) => {
          const { learner, by, key, step } = steps[i]!
          return learner !== n || typeof answer === 'number' || answer instanceof Error
            ? []
            : [{ ...answer, by, key: step.verb === 'catchUp' ? null : key }]
        })
        for (const { view, version } of given) {
          const { lesson: _, ...shown } = history[version - 1]!.view
          const { lesson: __, ...answered } = JSON.parse(JSON.stringify(view))
          expect(answered, 'an answer shows its version as the journal does').toEqual(shown)
        }
        const made = given.filter(({ changed }) => changed).map(({ version }) => version)
        expect(made, 'a version is made by one request').toEqual([...new Set(made)])
        for (const process of [0, 1, 2]) {
          const seen = given.filter(({ by, replayed }) => by === process && !replayed).map(({ version }) => version)
          expect(seen, 'a process answers in order of arrival').toEqual([...seen].sort((a, b) => a - b))
        }
        for (const key of new Set(given.flatMap(({ key }) => key ?? []))) {
          const same = given.filter((answer) => answer.key === key)
          expect(
            same.filter(({ replayed }) => !replayed),
            'a key takes effect once',
          ).toHaveLength(1)
          expect(
            new Set(same.map(({ version, answer }) => JSON.stringify([version, answer], sortedFields))).size,
            'and all its requests get the same answer',
          ).toBe(1)
        }
        // what a changed course left to do is done once, by the next request
        await Promise.all(processes.map(({ commit }) => commit(catchUp, { actor: system, input: { enrollmentId } })))
        const caughtUp = await expectWhole(w, enrollmentId)
        expect(caughtUp.slice(history.length).map(({ kind }) => kind)).toBeOneOf([
          [],
          ['courseChanged'],
          ['courseChanged', 'courseCompleted'],
        ])
      }
    }),
    { numRuns: 40, endOnFailure: true },
  )
}, 60_000)

const sortedFields = (_: string, value: unknown) =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
