import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { completeContent } from '../../src/learning/completeContent.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type TestCourse } from '../academy.ts'
import { Complete, globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'

/**
 * Every statement that this process sends to a database, whoever sends it: counted at the one place that all of them
 * pass.
 */
const sent: string[] = []
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [asked] = args as [string | { text?: string }]
  sent.push(typeof asked === 'string' ? asked : (asked.text ?? ''))
  return query.apply(this, args)
} as never
afterAll(() => {
  pg.Client.prototype.query = query as never
})

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
const admin = await person('ADMIN')

/**
 * What the server does by itself: looking which enrollments are behind their course, and whether a connection still
 * lives; and waking other processes.
 */
const own =
  /e\."lessonsVersion" < c\."lessonsVersion"|^select 1$|^(listen|notify) lockstep$|system_identifier|^select epoch as name/

/** The statements that a request amounts to. */
async function statements<T>(request: () => Promise<T>) {
  sent.length = 0
  const answer = await request()
  return { answer, sent: sent.filter((text) => !own.test(text)) }
}

const RosterPage = graphql(`
  query RosterPage($slug: String!, $first: Int!) {
    course(slug: $slug) {
      enrollments(first: $first) {
        totalCount
        edges {
          node {
            percent newLessonCount learner { name } course { title } completions { nodes { attempt } }
            availableLessons { nodes { title } }
            progress(first: 5) { totalCount edges { node { status lesson { title } } } }
          }
        }
      }
    }
  }
`)
const FilteredPage = graphql(`
  query FilteredPage($slug: String!, $first: Int!) {
    course(slug: $slug) {
      enrollments(filter: { status: [IN_PROGRESS], minPercent: 10, learnerName: "learn" }, first: $first,
        orderBy: { field: LEARNER_NAME, direction: DESC }) {
        totalCount nodes { percent status learner { name } }
      }
    }
    courses(filter: { title: "course", enrolled: false }, first: $first, orderBy: { field: TITLE }) {
      totalCount nodes { title }
    }
  }
`)
const LessonsPage = graphql(`
  query LessonsPage($slug: String!, $first: Int!) {
    course(slug: $slug) {
      instructors { nodes { name } }
      lessons(first: $first) {
        totalCount
        edges { node { title course { title } contents { nodes { title kind completedAt } } requires { nodes { title
        progress { status }
        } } requiredBy { nodes { title } } progress { status completedAt } } }
      }
    }
  }
`)
const OwnPage = graphql(`
  query OwnPage($first: Int!) {
    viewer { enrollments(first: $first) { edges { node { percent
    availableLessons { nodes { title contents { nodes { completedAt } }
    progress { status } } }
    completions { nodes { attempt } } course { title
    lessons(first: 3) { totalCount edges { node { title }
    } } } } } } }
  }
`)
const PastPage = graphql(`
  query PastPage($slug: String!, $first: Int!, $few: Int = 5) {
    course(slug: $slug) {
      enrollments(first: $first) {
        edges {
          node {
            history(first: $few) {
              totalCount oldestVersion nodes { version kind progress(first: $few) { totalCount } }
            }
            asOf(version: 2) { ... on EnrollmentVersion { percent progress(first: $few) { nodes { status } } } }
          }
        }
      }
    }
  }
`)
const ManyNodes = graphql(
  `query ManyNodes($ids: [ID!]!) { nodes(ids: $ids) { __typename
    ... on Lesson { title contents { nodes { completedAt } }
    progress { status } } ... on Enrollment { percent availableLessons { nodes { title } } } } }`,
)

describe('a page takes as many statements for fifty as for five', () => {
  async function learn(taken: TestCourse) {
    const { id: learnerId, actor, token } = await person()
    await commit(enroll, { actor, input: { learnerId, courseId: taken.id } })
    for (const n of [1, 2]) await commit(completeLesson, { actor, input: { learnerId, lessonId: taken.lesson(n) } })
    await commit(completeContent, { actor, input: { learnerId, contentItemId: taken.item(3) } })
    return { learnerId, token }
  }
  const chain = Object.fromEntries(Array.from({ length: 49 }, (_, i) => [i + 2, [i + 1]]))

  test('of enrollments, with their learners, courses, progress, completions and available lessons', async () => {
    const taken = await course(6, { 4: [3], 5: [3, 4] })
    await Promise.all(Array.from({ length: 50 }, () => learn(taken)))
    const page = (first: number) => statements(() => api.get(RosterPage, { slug: taken.slug, first }, admin.token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer.course!.enrollments!.edges).toHaveLength(50)
    expect(fifty.answer.course!.enrollments!.edges[49]!.node).toMatchObject({
      percent: 33,
      availableLessons: { nodes: [{ title: 'Lesson 3' }, { title: 'Lesson 6' }] },
      progress: { totalCount: 3 },
    })
    expect(fifty.sent).toHaveLength(five.sent.length)
    expect(fifty.sent.length).toBeLessThanOrEqual(14)
  })

  test('of what filters let through, in an order: one for each list and its count, with its learners', async () => {
    const taken = await course(6)
    await Promise.all(Array.from({ length: 50 }, () => learn(taken)))
    for (let i = 0; i < 50; i++) await course(1)
    const page = (first: number) => statements(() => api.get(FilteredPage, { slug: taken.slug, first }, admin.token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer).toMatchObject({
      course: { enrollments: { totalCount: 50, nodes: { length: 50 } } },
      courses: { nodes: { length: 50 } },
    })
    expect(fifty.sent).toHaveLength(five.sent.length)
    expect(fifty.sent.length).toBeLessThanOrEqual(4)
  })

  test('of lessons, with their content, what they require and unlock, and what the viewer did', async () => {
    const taken = await course(50, chain)
    const { token } = await learn(taken)
    const page = (first: number) => statements(() => api.get(LessonsPage, { slug: taken.slug, first }, token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer.course!.lessons!.edges).toHaveLength(50)
    expect(fifty.answer.course!.lessons!.edges[1]!.node).toMatchObject({
      contents: { nodes: { length: 2 } },
      requires: { nodes: [{ title: 'Lesson 1', progress: { status: 'COMPLETED' } }] },
      requiredBy: { nodes: [{ title: 'Lesson 3' }] },
      progress: { status: 'COMPLETED' },
    })
    expect(fifty.sent).toHaveLength(five.sent.length)
    expect(fifty.sent.length).toBeLessThanOrEqual(14)
  })

  test('of one’s own enrollments, with what can be done now', async () => {
    const { id: learnerId, actor, token } = await person()
    for (let i = 0; i < 50; i++)
      await commit(enroll, { actor, input: { learnerId, courseId: (await course(4, { 2: [1] })).id } })
    const page = (first: number) => statements(() => api.get(OwnPage, { first }, token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer.viewer!.enrollments!.edges).toHaveLength(50)
    expect(fifty.answer.viewer!.enrollments!.edges[9]!.node.availableLessons!.nodes).toHaveLength(3)
    expect(fifty.sent).toHaveLength(five.sent.length)
    expect(fifty.sent.length).toBeLessThanOrEqual(14)
  })

  test('of enrollments, with their histories, and with what hung below them at each version', async () => {
    const taken = await course(6)
    await Promise.all(Array.from({ length: 50 }, () => learn(taken)))
    const page = (first: number) => statements(() => api.get(PastPage, { slug: taken.slug, first }, admin.token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer.course!.enrollments!.edges).toHaveLength(50)
    expect(fifty.answer.course!.enrollments!.edges[49]!.node).toMatchObject({
      history: {
        ...{ totalCount: 5, oldestVersion: 1 },
        nodes: [3, 3, 2, 1, 0].map((totalCount, i) => ({ version: 5 - i, progress: { totalCount } })),
      },
      asOf: { percent: 16, progress: { nodes: [{ status: 'COMPLETED' }] } },
    })
    // history and asOf are folded together or one after the other, whichever is read first; and what asOf shows is read
    for (const { sent } of [five, fifty]) {
      const ofJournal = sent.filter((text) => text.includes('"Event"')).length
      expect(ofJournal).toBeLessThanOrEqual(6)
      expect(sent.length - ofJournal).toBe(2)
    }
  })

  test('of things by their ids', async () => {
    const taken = await course(50, chain)
    const { token, learnerId } = await learn(taken)
    const ids = Array.from({ length: 50 }, (_, i) => globalId('Lesson', taken.lesson(i + 1)))
    const some = (count: number) =>
      statements(() =>
        api.get(
          ManyNodes,
          { ids: [...ids.slice(0, count), globalId('Enrollment', enrollmentOf(learnerId, taken.id))] },
          token,
        ),
      )
    await some(1)
    const [five, fifty] = [await some(5), await some(50)]
    expect(fifty.answer.nodes!.filter((node) => node)).toHaveLength(51)
    expect(fifty.sent).toHaveLength(five.sent.length)
  })
})

test.each([
  ['its count', 'totalCount', { totalCount: 1 }],
  ['its nodes', 'nodes { title }', { nodes: [{ title: 'Lesson 1' }] }],
  ['its edges', 'edges { node { title } }', { edges: [{ node: { title: 'Lesson 1' } }] }],
  [
    'both, with what is below each',
    'nodes { course { slug } } edges { node { contents { totalCount } } }',
    { nodes: [{ course: { slug: expect.any(String) } }], edges: [{ node: { contents: { totalCount: 2 } } }] },
  ],
])('a connection of a lesson may be asked for %s', async (_, selection, requires) => {
  const { slug } = await course(2, { 2: [1] })
  const query = `query($slug: String!) { course(slug: $slug) { lessons { nodes { requires { ${selection} } } } } }`
  const { data, errors } = await api.ask<{ course: { lessons: { nodes: object[] } } }, object>(
    query,
    { slug },
    admin.token,
  )
  expect(errors).toBeUndefined()
  expect(data.course.lessons.nodes[1]).toEqual({ requires })
})

describe('a mutation over HTTP takes', () => {
  const shape = (sent: readonly string[]) =>
    sent.map(
      (text) =>
        /^(BEGIN|COMMIT)/i.exec(text)?.[1]?.toUpperCase() ??
        (/"tokenHash"/.test(text) ? 'session' : /^with w0 as|insert into/.test(text) ? 'write' : 'read'),
    )

  test('the look at the session, BEGIN, one statement that locks and reads, one that writes, COMMIT', async () => {
    const [learner, taken] = [await person(), await course(3)]
    payload(await api.enroll(learner.token, taken.id))
    for (const [n, more] of [
      [1, {}],
      [2, { idempotencyKey: 'k' }],
      [3, { expectedVersion: 3 }],
    ] as const) {
      const { answer, sent } = await statements(() => api.complete(learner.token, taken.lesson(n), more))
      expect(payload(answer)).toMatchObject({ alreadyCompleted: false, courseCompleted: n === 3 })
      expect(shape(sent)).toEqual(['session', 'BEGIN', 'read', 'write', 'COMMIT'])
    }
  })

  test('nothing to write where nothing changes', async () => {
    const [learner, taken] = [await person(), await course(1)]
    payload(await api.enroll(learner.token, taken.id))
    payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    for (const more of [{}, { idempotencyKey: 'k' }, { expectedVersion: 1 }]) {
      const { sent } = await statements(() => api.complete(learner.token, taken.lesson(1), more))
      expect(shape(sent)).toEqual(['session', 'BEGIN', 'read', 'COMMIT'])
    }
  })

  test('no transaction at all from somebody who is not signed in', async () => {
    const input = { lessonId: globalId('Lesson', 'x.y') }
    const [nobody, unknown] = [
      await statements(() => api.ask(Complete, { input })),
      await statements(() => api.ask(Complete, { input }, 'nobody')),
    ]
    expect(nobody.answer.data.completeLesson.__typename).toBe('Unauthenticated')
    expect(shape(nobody.sent)).toEqual([])
    expect(unknown.answer.status).toBe(401)
    expect(shape(unknown.sent)).toEqual(['session'])
  })
})
