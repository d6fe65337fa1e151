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

const OwnContents = graphql(
  `query OwnContents($id: ID!) { node(id: $id) { ... on Lesson { contents { nodes { id completedAt } } } } }`,
)

async function enrolled(lessons: number, requires: Record<number, readonly number[]> = {}) {
  const [learner, taken] = await Promise.all([person(), course(lessons, requires)])
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}

test(
  'completing a piece of content begins its lesson; again is a success that changes nothing and keeps the ' +
    'first time',
  async () => {
    const { learner, taken, id } = await enrolled(1)
    const first = payload(await api.content(learner.token, taken.item(1, 1)))
    expect(first).toMatchObject({
      version: 3,
      replayed: false,
      alreadyCompleted: false,
      contentItem: { id: globalId('ContentItem', taken.item(1, 1)) },
      lessonProgress: { status: 'IN_PROGRESS' },
    })
    expect(payload(await api.content(learner.token, taken.item(1, 1)))).toEqual({ ...first, alreadyCompleted: true })
    expect((await api.get(OwnContents, { id: globalId('Lesson', taken.lesson(1)) }, learner.token)).node).toEqual({
      contents: {
        nodes: [
          { id: globalId('ContentItem', taken.item(1, 1)), completedAt: first.completedAt },
          { id: globalId('ContentItem', taken.item(1, 2)), completedAt: null },
        ],
      },
    })
    expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonOpened', 'contentCompleted'])
  },
)

test(
  'two items of one lesson, each asked five times at one moment: one event each, the lesson ' + 'begun once',
  async () => {
    for (let round = 0; round < 10; round++) {
      const { learner, taken, id } = await enrolled(1)
      const answers = await race(10, async (i) => payload(await api.content(learner.token, taken.item(1, (i % 2) + 1))))
      expect(answers.filter(({ alreadyCompleted }) => !alreadyCompleted)).toHaveLength(2)
      expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonOpened', 'contentCompleted', 'contentCompleted'])
      expect(
        await w.query('select count(*)::int as count from "ContentCompletion" where "enrollmentId" = $1', [id]),
      ).toEqual([{ count: 2 }])
    }
  },
)

test('a completed lesson stays completed when its content is completed afterwards', async () => {
  const { learner, taken, id } = await enrolled(1)
  payload(await api.complete(learner.token, taken.lesson(1)))
  expect(payload(await api.content(learner.token, taken.item(1)))).toMatchObject({
    lessonProgress: { status: 'COMPLETED' },
  })
  expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'courseCompleted', 'contentCompleted'])
})

test('content of a locked lesson is refused, and nothing is recorded', async () => {
  const { learner, taken, id } = await enrolled(2, { 2: [1] })
  expect(await api.content(learner.token, taken.item(2))).toMatchObject({
    __typename: 'PrerequisiteNotMet',
    code: 'PREREQUISITE_NOT_MET',
  })
  expect(await replays(w, id)).toHaveLength(1)
})

test(
  'content that does not exist, content of a lesson that does not exist, and a missing enrollment each get their ' +
    'own error',
  async () => {
    const { learner, taken, id } = await enrolled(2)
    expect(await api.content(learner.token, taken.item(1, 9))).toMatchObject({
      __typename: 'ContentNotFound',
      code: 'CONTENT_NOT_FOUND',
    })
    expect(await api.content(learner.token, taken.item(9))).toMatchObject({ __typename: 'ContentNotFound' })
    expect(await api.content(learner.token, taken.lesson(1))).toMatchObject({ __typename: 'ContentNotFound' })
    await taken.revise(1)
    expect((await api.content(learner.token, taken.item(2))).__typename).toMatch(/^(Content|Lesson)NotFound$/)
    expect(await api.content((await person()).token, taken.item(1))).toMatchObject({ __typename: 'NotEnrolled' })
    await replays(w, id)
  },
)

test('expectedVersion of another version is a conflict', async () => {
  const { learner, taken, id } = await enrolled(1)
  expect(await api.content(learner.token, taken.item(1), { expectedVersion: 2 })).toMatchObject({
    __typename: 'VersionConflict',
  })
  expect(payload(await api.content(learner.token, taken.item(1), { expectedVersion: 1 }))).toMatchObject({ version: 3 })
  await replays(w, id)
})

test(
  'completing content and resetting its lesson at once: whichever is first, the history folds to ' + 'the rows',
  async () => {
    for (let round = 0; round < 15; round++) {
      const { learner, taken, id } = await enrolled(1)
      payload(await api.content(learner.token, taken.item(1, 1)))
      await race(4, async (i) =>
        payload(
          await (i % 2
            ? api.resetLesson(learner.token, taken.lesson(1))
            : api.content(learner.token, taken.item(1, 2))),
        ),
      )
      await replays(w, id)
    }
  },
)
