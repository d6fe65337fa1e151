import { expect, test } from 'vitest'
import { academy, type Person } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'
import { about, ConsistencyOf, Desyncs, everything } from './standing.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const api = await serve(w)
const [learner, other, instructor, admin] = await Promise.all([
  person(),
  person(),
  person('INSTRUCTOR'),
  person('ADMIN'),
])
payload(await about(api, instructor, learner.id).up(300))
const userId = globalId('User', learner.id)

const Standing = graphql(`
  query Standing($userId: ID!, $progressId: ID!, $licenseId: ID!) {
    specializationProgress(userId: $userId, specialization: "PLAYER") { id currentLevel user { name } specialization {
    code } }
    license(userId: $userId, specialization: "PLAYER") { id currentLevel progressions { totalCount } }
    progress: node(id: $progressId) { __typename id }
    issued: node(id: $licenseId) { __typename id }
  }
`)
const OwnStandings = graphql(`
  query OwnStandings {
    viewer {
      specializationProgress { totalCount edges { node { currentLevel specialization { code } } } }
      licenses { totalCount edges { node { currentLevel maxAchievedLevel } } }
    }
    specializations { nodes { id code name maxLevel countsHours levels { level xp } } }
  }
`)

/** What the viewer sees of the learner's standing, by each query that leads to it. */
async function seen({ token }: Person) {
  const ids = {
    progressId: globalId('SpecializationProgress', `${learner.id}.PLAYER`),
    licenseId: globalId('License', `${learner.id}.PLAYER`),
  }
  const { specializationProgress, license, progress, issued } = await api.get(Standing, { userId, ...ids }, token)
  return [specializationProgress?.currentLevel, license?.currentLevel, progress?.__typename, issued?.__typename]
}

test('a standing is visible to the user, to instructors and admins, and to nobody else', async () => {
  for (const viewer of [learner, instructor, admin])
    expect(await seen(viewer)).toEqual([3, 3, 'SpecializationProgress', 'License'])
  expect(await seen(other)).toEqual([undefined, undefined, undefined, undefined])
})

test('the query consistency is for the user, instructors and admins; desyncs is for admins', async () => {
  for (const viewer of [learner, instructor, admin])
    expect(await about(api, viewer, learner.id).consistency()).toMatchObject({ consistent: true })
  expect(await api.ask(ConsistencyOf, { userId, specialization: 'PLAYER' }, other.token)).toMatchObject({
    errors: [{ extensions: { code: 'FORBIDDEN' } }],
  })
  expect(await api.ask(ConsistencyOf, { userId, specialization: 'player' }, learner.token)).toMatchObject({
    errors: [{ extensions: { code: 'INVALID_INPUT' } }],
  })
  expect((await api.ask(Desyncs, { first: null, after: null }, admin.token)).errors).toBeUndefined()
  for (const viewer of [learner, instructor])
    expect(await api.ask(Desyncs, { first: null, after: null }, viewer.token)).toMatchObject({
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    })
})

test(
  'instructors and admins change levels, admins sync records; a refusal does not reveal whether the ' + 'user exists',
  async () => {
    const before = await everything(w, learner.id)
    for (const whom of [learner.id, 'nobody']) {
      const asked = about(api, learner, whom)
      for (const answer of [await asked.update({ newLevel: 8 }), await asked.up(10), await asked.sync('PROGRESS')])
        expect(answer).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' })
    }
    expect(await about(api, instructor, learner.id).sync('LICENSE')).toMatchObject({ __typename: 'Forbidden' })
    expect(payload(await about(api, admin, learner.id).sync('LICENSE'))).toMatchObject({ synced: false })
    expect(await everything(w, learner.id)).toEqual(before)
    payload(await about(api, instructor, learner.id).update({ newLevel: 3, sessionsChange: 1 }))
  },
)

test('a learner sees their own standings, and all specializations', async () => {
  const { viewer, specializations } = await api.get(OwnStandings, {}, learner.token)
  expect(viewer!.specializationProgress).toEqual({
    totalCount: 1,
    edges: [{ node: { currentLevel: 3, specialization: { code: 'PLAYER' } } }],
  })
  expect(viewer!.licenses).toEqual({ totalCount: 1, edges: [{ node: { currentLevel: 3, maxAchievedLevel: 3 } }] })
  expect(specializations!.nodes).toMatchObject([
    { code: 'COACH', maxLevel: 8, countsHours: true },
    { id: globalId('Specialization', 'PLAYER'), code: 'PLAYER', name: 'Player', maxLevel: 8, countsHours: false },
  ])
  for (const { levels } of specializations!.nodes)
    expect(levels.map(({ level }) => level)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test('learners and instructors may not change their own level; an admin may', async () => {
  const code = { __typename: 'Forbidden', code: 'FORBIDDEN' }
  const before = await everything(w, instructor.id)
  expect(await about(api, instructor, instructor.id).up(10_000)).toMatchObject(code)
  expect(await about(api, instructor, instructor.id).update({ newLevel: 8 })).toMatchObject(code)
  expect(await everything(w, instructor.id)).toEqual(before)
  payload(await about(api, admin, instructor.id).update({ newLevel: 2 }))
  payload(await about(api, admin, admin.id).update({ newLevel: 2 }))
})
