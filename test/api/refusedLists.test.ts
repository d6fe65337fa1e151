import { expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { planner } from '../planning/planner.ts'
import { world } from '../world.ts'

const w = await world()
const { person, course, teach } = academy(w.process().commit)
const api = await serve(w)
const [learner, admin] = [await person('INSTRUCTOR'), await person('ADMIN')]
const taken = await course(2)
await teach(taken.id, learner)
payload(await api.enroll(learner.token, taken.id))
payload(await api.complete(learner.token, taken.lesson(1)))
payload(await api.complete(learner.token, taken.lesson(2)))
await planner(api, learner, 1)
const input = { userId: globalId('User', learner.id), specialization: 'PLAYER', xpGained: 900, reason: 'Much' }
await api.ask(
  'mutation ($input: LevelUpInput!) { levelUp(input: $input) { __typename } }',
  { input: { ...input, idempotencyKey: 'start' } },
  admin.token,
)

const encoded = (text: string) => Buffer.from(text).toString('base64')
interface Answer {
  readonly data: Record<string, unknown>
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[]
}
const ask = (query: string) => api.ask<Answer['data'], object>(query, {}, learner.token) as Promise<Answer>
const codes = ({ errors }: Answer) => errors?.map(({ extensions }) => extensions.code)

const page = '{ totalCount pageInfo { startCursor } nodes { id } }'
/** Each list, as a field of what it belongs to; `C` is where its cursor goes. */
const lists = {
  courses: `found: courses(after: "C") ${page}`,
  'courses, backward': `found: courses(before: "C", filter: { title: "o" }) ${page}`,
  specializations: `found: specializations(after: "C") ${page}`,
  enrollments: `viewer { id found: enrollments(after: "C") ${page} }`,
  'enrollments, filtered': `viewer { id found: enrollments(after: "C", filter: { minPercent: 1 }) ${page} }`,
  plans: `viewer { id found: plans(after: "C") ${page} }`,
  lessons: `course(slug: "${taken.slug}") { id found: lessons(after: "C") ${page} }`,
  instructors: `course(slug: "${taken.slug}") { id found: instructors(after: "C") { pageInfo { startCursor } } }`,
  progress: `viewer { enrollments { nodes { id found: progress(after: "C") ${page} } } }`,
  completions: `viewer { enrollments { nodes { id found: completions(after: "C") ${page} } } }`,
  progressions: `viewer { licenses { nodes { id found: progressions(after: "C") ${page} } } }`,
  history: `viewer { enrollments { nodes { id found: history(after: "C") ${page} } } }`,
}

/** What was found in place of the list, and the id of what it belongs to. */
function foundIn(value: unknown): { readonly id?: string; readonly found: unknown } {
  if (Array.isArray(value)) return foundIn(value[0])
  const object = value as Record<string, unknown>
  return 'found' in object ? (object as { readonly found: unknown }) : foundIn(Object.values(object)[0])
}

const forged = [
  ['a number that is too large', 'GPC:I:99999999999999999999'],
  ['a number', 'GPC:N:5'],
  ['a date', 'GPC:D:5'],
  ['an object', 'GPC:O:{"not":"x"}'],
  ['nothing', 'GPC:Z:'],
  ['several values', 'GPC:T:["S:a","S:b","S:c"]'],
  ['values of which one is too large', 'GPC:T:["S:a","D:5","I:99999999999999999999","N:1"]'],
  ['a date that is none', 'GPC:T:["S:a","D:99999999999999999","N:1","N:1"]'],
  ['a date that is too far away', 'GPC:T:["S:a","D:8640000000000000","N:1","N:1"]'],
  ['a character that no text can have', 'GPC:S:a\0b'],
  ['no cursor', 'x'],
] as const

test.each(forged)('a forged cursor with %s is the client’s mistake, and only its list is null', async (_, text) => {
  for (const [name, list] of Object.entries(lists)) {
    const answer = await ask(`{ ${list.replace('C', encoded(text))} own: viewer { id } }`)
    expect([name, ...(codes(answer) ?? [])]).toEqual([name, 'BAD_REQUEST'])
    const { id, found } = foundIn(answer.data)
    expect(found, name).toBeNull()
    if (!name.startsWith('courses') && name !== 'specializations') expect(id, name).toEqual(expect.any(String))
    expect(answer.data.own).toEqual({ id: globalId('User', learner.id) })
  }
})

test.each(Object.entries(lists))('the cursors of %s are taken', async (_, list) => {
  const first = await ask(`{ ${list.replace(/\w+: "C"/, 'first: 1')} }`)
  const { found } = foundIn(first.data) as { readonly found: { readonly pageInfo: { readonly startCursor: string } } }
  const { startCursor } = found.pageInfo
  const next = await ask(`{ ${list.replace('C"', `${startCursor}"`)} }`)
  expect([startCursor, codes(next)]).toEqual([expect.any(String), undefined])
  expect(foundIn(next.data).found).not.toBeNull()
})

test('a filter or a page that is refused makes only its list null, wherever the list is', async () => {
  const answer = await ask(`{
    viewer {
      id
      high: enrollments(filter: { minPercent: 101 }) { totalCount }
      negative: enrollments(first: -1) { nodes { id } }
      all: enrollments { nodes { id course { id enrollments(filter: { status: [] }) { nodes { id } } } } }
    }
  }`)
  expect(codes(answer)?.toSorted()).toEqual(['BAD_REQUEST', 'INVALID_INPUT', 'INVALID_INPUT'])
  expect(answer.data.viewer).toEqual({
    id: globalId('User', learner.id),
    high: null,
    negative: null,
    all: {
      nodes: [{ id: expect.any(String), course: { id: globalId('Course', taken.id), enrollments: null } }],
    },
  })
})
