import { expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { planner } from '../planning/planner.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
const [learner, stranger, admin] = [await person(), await person(), await person('ADMIN')]
const taken = await course(2)
payload(await api.enroll(learner.token, taken.id))
const plan = await planner(api, learner, 1)
await api.ask(
  `mutation($input: LevelUpInput!) { levelUp(input: $input) { __typename } }`,
  {
    input: {
      ...{ userId: globalId('User', learner.id), specialization: 'PLAYER', xpGained: 1 },
      ...{ reason: 'A start', idempotencyKey: 'start' },
    },
  },
  admin.token,
)

const ids = {
  course: globalId('Course', taken.id),
  lesson: globalId('Lesson', taken.lesson(1)),
  enrollment: globalId('Enrollment', enrollmentOf(learner.id, taken.id)),
  user: globalId('User', learner.id),
  workout: plan.workout(1),
  specialization: globalId('Specialization', 'PLAYER'),
  specializationProgress: globalId('SpecializationProgress', `${learner.id}.PLAYER`),
  license: globalId('License', `${learner.id}.PLAYER`),
}
const besidesId = (name: string) => `${name} was given together with id. Wanted is id alone.`
const byKey = `userId: "${ids.user}", specialization: "PLAYER"`

/** What somebody finds: the id, or null. */
async function found(field: string, token: string) {
  const { data, errors } = await api.ask<{ found: { id: string } | null }, object>(
    `{ found: ${field} { id } }`,
    {},
    token,
  )
  expect(errors).toBeUndefined()
  return data.found?.id ?? null
}

test.each([
  ['course', `slug: "${taken.slug}"`],
  ['lesson', `courseId: "${ids.course}", slug: "lesson-1"`],
  ['enrollment', `courseId: "${ids.course}"`],
  ['enrollment', `courseId: "${ids.course}", learnerId: "${ids.user}"`],
  ['specialization', 'code: "PLAYER"'],
  ['specializationProgress', byKey],
  ['license', byKey],
  ['license', 'specialization: "PLAYER"'],
] as const)('%s(%s) is found by its key and by its id alike', async (field, key) => {
  expect(await found(`${field}(${key})`, learner.token)).toBe(ids[field])
  expect(await found(`${field}(id: "${ids[field]}")`, learner.token)).toBe(ids[field])
})

test.each([
  [`enrollment(courseId: "${ids.course}", learnerId: "${ids.user}")`, ids.enrollment],
  [`enrollment(id: "${ids.enrollment}")`, ids.enrollment],
  [`license(id: "${ids.license}")`, ids.license],
  [`specializationProgress(${byKey})`, ids.specializationProgress],
  [`user(id: "${ids.user}")`, ids.user],
  [`workout(id: "${ids.workout}")`, ids.workout],
])('%s is for those who may see it; for others it is as if there were none', async (field, id) => {
  expect([await found(field, learner.token), await found(field, stranger.token)]).toEqual([id, null])
})

test.each([
  ['course', 'None of id, slug was given. Wanted is exactly one of id, slug.'],
  [`course(id: "${ids.course}", slug: "x")`, 'Both id and slug were given. Wanted is exactly one of id, slug.'],
  ['enrollment', 'None of id, courseId was given. Wanted is exactly one of id, courseId.'],
  ['license', 'None of id, specialization was given. Wanted is exactly one of id, specialization.'],
  [
    `license(userId: "${ids.user}")`,
    'None of id, specialization was given. Wanted is exactly one of id, specialization.',
  ],
  ['license(specialization: "player")', expect.stringContaining('Wanted is the code of a specialization')],
  [`license(id: "${ids.license}", userId: "${ids.user}")`, besidesId('userId')],
  [`specializationProgress(id: "${ids.specializationProgress}", userId: "${ids.user}")`, besidesId('userId')],
  [`enrollment(id: "${ids.enrollment}", learnerId: "${ids.user}")`, besidesId('learnerId')],
  [`lesson(id: "${ids.lesson}", slug: "lesson-2")`, besidesId('slug')],
  [`lesson(courseId: "${ids.course}")`, 'slug is missing. Wanted is a Lesson.slug, together with courseId.'],
  [
    `enrollment(id: "${ids.user}")`,
    'id is the id of a User. Wanted is the id of an Enrollment, as a query returned it.',
  ],
  [`course(id: "${ids.lesson}")`, 'id is the id of a Lesson. Wanted is the id of a Course, as a query returned it.'],
])('%s says what is wanted, and leaves the rest of the answer as it is', async (field, message) => {
  const query = `{ found: ${field} { id } viewer { id } }`
  const { data, errors } = await api.ask<{ found: null; viewer: { id: string } }, object>(query, {}, learner.token)
  expect(data).toEqual({ found: null, viewer: { id: ids.user } })
  expect(errors).toMatchObject([{ message, extensions: { code: 'INVALID_INPUT' } }])
})

test('what a cache normalizes has an id by which it is found, and a refused one is null', async () => {
  const query = `{
    specialization(code: "PLAYER") { levels { id } }
    license(${byKey}) { progressions { nodes { id } } }
  }`
  await api.ask(
    `mutation($input: LevelUpInput!) { levelUp(input: $input) { __typename } }`,
    {
      input: {
        ...{ userId: ids.user, specialization: 'PLAYER', xpGained: 500 },
        ...{ reason: 'A leap', idempotencyKey: 'leap' },
      },
    },
    admin.token,
  )
  const { data } = await api.ask<
    {
      specialization: { levels: { id: string }[] }
      license: { progressions: { nodes: { id: string }[] } }
    },
    object
  >(query, {}, learner.token)
  const [level, progression] = [data.specialization.levels[0]!.id, data.license.progressions.nodes[0]!.id]
  for (const id of [level, progression]) expect(await found(`node(id: "${id}")`, learner.token)).toBe(id)
  expect(await found(`node(id: "${progression}")`, stranger.token)).toBeNull()
  for (const broken of ['LicenseProgression:x', 'LicenseProgression:a~1~2~99999999999', 'SpecializationLevel:PLAYER~x'])
    expect(await found(`node(id: "${Buffer.from(broken).toString('base64')}")`, admin.token)).toBeNull()
})
