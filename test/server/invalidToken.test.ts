import { describe, expect, test, vi } from 'vitest'
import { endSession } from '../../src/identity/endSession.ts'
import { hashOf } from '../../src/identity/userAggregate.ts'
import { academy } from '../academy.ts'
import { globalId, serve } from '../api.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const origin = 'https://app.example.com'
const api = await serve(w, { CORS_ORIGINS: origin })
const [learner, taken] = [await person(), await course(1)]

const WHO = '{ viewer { id } }'
const POST = { method: 'POST', headers: { 'content-type': 'application/json' } }
const asked = (authorization: string, headers: Record<string, string> = {}) => ({
  ...POST,
  headers: { ...POST.headers, authorization, ...headers },
  body: JSON.stringify({ query: WHO }),
})

/** Asks by one of the ways that HTTP has. */
const ways: Record<string, (authorization: string) => Promise<Response>> = {
  POST: (authorization) => fetch(`${api.url}/graphql`, asked(authorization)),
  'POST for application/graphql-response+json': (authorization) =>
    fetch(`${api.url}/graphql`, asked(authorization, { accept: 'application/graphql-response+json' })),
  GET: (authorization) => fetch(`${api.url}/graphql?query=${WHO}`, { headers: { authorization } }),
  'server-sent events by POST': (authorization) =>
    fetch(`${api.url}/graphql`, asked(authorization, { accept: 'text/event-stream' })),
  'server-sent events by GET': (authorization) =>
    fetch(`${api.url}/graphql?query=${WHO}`, { headers: { authorization, accept: 'text/event-stream' } }),
}

const UNKNOWN = /is unknown, or its session has ended\. Sign in again .* leave the header out/
const NO_BEARER = /has another form than `Bearer <token>`\. Send it in this form, .* leave the header out/

describe.each(Object.entries(ways))('%s', (way, ask) => {
  test.each([
    ['a token that nobody was given', 'Bearer nonsense', UNKNOWN],
    ['the hash of a token', `Bearer ${hashOf(learner.token)}`, UNKNOWN],
    ['a token that is too long', `Bearer ${'x'.repeat(1_000)}`, UNKNOWN],
    ['a token without its scheme', learner.token, NO_BEARER],
    ['another scheme', 'Basic YWRhOmFkYQ==', NO_BEARER],
    ['two tokens', `Bearer ${learner.token} ${learner.token}`, NO_BEARER],
    ['no ASCII', 'Bearer \u00e4', NO_BEARER],
  ])('%s is refused with 401 and what to do', async (_, authorization, message) => {
    const answer = await ask(authorization)
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(answer.headers.get('content-type')).toMatch(
      way.includes('response+json') ? /^application\/graphql-response\+json;/ : /^application\/json;/,
    )
    expect(answer.headers.get('x-request-id')).toBeTruthy()
    expect(await answer.json()).toEqual({
      errors: [{ message: expect.stringMatching(message), extensions: { code: 'UNAUTHENTICATED' } }],
    })
  })

  test('a session that has ended is refused from then on', async () => {
    const { id, token, actor } = await person()
    expect((await ask(`Bearer ${token}`)).status).toBe(200)
    await commit(endSession, { actor, input: { userId: id, sessionId: hashOf(token).slice(0, 16) } })
    expect((await ask(`Bearer ${token}`)).status).toBe(401)
  })

  test.each(['', 'Bearer', 'bearer ', ' '])('the header %j asks as nobody', async (authorization) => {
    const answer = await ask(authorization)
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('{"data":{"viewer":null}}')
  })

  test('a scheme is known in any case', async () => {
    expect(await (await ask(`bEARER ${learner.token}`)).text()).toContain(globalId('User', learner.id))
  })
})

test('nothing of a refused request is carried out, nor even read', async () => {
  const mutation = `mutation { enroll(input: { courseId: "${globalId('Course', taken.id)}" }) { __typename } }`
  for (const query of [mutation, '{ no such thing', '']) {
    const { status, errors } = await api.ask(query, {}, 'nonsense')
    expect([status, errors]).toEqual([401, [expect.objectContaining({ extensions: { code: 'UNAUTHENTICATED' } })]])
  }
  expect(await w.query('select id from "Enrollment"')).toEqual([])
})

test('a page of another origin that is allowed can read why it was refused', async () => {
  const { status, headers } = await fetch(`${api.url}/graphql`, asked('Bearer nonsense', { origin }))
  expect([status, headers.get('access-control-allow-origin')]).toEqual([401, origin])
})

test('a lookup that fails is UNAVAILABLE, and never 401', async () => {
  const network = await proxy(w.url)
  const own = await serve({ ...w, url: network.url }, { DATABASE_POOL_WAIT_MS: '500' })
  w.onClose(() => network.close())
  network.unreachable = true
  network.cut()
  // a page needs no viewer: that nobody waits for the lookup must not end the process
  const page = { headers: { authorization: 'Bearer nonsense', accept: 'text/html' } }
  expect((await fetch(`${own.url}/graphql`, page)).status).toBe(200)
  for (const token of [learner.token, 'nonsense']) {
    const { status, errors } = await own.ask(WHO, {}, token)
    expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }])
    expect(status).not.toBe(401)
  }
  network.unreachable = false
  await vi.waitFor(async () => expect((await own.ask(WHO, {}, 'nonsense')).status).toBe(401), { timeout: 10_000 })
})
