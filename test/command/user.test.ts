import { expect, test, vi } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, serve } from '../api.ts'
import { run } from '../program.ts'
import { world } from '../world.ts'

const w = await world()
const api = await serve(w)

/** What the command answers, as a program reads it. */
async function lockstep(
  ...words: string[]
): Promise<{ code: number; answer: Record<string, unknown>; errors: string }> {
  const { code, output, errors } = await run([...words, '--json'], { ...process.env, DATABASE_URL: w.url })
  return code === 0
    ? { code, answer: JSON.parse(output), errors: '' }
    : { code, answer: {}, errors: JSON.parse(errors).error }
}
const viewer = async (token: unknown) => (await api.ask('{ viewer { name role } }', {}, token as string)).data

test('an operator registers people, lets them in with tokens that are shown once, and out again', async () => {
  const { answer } = await lockstep('user', 'add', 'Ada Lovelace', '--role', 'INSTRUCTOR', '--id', 'ada')
  expect(answer).toMatchObject({
    id: 'ada',
    globalId: globalId('User', 'ada'),
    name: 'Ada Lovelace',
    role: 'INSTRUCTOR',
    token: expect.stringMatching(/^[\w-]{43}$/),
  })
  const { answer: another } = await lockstep('user', 'token', 'ada', '--days', '1')
  expect(another).toMatchObject({ id: 'ada', globalId: answer.globalId })
  expect((await api.ask('{ viewer { id } }', {}, another.token as string)).data).toEqual({
    viewer: { id: answer.globalId },
  })
  for (const { token } of [answer, another])
    expect(await viewer(token)).toEqual({ viewer: { name: 'Ada Lovelace', role: 'INSTRUCTOR' } })

  const course = await academy(w.process().commit).course(1)
  expect((await lockstep('user', 'teach', 'ada', course.slug)).answer).toEqual({
    id: 'ada',
    course: course.slug,
    changed: true,
  })
  const seen = await api.ask(
    `{ course(slug: "${course.slug}") { enrollments { totalCount } } }`,
    {},
    another.token as string,
  )
  expect(seen.data).toEqual({ course: { enrollments: { totalCount: 0 } } })

  expect((await lockstep('user', 'out', 'ada')).answer).toEqual({ id: 'ada', ended: 2 })
  for (const { token } of [answer, another])
    expect(await api.ask('{ viewer { name } }', {}, token as string)).toMatchObject({ status: 401 })
})

test.each([
  [['user', 'token', 'nobody'], 65, 'There is no such user.'],
  [['user', 'out', 'nobody'], 65, 'There is no user nobody.'],
  [['user', 'add', 'X', '--id', 'system'], 65, 'userId must not be system'],
  [['user', 'add', 'X', '--id', 'a.b'], 65, 'userId must be 1 to 100 letters'],
  [['user', 'add', 'X', '--role', 'KING'], 64, 'LEARNER, INSTRUCTOR, ADMIN'],
  [['user', 'add', 'X', '--days', '0'], 64, '--days must be a whole number'],
  [['user', 'list', '--role', 'KING'], 64, 'LEARNER, INSTRUCTOR, ADMIN'],
  [['user', 'list', '--limit', '0'], 64, '--limit must be a whole number from 1 to 10000, and is "0".'],
  [['user', 'list', '--limit', '10001'], 64, '--limit must be a whole number'],
])('%j is refused, in a sentence, with exit code %i', async (words, code, sentence) => {
  expect(await lockstep(...words)).toMatchObject({ code, errors: expect.stringContaining(sentence) })
})

test.each([
  ['lockstep', 'npm run lockstep -- user token twice lets them in.'],
  ['start', 'npm run lockstep -- user token twice lets them in.'],
  ['test', 'already. lockstep user token twice lets them in.'],
])('a message names a command as it can be run by whoever ran npm’s script %s', async (script, sentence) => {
  vi.stubEnv('npm_lifecycle_event', script)
  await lockstep('user', 'add', 'Twice', '--id', 'twice')
  expect(await lockstep('user', 'add', 'Twice', '--id', 'twice')).toMatchObject({
    code: 65,
    errors: expect.stringContaining(sentence),
  })
  vi.unstubAllEnvs()
})
