import { expect, test } from 'vitest'
import { Answers } from '../../src/api/answers.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { Newest } from '../../src/journal/newest.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { watching } from '../live/client.ts'
import { planner } from '../planning/planner.ts'
import { outsiders } from '../classroom.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
const { enrollment: watch } = watching(api.url)
const { outsider, untilBlocked } = await outsiders(w)

/** Holds the table that `slowly` reads, until `end`. */
async function hold() {
  const holder = await outsider()
  await holder.query('lock table "CourseCompletion" in access exclusive mode')
  return holder
}

async function enrolled(lessons = 3) {
  const [learner, taken] = [await person(), await course(lessons)]
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}

/** Completes a lesson; `completions` takes as long to render as its table is held. */
const slowly = (token: string, lessonId: string, more: object = {}) =>
  api.ask<{ first: Answer }, object>(
    `mutation($input: CompleteLessonInput!) {
      first: completeLesson(input: $input) {
        __typename
        ... on CompleteLessonPayload {
          version replayed committed { version percent }
          enrollment { version percent completions { totalCount } }
          lessonProgress { status }
        }
        ... on VersionConflict {
          message currentVersion current { ... on Enrollment { version completions { totalCount } } }
        }
      }
    }`,
    { input: { lessonId: globalId('Lesson', lessonId), ...more } },
    token,
  )
interface Answer {
  readonly __typename: string
  readonly version: number
}

test('an answer that is rendered slowly shows what was committed meanwhile', async () => {
  const { learner, taken } = await enrolled()
  const holder = await hold()
  const answer = slowly(learner.token, taken.lesson(1))
  await untilBlocked(1)
  payload(await api.complete(learner.token, taken.lesson(2)))
  payload(await api.resetLesson(learner.token, taken.lesson(1)))
  await holder.end()
  const { data, errors } = await answer
  expect(errors).toBeUndefined()
  expect(data.first).toEqual({
    ...{ __typename: 'CompleteLessonPayload', version: 2, replayed: false, committed: { version: 2, percent: 33 } },
    enrollment: { version: 4, percent: 33, completions: { totalCount: 0 } },
    lessonProgress: { status: 'NOT_STARTED' },
  })
  expect((await w.history('Enrollment', enrollmentOf(learner.id, taken.id))).map(({ version }) => version)).toEqual([
    ...[1, 2, 3, 4], // what was asked took effect once, although it was answered twice
  ])
})

test('also what another process has committed, once this one has sent it to a subscriber', async () => {
  const { learner, taken, id } = await enrolled()
  const stream = watch(id, { by: learner })
  await stream.until(1)
  const holder = await hold()
  const answer = slowly(learner.token, taken.lesson(1))
  await untilBlocked(1)
  await commit(completeLesson, {
    actor: learner.actor,
    input: { learnerId: learner.id, lessonId: taken.lesson(2) },
  })
  await stream.until(3)
  await holder.end()
  expect((await answer).data.first).toMatchObject({ version: 2, enrollment: { version: 3, percent: 66 } })
})

test('a conflict that is rendered slowly shows what was committed meanwhile', async () => {
  const { learner, taken } = await enrolled()
  payload(await api.complete(learner.token, taken.lesson(1)))
  const holder = await hold()
  const answer = slowly(learner.token, taken.lesson(2), { expectedVersion: 1 })
  await untilBlocked(1)
  payload(await api.complete(learner.token, taken.lesson(2)))
  await holder.end()
  expect((await answer).data.first).toMatchObject({
    ...{ __typename: 'VersionConflict', currentVersion: 3, current: { version: 3 } },
    message: expect.stringContaining('the current version is 3'),
  })
})

test('several mutations of one operation all show the last of them', async () => {
  const someone = await person()
  const plan = await planner(api, someone, 2)
  const { data } = await api.ask<Record<string, { version: number; plan: { version: number } }>, object>(
    `mutation($a: ID!, $b: ID!) {
      a: renameWorkout(input: { workoutId: $a, title: "One" }) { ...Renamed }
      b: renameWorkout(input: { workoutId: $b, title: "Two" }) { ...Renamed }
    }
    fragment Renamed on RenameWorkoutPayload { version plan { version } }`,
    { a: plan.workout(1), b: plan.workout(2) },
    someone.token,
  )
  expect(data).toEqual({ a: { version: 3, plan: { version: 4 } }, b: { version: 4, plan: { version: 4 } } })
})

/** A root that is shown at a version, and what reading it again does. */
const shownAt = (version: number, read: () => number | Promise<never>) => ({
  ...{ rootType: 'Plan', rootId: 'p', version },
  async refresh() {
    this.version = await read()
  },
})

test('what is noted while a root is read again is not forgotten: the answer is rendered once more', async () => {
  const [answers, newest] = [new Answers(), new Newest()]
  let read = 5
  const shown = shownAt(3, () => {
    newest.note('Plan', 'p', 6) // committed after this reading, which has version 5
    return read++
  })
  answers.add(shown)
  newest.note('Plan', 'p', 5)
  expect([await answers.refresh(newest), shown.version, newest.of('Plan', 'p')]).toEqual([true, 5, 6])
  expect([await answers.refresh(newest), shown.version]).toEqual([true, 6])
  expect(await answers.refresh(newest)).toBe(false)
})

test('a root that cannot be read again is shown as it is, is not tried again, and stays known', async () => {
  const [answers, newest] = [new Answers(), new Newest()]
  let tries = 0
  const shown = shownAt(3, () => {
    tries++
    return Promise.reject(new Error('Its row is locked.'))
  })
  answers.add(shown)
  newest.note('Plan', 'p', 4)
  expect([await answers.refresh(newest), await answers.refresh(newest)]).toEqual([false, false])
  expect([tries, shown.version, newest.of('Plan', 'p')]).toEqual([1, 3, 4])
})

test('a root that was deleted and made again has lower versions from then on', async () => {
  const [answers, newest] = [new Answers(), new Newest()]
  answers.add(shownAt(1, () => 2))
  newest.note('Plan', 'p', 9)
  expect([await answers.refresh(newest), newest.of('Plan', 'p'), await answers.refresh(newest)]).toEqual([
    true,
    2,
    false,
  ])
})

test('the newest versions are kept for a bounded number of roots', () => {
  const newest = new Newest()
  for (let i = 0; i < 20_000; i++) newest.note('Plan', `p${i}`, 1 + (i % 3))
  newest.note('Plan', 'p19999', 1)
  expect([newest.of('Plan', 'p0'), newest.of('Plan', 'p9999'), newest.of('Plan', 'p10000')]).toEqual([0, 0, 2])
  expect(newest.of('Plan', 'p19999')).toBe(2)
})
