import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { endSession } from '../../src/identity/endSession.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf } from '../../src/identity/userAggregate.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, system } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { ENROLLMENT, type Told } from './client.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)

interface Result {
  readonly data?: { readonly enrollmentUpdates: Told } | null
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

const open = new Set<() => void>()
afterEach(async () => {
  for (const end of open) end() // what a test that failed left open would make the next one fail
  open.clear()
  await nobody()
})

/** Resolves as soon as it is so. */
async function until(found: () => boolean | Promise<boolean>, what: string, ms = 10_000) {
  for (const late = performance.now() + ms; !(await found()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (performance.now() > late) throw new Error(`Not in ${ms} ms: ${what}`)
}

async function streams(): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text()
  return Number(/^lockstep_live_subscriptions (\d+)$/m.exec(text)![1])
}
const nobody = () => until(async () => (await streams()) === 0, 'nobody is there any more')

interface Asked {
  readonly method?: 'GET' | 'POST'
  readonly token?: string | undefined
  readonly headers?: Record<string, string>
  readonly body?: RequestInit['body']
  readonly url?: string
}

/** Opens an event stream, and reads it event by event. */
async function listen(
  query: string,
  variables: object,
  { method = 'POST', token, headers = {}, body, url = api.url }: Asked = {},
) {
  const abort = new AbortController()
  open.add(() => abort.abort())
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  const response = await fetch(method === 'GET' ? `${url}/graphql?${search}` : `${url}/graphql`, {
    method,
    headers: {
      accept: 'text/event-stream',
      ...(method === 'POST' && body === undefined && { 'content-type': 'application/json' }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(method === 'POST' && { body: body ?? JSON.stringify({ query, variables }) }),
    signal: abort.signal,
  })
  const results: Result[] = []
  const events: string[] = []
  let text = ''
  let ended = false
  const read = async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = /^event: (.*)$/m.exec(text.slice(0, end))?.[1]
        if (event) events.push(event)
        if (event === 'next') results.push(JSON.parse(/^data: (.*)$/m.exec(text.slice(0, end))![1]!) as Result)
        text = text.slice(end + 2)
      }
    }
  }
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (isStream)
    read()
      .catch(() => {})
      .finally(() => (ended = true))
  return {
    ...{ response, results, events, isStream },
    told: () => results.map(({ data }) => data!.enrollmentUpdates),
    until: (count: number) =>
      until(() => results.length >= count, `${count} results, and there are ${JSON.stringify(results)}`),
    end: () => until(() => ended, `the end, after ${JSON.stringify(results)}`),
    leave: () => abort.abort(),
  }
}

async function enrolled() {
  const learner = await person()
  const taken = await course(10)
  payload(await api.enroll(learner.token, taken.id))
  let done = 0
  return {
    ...{ learner, taken, token: learner.token, id: globalId('Enrollment', enrollmentOf(learner.id, taken.id)) },
    change: async () => payload(await api.complete(learner.token, taken.lesson(++done))).version,
  }
}

async function session(userId: string, ms: number) {
  const token = `token-${randomUUID()}`
  const tokenHash = hashOf(token)
  await commit(startSession, {
    actor: system,
    input: { userId, tokenHash, expiresAt: new Date(Date.now() + ms).toISOString() },
  })
  const end = async () => {
    const [found] = await w.query<{ id: string }>('select id from "Session" where "tokenHash" = $1', [tokenHash])
    await commit(endSession, { actor: system, input: { userId, sessionId: found!.id } })
  }
  return { token, end }
}

const insides =
  /prisma|postgres|sqlstate|select .* from|insert |node_modules|\.ts:|\.js:|at Object|stack|originalError|"http"|Something went wrong/i

/** One result, which says why nothing comes, and then the end. */
async function refused(stream: Awaited<ReturnType<typeof listen>>, code: RegExp | string, before = 0) {
  await stream.end()
  expect(stream.events).toEqual([...Array.from({ length: before + 1 }, () => 'next'), 'complete'])
  const { data, errors } = stream.results.at(-1)!
  expect(data ?? undefined).toBeUndefined()
  expect(errors?.length).toBeGreaterThan(0)
  for (const { message, extensions } of errors!) {
    expect(message.length).toBeGreaterThan(10)
    expect(extensions?.code).toMatch(/^(?!INTERNAL)[A-Z_]+$/)
    expect(extensions?.code).toMatch(code)
  }
  expect(JSON.stringify(errors)).not.toMatch(insides)
}

describe.each(['GET', 'POST'] as const)('by %s', (method) => {
  test(
    'the present comes first, then each change; and who comes back with a cursor is told what ' + 'they missed',
    async () => {
      const { id, token, change } = await enrolled()
      const stream = await listen(ENROLLMENT, { id }, { method, token })
      expect(stream.response.status).toBe(200)
      await stream.until(1)
      for (let i = 0; i < 3; i++) await change()
      await stream.until(4)
      expect(stream.told().map(({ __typename, version }) => [__typename, version])).toEqual([
        ['EnrollmentSnapshot', 1],
        ['EnrollmentChange', 2],
        ['EnrollmentChange', 3],
        ['EnrollmentChange', 4],
      ])
      stream.leave()
      await nobody()
      await change()
      const again = await listen(ENROLLMENT, { id, after: stream.told()[1]!.cursor }, { method, token })
      await again.until(3)
      await change()
      await again.until(4)
      expect(again.told().map(({ __typename, version }) => [__typename, version])).toEqual(
        [3, 4, 5, 6].map((version) => ['EnrollmentChange', version]),
      )
      expect(stream.results).toHaveLength(4)
    },
  )

  test.each<
    [
      string,
      RegExp,
      (own: { id: string; token: string }) => [query: string, variables: object, token: string | undefined],
    ]
  >([
    ['without a token', /^UNAUTHENTICATED$/, ({ id }) => [ENROLLMENT, { id }, undefined]],
    [
      'of what is not there',
      /^NOT_FOUND$/,
      ({ token }) => [ENROLLMENT, { id: globalId('Enrollment', 'no.thing') }, token],
    ],
    ['by an id that is none', /^(BAD_REQUEST|INVALID_INPUT)$/, ({ token }) => [ENROLLMENT, { id: 'x' }, token]],
    ['after garbage', /^BAD_REQUEST$/, ({ id, token }) => [ENROLLMENT, { id, after: 'x' }, token]],
    ['that is a syntax error', /./, ({ token }) => ['subscription {', {}, token]],
    ['of a field that there is not', /./, ({ token }) => ['subscription { nothing }', {}, token]],
    [
      'of 40 levels',
      /./,
      ({ id, token }) => [
        inChange(
          `enrollment { ${'learner { enrollments(first: 1) { edges { node { '.repeat(9)} id ${'} } } }'.repeat(9)} }`,
        ),
        { id },
        token,
      ],
    ],
    [
      'of 31 aliases',
      /./,
      ({ id, token }) => [inChange(Array.from({ length: 31 }, (_, i) => `a${i}: version`).join(' ')), { id }, token],
    ],
    ['of 2,100 tokens', /./, ({ id, token }) => [inChange(`enrollment { ${'id '.repeat(2_100)} }`), { id }, token]],
    [
      'of pages of pages of pages',
      /^QUERY_TOO_EXPENSIVE$/,
      ({ id, token }) => [
        inChange(
          'enrollment { course { lessons { edges { node { requires { nodes { requires { nodes ' +
            '{ requires { nodes { id } } } } } } } } } } }',
        ),
        { id },
        token,
      ],
    ],
  ])('a subscription %s is refused with a result that says why, and ends', async (_, code, ask) => {
    const [query, variables, token] = ask(await enrolled())
    await refused(await listen(query, variables, { method, token }), code)
    expect(await streams()).toBe(0)
  })

  test('a subscription with a token that opens nothing is refused with 401, before there is a stream', async () => {
    const { id } = await enrolled()
    const { response } = await listen(ENROLLMENT, { id }, { method, token: 'nonsense' })
    expect([response.status, response.headers.get('content-type')]).toEqual([401, expect.stringMatching(/json/)])
  })

  test('whoever goes away is forgotten', async () => {
    const { id, token, change } = await enrolled()
    const all = await Promise.all(Array.from({ length: 10 }, () => listen(ENROLLMENT, { id }, { method, token })))
    for (const stream of all) await stream.until(1)
    expect(await streams()).toBe(10)
    const [stays, ...leave] = all
    for (const stream of leave) stream.leave()
    await until(async () => (await streams()) === 1, 'one is left')
    await change()
    await stays!.until(2)
    expect(stays!.told().map(({ version }) => version)).toEqual([1, 2])
  })

  test('when the session ends, that is told, and the stream ends', async () => {
    const { id, learner, token, change } = await enrolled()
    const [ended, runsOut] = [await session(learner.id, 3_600_000), await session(learner.id, 5_000)]
    const stays = await listen(ENROLLMENT, { id }, { method, token })
    const [one, other] = [
      await listen(ENROLLMENT, { id }, { method, token: ended.token }),
      await listen(ENROLLMENT, { id }, { method, token: runsOut.token }),
    ]
    for (const stream of [stays, one, other]) await stream.until(1)
    await ended.end()
    await refused(one, 'UNAUTHENTICATED', 1)
    await refused(other, 'UNAUTHENTICATED', 1)
    await change()
    await stays.until(2)
    expect(stays.told().map(({ version }) => version)).toEqual([1, 2])
  })

  test('a page from elsewhere is given no leave to read', async () => {
    const { id, token } = await enrolled()
    const origin = 'https://evil.example'
    const stream = await listen(ENROLLMENT, { id }, { method, token, headers: { origin } })
    expect([...stream.response.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
    stream.leave()
    const own = await serve(w, { CORS_ORIGINS: 'https://app.example.com' })
    const let_ = await listen(
      ENROLLMENT,
      { id },
      { method, token, url: own.url, headers: { origin: 'https://app.example.com' } },
    )
    expect(let_.response.headers.get('access-control-allow-origin')).toBe('https://app.example.com')
    const other = await listen(ENROLLMENT, { id }, { method, token, url: own.url, headers: { origin } })
    expect(other.response.headers.get('access-control-allow-origin')).not.toBe(origin)
    for (const each of [let_, other]) each.leave()
  })
})

const inChange = (selection: string) =>
  `subscription($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ... on EnrollmentChange { ${selection} } } }`

test.each<[string, Record<string, string>, (operation: string) => RequestInit['body']]>([
  ['plain text', { 'content-type': 'text/plain' }, (operation) => operation],
  [
    'a form',
    { 'content-type': 'application/x-www-form-urlencoded' },
    (operation) => new URLSearchParams(JSON.parse(operation)).toString(),
  ],
  [
    'a form with files',
    {},
    (operation) => {
      const form = new FormData()
      form.set('operations', operation)
      form.set('map', '{}')
      return form
    },
  ],
])('what another site could send without asking is refused with 415: %s', async (_, headers, body) => {
  const { id, token } = await enrolled()
  const stream = await listen(
    '',
    {},
    { token, headers, body: body(JSON.stringify({ query: ENROLLMENT, variables: { id } })) },
  )
  expect(stream.response.status).toBe(415)
  expect(stream.isStream).toBe(false)
})

test('a mutation by GET changes nothing', async () => {
  const { learner, taken, token } = await enrolled()
  const stream = await listen(
    'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }',
    { id: globalId('Lesson', taken.lesson(1)) },
    { method: 'GET', token },
  )
  expect(stream.response.status).toBe(405)
  expect(await w.history('Enrollment', enrollmentOf(learner.id, taken.id))).toHaveLength(1)
})

test('a query and a mutation are answered with one result, and the end', async () => {
  const { learner, taken, token } = await enrolled()
  const query = await listen('{ viewer { name } }', {}, { token })
  await query.end()
  expect([query.events, query.results]).toEqual([['next', 'complete'], [{ data: { viewer: { name: 'learner' } } }]])
  const mutation = await listen(
    'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }',
    { id: globalId('Lesson', taken.lesson(1)) },
    { token },
  )
  await mutation.end()
  expect(mutation.results).toEqual([{ data: { completeLesson: { __typename: 'CompleteLessonPayload' } } }])
  expect(await w.history('Enrollment', enrollmentOf(learner.id, taken.id))).toHaveLength(2)
})

test('whoever goes away before anything came is forgotten', async () => {
  const { id, token, change } = await enrolled()
  const { hostname, port, host } = new URL(api.url)
  const body = JSON.stringify({ query: ENROLLMENT, variables: { id } })
  const head =
    `POST /graphql HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\naccept: ` +
    `text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const lock = await w.psql.connect() // nobody is told who they are before they have gone
  await lock.query('begin; lock table "Session" in access exclusive mode')
  const sockets = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = net.connect({ host: hostname, port: Number(port) })
      await once(socket, 'connect')
      socket.write(head + body)
      return socket
    }),
  )
  await until(async () => {
    const [waiting] = await w.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
        and query like '%"Session"%'`,
    )
    return waiting!.count >= 2
  }, 'they wait')
  for (const socket of sockets) socket.resetAndDestroy()
  await lock.query('commit')
  lock.release()
  const stream = await listen(ENROLLMENT, { id }, { token })
  await stream.until(1)
  await until(async () => (await streams()) === 1, 'one is there')
  await change()
  await stream.until(2)
})
