import { describe, expect, test } from 'vitest'
import { endSession } from '../../src/identity/endSession.ts'
import { registerUser } from '../../src/identity/registerUser.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf } from '../../src/identity/userAggregate.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person, system } from '../academy.ts'
import { Complete, globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)

const Who = graphql(`query Who { viewer { id name role } }`)
const EnrollmentById = graphql(`query EnrollmentById($id: ID!) { enrollment(id: $id) { id percent learner { name } } }`)
const AnyNode = graphql(`query AnyNode($id: ID!) { node(id: $id) { __typename id } }`)
const AnyNodes = graphql(`query AnyNodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`)
const Roster = graphql(
  `query Roster($slug: String!) { course(slug: $slug) { title enrollments { totalCount edges { node { id learner { id
    name } progress { edges { node { status } } } } } } } }`,
)
const OwnEnrollments = graphql(`query OwnEnrollments { viewer { enrollments { totalCount edges { node { id } } } } }`)
const Colleagues = graphql(
  `query Colleagues($slug: String!) { course(slug: $slug) {
    instructors { nodes { name role enrollments { totalCount } } } } }`,
)

const [learner, other, admin, taken] = await Promise.all([person(), person(), person('ADMIN'), course(2)])
const [teaches, teachesAnother] = await Promise.all([person('INSTRUCTOR'), person('INSTRUCTOR')])
await teach(taken.id, teaches)
await teach((await course(1)).id, teachesAnother)
payload(await api.enroll(learner.token, taken.id))
payload(await api.complete(learner.token, taken.lesson(1)))
const enrollmentId = globalId('Enrollment', enrollmentOf(learner.id, taken.id))
const progressId = globalId('LessonProgress', `${enrollmentOf(learner.id, taken.id)}~${taken.lesson(1)}`)

/** What one gets to see of somebody's enrollment, on every way there. */
async function seen({ token }: Person) {
  const { enrollment } = await api.get(EnrollmentById, { id: enrollmentId }, token)
  const { node } = await api.get(AnyNode, { id: enrollmentId }, token)
  const { node: progress } = await api.get(AnyNode, { id: progressId }, token)
  const { nodes } = await api.get(AnyNodes, { ids: [enrollmentId, progressId] }, token)
  return [enrollment?.id, node?.id, progress?.id, ...nodes!.map((node) => node?.id)].map((id) => id ?? null)
}
const everything = [enrollmentId, enrollmentId, progressId, enrollmentId, progressId]
const nothing = everything.map(() => null)

describe('an enrollment', () => {
  test('is visible to its learner, to the course’s instructors and to admins', async () => {
    for (const viewer of [learner, teaches, admin]) expect(await seen(viewer)).toEqual(everything)
  })

  test('is visible to nobody else: neither to another learner nor to an instructor of another course', async () => {
    for (const viewer of [other, teachesAnother]) expect(await seen(viewer)).toEqual(nothing)
  })

  test(
    'of a course is listed for its instructors and for admins; a learner gets an error for that field, and the ' +
      'rest of the answer',
    async () => {
      for (const { token } of [teaches, admin]) {
        expect((await api.get(Roster, { slug: taken.slug }, token)).course!.enrollments).toMatchObject({
          totalCount: 1,
          edges: [
            {
              node: {
                id: enrollmentId,
                learner: { name: 'learner' },
                progress: { edges: [{ node: { status: 'COMPLETED' } }] },
              },
            },
          ],
        })
      }
      for (const { token } of [learner, teachesAnother]) {
        const { status, data, errors } = await api.ask(Roster, { slug: taken.slug }, token)
        expect({ status, data }).toEqual({ status: 200, data: { course: { title: taken.slug, enrollments: null } } })
        expect(errors).toMatchObject([{ path: ['course', 'enrollments'], extensions: { code: 'FORBIDDEN' } }])
      }
    },
  )

  test('no longer belongs to what an instructor sees when they no longer teach the course', async () => {
    const [former, another] = [await person('INSTRUCTOR'), await course(1)]
    await teach(another.id, former)
    payload(await api.enroll(other.token, another.id))
    const id = globalId('Enrollment', enrollmentOf(other.id, another.id))
    expect((await api.get(EnrollmentById, { id }, former.token)).enrollment).not.toBeNull()
    await w.query('delete from "CourseInstructor" where "userId" = $1', [former.id])
    expect((await api.get(EnrollmentById, { id }, former.token)).enrollment).toBeNull()
  })

  test('of others is not among one’s own', async () => {
    expect((await api.get(OwnEnrollments, {}, learner.token)).viewer!.enrollments).toMatchObject({
      totalCount: 1,
      edges: [{ node: { id: enrollmentId } }],
    })
    expect((await api.get(OwnEnrollments, {}, teaches.token)).viewer!.enrollments).toMatchObject({ totalCount: 0 })
  })

  test('of others is not changed: a mutation by its id is Forbidden, and nothing happens', async () => {
    for (const { token } of [other, teaches, teachesAnother])
      expect(await api.reset(token, enrollmentOf(learner.id, taken.id))).toMatchObject({
        __typename: 'Forbidden',
        code: 'FORBIDDEN',
      })
    expect(await w.history('Enrollment', enrollmentOf(learner.id, taken.id))).toHaveLength(2)
  })
})

describe('whether something exists', () => {
  test(
    'is hidden from those who may not see it: the answer is the same as for a thing that does ' + 'not exist',
    async () => {
      const absent = enrollmentOf('nobody', taken.id)
      const pairs: [typename: string, theirs: string, none: string][] = [
        ['Enrollment', enrollmentOf(learner.id, taken.id), absent],
        ['LessonProgress', `${enrollmentOf(learner.id, taken.id)}~${taken.lesson(1)}`, `${absent}~${taken.lesson(1)}`],
        ['User', learner.id, 'nobody'],
      ]
      for (const { token } of [other, teachesAnother]) {
        for (const [typename, theirs, none] of pairs) {
          const [a, b] = await Promise.all(
            [theirs, none].map((id) => api.ask(AnyNode, { id: globalId(typename, id) }, token)),
          )
          expect(a).toEqual({ status: 200, data: { node: null } })
          expect(b).toEqual(a)
        }
        const [a, b] = await Promise.all(
          pairs[0]!.slice(1).map((id) => api.ask(EnrollmentById, { id: globalId('Enrollment', id) }, token)),
        )
        expect(b).toEqual(a)
        const [refused, absentRefused] = await Promise.all(pairs[0]!.slice(1).map((id) => api.reset(token, id)))
        expect(absentRefused).toEqual(refused)
        const [conflict, absentConflict] = await Promise.all(
          pairs[0]!.slice(1).map((id) => api.reset(token, id, { expectedVersion: 1 })),
        )
        expect([conflict, absentConflict]).toEqual([refused, refused])
      }
    },
  )

  test(
    'a person is visible to themselves, to admins and to their instructors; the list of a person’s enrollments ' +
      'only to themselves and to admins',
    async () => {
      const id = globalId('User', learner.id)
      for (const { token } of [learner, admin, teaches])
        expect((await api.get(AnyNode, { id }, token)).node?.id).toBe(id)
      const { data, errors } = await api.ask(Colleagues, { slug: taken.slug }, learner.token)
      expect(data.course!.instructors).toEqual({
        nodes: [{ name: 'instructor', role: 'INSTRUCTOR', enrollments: null }],
      })
      expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
    },
  )
})

describe('those who are not signed in', () => {
  const strangers: [who: string, token: () => Promise<string>][] = [
    ['with a token that nobody was given', async () => 'no-such-token'],
    ['with the hash of a token', async () => hashOf(learner.token)],
    ['with a token that is not one', async () => '%00 \u00e4'],
    [
      'with a session that has expired',
      async () => {
        const { id } = await person()
        await commit(startSession, {
          actor: system,
          input: { userId: id, tokenHash: hashOf('expired'), expiresAt: new Date(Date.now() - 1_000).toISOString() },
        })
        return 'expired'
      },
    ],
    [
      'with a session that has been ended',
      async () => {
        const { id, token, actor } = await person()
        expect((await api.get(Who, {}, token)).viewer).not.toBeNull()
        await commit(endSession, { actor, input: { userId: id, sessionId: hashOf(token).slice(0, 16) } })
        return token
      },
    ],
    [
      'as somebody who has been deleted',
      async () => {
        const { id, token } = await person()
        await w.query('delete from "User" where id = $1', [id])
        return token
      },
    ],
  ]
  test.each(strangers)('%s: each request is refused as a whole', async (_, tokenOf) => {
    const token = await tokenOf()
    const asked = [
      api.ask(Who, {}, token),
      api.ask(EnrollmentById, { id: enrollmentId }, token),
      api.ask(Complete, { input: { lessonId: globalId('Lesson', taken.lesson(1)) } }, token),
    ]
    for (const { status, data, errors } of await Promise.all(asked)) {
      expect([status, data]).toEqual([401, undefined])
      expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    }
  })

  test('without a token: mutations are Unauthenticated, queries UNAUTHENTICATED, the viewer is null', async () => {
    const none = ''
    for (const answer of [
      api.enroll(none, taken.id),
      api.open(none, taken.lesson(1)),
      api.content(none, taken.item(1)),
      api.complete(none, taken.lesson(1)),
      api.resetLesson(none, taken.lesson(1)),
      api.reset(none, enrollmentOf(learner.id, taken.id)),
    ]) {
      expect(await answer).toMatchObject({ __typename: 'Unauthenticated', code: 'UNAUTHENTICATED' })
    }
    expect(await api.get(Who, {})).toEqual({ viewer: null })
    const asked = [
      api.ask(EnrollmentById, { id: enrollmentId }),
      api.ask(AnyNode, { id: enrollmentId }),
      api.ask(Roster, { slug: taken.slug }),
    ]
    for (const { data, errors } of await Promise.all(asked)) {
      expect(Object.values(data)).toEqual([null])
      expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    }
    expect((await api.ask('{ courses { edges { node { slug } } } }', {})).errors).toMatchObject([
      { extensions: { code: 'UNAUTHENTICATED' } },
    ])
  })
})

test('the viewer is who the token belongs to', async () => {
  expect((await api.get(Who, {}, teaches.token)).viewer).toEqual({
    id: globalId('User', teaches.id),
    name: 'instructor',
    role: 'INSTRUCTOR',
  })
})

test('a token is stored nowhere: no text in the whole database contains it, only its hash', async () => {
  const tables = await w.query<{ table: string }>(
    `select table_name as table from information_schema.tables where table_schema = 'public'
      and table_type = 'BASE TABLE'`,
  )
  const found = async (text: string) => {
    const where: string[] = []
    for (const { table } of tables)
      if ((await w.query(`select from "${table}" t where strpos(to_jsonb(t)::text, $1) > 0 limit 1`, [text])).length)
        where.push(table)
    return where
  }
  expect(tables.length).toBeGreaterThan(10)
  expect(await found(learner.token)).toEqual([])
  expect(await found(hashOf(learner.token))).toContain('Session')
})

test('nobody is registered by an id that could be taken for a part of another id', async () => {
  for (const userId of [`${learner.id}.x`, 'a~b', 'a b', '', 'x'.repeat(101)]) {
    await expect(
      commit(registerUser, { actor: system, input: { userId, name: 'x', role: 'LEARNER' } }),
    ).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'userId',
    })
  }
})
