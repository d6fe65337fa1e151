import { getIntrospectionQuery } from 'graphql'
import { afterEach, describe, expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, payload, serve, numbered } from '../api.ts'
import { socketClient, subscribe, subscribeEvents } from '../live/client.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
const [learner, taken] = [await person(), await course(2)]
payload(await api.enroll(learner.token, taken.id))

interface Body {
  readonly data?: Record<string, Record<string, unknown> | null> | null
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}
const authorization = `Bearer ${learner.token}`
const json = {
  'content-type': 'application/json',
  accept: 'application/graphql-response+json, application/json;q=0.9',
  authorization,
}

async function http(init: RequestInit & { duplex?: 'half' }, path = '/graphql') {
  const response = await fetch(api.url + path, init)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (/json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : {}) as Body,
  }
}
const post = (query: unknown, variables?: unknown) =>
  http({ method: 'POST', headers: json, body: JSON.stringify({ query, variables }) })

/** Nothing of our insides: no stack, no SQL, no ORM, no path. */
const insides = /prisma|postgres|sqlstate|select |insert |node_modules|\.ts:|\.js:|at Object|Something went wrong/i

/** Refused, with a reason and a code that are the client's to understand. */
function refused(
  { status, body, text }: Awaited<ReturnType<typeof http>>,
  expected: number | [from: number, to: number] = [400, 499],
) {
  const [from, to] = typeof expected === 'number' ? [expected, expected] : expected
  expect(status).toBeGreaterThanOrEqual(from)
  expect(status).toBeLessThanOrEqual(to)
  expect(body.data ?? undefined).toBeUndefined()
  expect(body.errors?.length).toBeGreaterThan(0)
  for (const { message, extensions } of body.errors!) {
    expect(message.length).toBeGreaterThan(10)
    expect(extensions?.code).toMatch(/^(?!INTERNAL)[A-Z_]+$/)
  }
  expect(text).not.toMatch(insides)
}

afterEach(async () => {
  // it still answers
  expect((await post('{ viewer { name } }')).body).toEqual({ data: { viewer: { name: 'learner' } } })
})

describe('what is too much is refused', () => {
  const nested = (levels: number) =>
    `{ viewer { ${'enrollments(first: 1) { edges { node { learner { '.repeat(levels / 4)} id
      ${'} } } }'.repeat(levels / 4)} } }`
  const tooMuch = [
    ['a query of 40 levels', nested(40)],
    ['a query of 400 levels', nested(400)],
    [
      '40 levels by way of fragments',
      `{ viewer { ...F0 } } ${numbered(
        10,
        (i) => `fragment F${i} on User {
          enrollments(first: 1) { edges { node { learner { ${i < 9 ? `...F${i + 1}` : 'id'} } } } }
        }`,
      )}`,
    ],
    ['fragments in a circle', '{ viewer { ...A } } fragment A on User { ...B } fragment B on User { ...A }'],
    ['1,000 aliases', `{ ${numbered(1_000, (i) => `a${i}: viewer { id }`)} }`],
    [
      '40 aliases of a mutation',
      `mutation { ${numbered(40, (i) => `a${i}: completeLesson(input: {lessonId: "x"}) { __typename }`)} }`,
    ],
    ['100,000 tokens', `{ viewer { ${'id '.repeat(100_000)} } }`],
    ['100 directives', `{ viewer { id ${'@include(if: true) '.repeat(100)} } }`],
    [
      'pages of pages of pages',
      '{ courses(first: 100) { edges { node { lessons(first: 100) { edges { node { requires { requires { ' +
        'requires { requiredBy { id } } } } } } } } } } }',
    ],
  ] as const
  test.each(tooMuch)('%s', async (_, query) => refused(await post(query), 400))

  test.each([
    ...tooMuch,
    [
      'a subscription of 31 aliases',
      `subscription { enrollmentUpdates(enrollmentId: "x") {
        ${Array.from({ length: 31 }, (_, i) => `a${i}: __typename`).join(' ')} } }`,
    ],
    [
      'a subscription to pages of pages of pages',
      'subscription { enrollmentUpdates(enrollmentId: "x") { ... on EnrollmentChange { enrollment { course { ' +
        'lessons(first: 100) { edges { node { requires { requires { requires { requires { id } } } } } } } } } } } }',
    ],
  ] as const)('%s, over WebSocket and as server-sent events: for the same reasons as over HTTP', async (_, query) => {
    const client = socketClient(api.url, learner.token)
    const [overHttp, overSocket, asEvents] = [
      await post(query),
      subscribe(client, query, {}),
      subscribeEvents(api.url, query, {}, learner.token),
    ]
    await Promise.all([overSocket.end(), asEvents.end()])
    await client.dispose()
    const reasons = (errors: unknown[]) =>
      (errors.flat() as NonNullable<Body['errors']>).map(({ message, extensions }) => [extensions?.code, message])
    const told = query.startsWith('subscription') ? reasons(asEvents.errors) : reasons([...overHttp.body.errors!])
    expect(reasons(overSocket.errors)).toEqual(told)
    expect(reasons(asEvents.errors)).toEqual(told)
    for (const [code, message] of told) {
      expect(code).toMatch(/^(?!INTERNAL)[A-Z_]+$/)
      expect(message!.length).toBeGreaterThan(10)
    }
    expect(told.length).toBeGreaterThan(0)
    expect([...overSocket.items, ...asEvents.items]).toEqual([])
    expect(JSON.stringify([overSocket.errors, asEvents.errors])).not.toMatch(insides)
  })

  test('more than a mebibyte, with its length told beforehand', async () => {
    for (const size of [1_048_577, 20_000_000])
      refused(await http({ method: 'POST', headers: json, body: 'x'.repeat(size) }), 413)
  })

  test('more than a mebibyte, in chunks, without an end', async () => {
    let chunks = 0
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(++chunks && 32)),
    })
    refused(await http({ method: 'POST', headers: json, body: endless, duplex: 'half' }), 413)
    expect(chunks).toBeLessThan(1_000)
  })

  test('while a mebibyte is not', async () => {
    const query = '{ viewer { name } }'
    const body = JSON.stringify({ query, variables: { x: '' } })
    const { status } = await http({
      method: 'POST',
      headers: json,
      body: JSON.stringify({ query, variables: { x: 'y'.repeat(1_048_576 - body.length) } }),
    })
    expect(status).toBe(200)
  })

  test('a page has 100 items at most, however many are asked for', async () => {
    const large = await course(120)
    const { body } = await post(
      'query($slug: String!) { course(slug: $slug) { lessons(first: 150) { totalCount pageInfo { hasNextPage } ' +
        'edges { cursor } } } }',
      { slug: large.slug },
    )
    expect(body.data!.course!.lessons).toMatchObject({
      totalCount: 120,
      pageInfo: { hasNextPage: true },
      edges: { length: 100 },
    })
  })

  test('a cursor of another kind than a page gives is refused with a code, and is not our fault', async () => {
    const after = Buffer.from('GPC:N:5').toString('base64')
    const { body } = await post('query($after: String!) { courses(after: $after) { edges { cursor } } }', { after })
    expect(body.errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }])
  })
})

describe('what another site could send without asking is refused', () => {
  const mutation = `mutation { enroll(input: {courseId: "${globalId('Course', taken.id)}"}) { __typename } }`
  const form = new FormData()
  form.set('operations', JSON.stringify({ query: mutation }))
  form.set('map', '{}')
  test.each<[string, RequestInit]>([
    [
      'a form',
      {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `query=${encodeURIComponent(mutation)}`,
      },
    ],
    ['a form with files', { body: form }],
    ['plain text', { headers: { 'content-type': 'text/plain' }, body: JSON.stringify({ query: mutation }) }],
    ['no type at all', { body: new Blob([JSON.stringify({ query: mutation })]) }],
    ['bare GraphQL', { headers: { 'content-type': 'application/graphql' }, body: mutation }],
  ])('%s: 415', async (_, init) => refused(await http({ method: 'POST', ...init }), 415))

  test('a mutation by GET: 405', async () => {
    const other = await person()
    refused(
      await http(
        { headers: { authorization: `Bearer ${other.token}` } },
        `/graphql?query=${encodeURIComponent(mutation)}`,
      ),
      405,
    )
    expect(await w.query('select id from "Enrollment" where "learnerId" = $1', [other.id])).toEqual([])
  })

  test('and no other origin is let in unless it is configured', async () => {
    const origin = 'https://app.example.com'
    for (const method of ['OPTIONS', 'POST']) {
      const { headers } = await http({
        method,
        headers: { ...json, origin, 'access-control-request-method': 'POST' },
        ...(method === 'POST' && { body: '{"query":"{ viewer { id } }"}' }),
      })
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
    const open = await serve(w, { CORS_ORIGINS: origin })
    const preflight = (origin: string) =>
      fetch(`${open.url}/graphql`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type,authorization',
        },
      })
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBe(origin)
    expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).not.toBe(
      'https://evil.example',
    )
  })
})

describe('what is no request is refused with a code', () => {
  test.each([
    ['malformed JSON', '{"query": '],
    ['nothing', ''],
    ['null', 'null'],
    ['a string', '"{ viewer { id } }"'],
    ['no query', '{}'],
    ['a query that is a number', '{"query":5}'],
    ['variables that are a string', '{"query":"{ viewer { id } }","variables":"x"}'],
    ['variables that are a list', '{"query":"{ viewer { id } }","variables":[1]}'],
    ['two operations without a name', '{"query":"query A { viewer { id } } query B { viewer { id } }"}'],
    ['a batch', '[{"query":"{ viewer { id } }"},{"query":"{ viewer { id } }"}]'],
  ])('%s', async (_, body) => refused(await http({ method: 'POST', headers: json, body }), 400))

  test.each([
    ['a syntax error', '{ viewer {', undefined],
    ['a field that is not there', '{ nothing }', undefined],
    ['an object for an ID', 'mutation { completeLesson(input: {lessonId: {a: 1}}) { __typename } }', undefined],
    [
      'an object for an ID, as a variable',
      'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }',
      { id: { a: 1 } },
    ],
    ['a list for an ID', 'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }', { id: ['x'] }],
    [
      'no variable where one is needed',
      'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }',
      {},
    ],
    [
      'a fraction for a version',
      'mutation($i: CompleteLessonInput!) { completeLesson(input: $i) { __typename } }',
      { i: { lessonId: 'x', expectedVersion: 1.5 } },
    ],
    [
      'a version beyond 32 bits',
      'mutation($i: CompleteLessonInput!) { completeLesson(input: $i) { __typename } }',
      { i: { lessonId: 'x', expectedVersion: 4_294_967_296 } },
    ],
    [
      'a field that an input has not',
      'mutation($i: CompleteLessonInput!) { completeLesson(input: $i) { __typename } }',
      { i: { lessonId: 'x', courseId: 'y' } },
    ],
    [
      'both of what oneOf allows one of',
      'mutation($i: ResetProgressInput!) { resetProgress(input: $i) { __typename } }',
      { i: { target: { lessonId: 'x', enrollmentId: 'y' } } },
    ],
    [
      'both, written out',
      'mutation { resetProgress(input: {target: {lessonId: "x", enrollmentId: "y"}}) { __typename } }',
      undefined,
    ],
    [
      'none of what oneOf needs one of',
      'mutation($i: ResetProgressInput!) { resetProgress(input: $i) { __typename } }',
      { i: { target: {} } },
    ],
    [
      'null for the one',
      'mutation($i: ResetProgressInput!) { resetProgress(input: $i) { __typename } }',
      { i: { target: { lessonId: null } } },
    ],
    ['a text for a page size', '{ courses(first: "many") { totalCount } }', undefined],
  ])('%s', async (_, query, variables) => {
    refused(await post(query, variables), 400)
    const { body } = await http({
      method: 'POST',
      headers: { ...json, accept: 'application/json' },
      body: JSON.stringify({ query, variables }),
    })
    expect(body.errors![0]!.extensions!.code).toMatch(/^[A-Z_]+$/)
  })
})

describe('an id that is none is answered, never our fault', () => {
  const encoded = (text: string) => Buffer.from(text).toString('base64')
  const ids: [what: string, id: string][] = [
    ['empty', ''],
    ['not base64', '!!!'],
    ['without a type', encoded('abc')],
    ['of a type that is not there', encoded('Nothing:1')],
    ['of a type without ids', encoded('EnrollPayload:1')],
    ['of another type', globalId('User', learner.id)],
    ['of every object', encoded('__proto__:1')],
    ['with a NUL behind the code', encoded('Lesson:a\0b')],
    ['with a NUL behind the code, of progress', encoded('LessonProgress:a\0b~c')],
    ['with a NUL', 'a\0b'],
    ['with a lone surrogate', 'a\ud800b'],
    ['that is no UTF-8', Buffer.from([...Buffer.from('Lesson:'), 0xff, 0xfe]).toString('base64')],
    ['of 10,000 characters', encoded(`Lesson:${'x'.repeat(7_490)}`)],
    ['with SQL in it', encoded(`Lesson:' or 1=1 --`)],
    ['like a slice of all', encoded('Lesson:*')],
    ['of nothing that is there', globalId('Lesson', `${taken.id}.none`)],
  ]
  const name = {
    completeLesson: 'lessonId',
    openLesson: 'lessonId',
    completeContent: 'contentItemId',
    enroll: 'courseId',
  } as const

  test.each(ids)('%s', async (_, id) => {
    for (const [mutation, field] of Object.entries(name)) {
      const Name = mutation[0]!.toUpperCase() + mutation.slice(1)
      const { status, body, text } = await post(
        `mutation($input: ${Name}Input!) { ${mutation}(input: $input) { __typename ... on DomainError { code message }
          } }`,
        { input: { [field]: id } },
      )
      expect({ status, errors: body.errors }).toEqual({ status: 200, errors: undefined })
      expect(body.data![mutation]!.__typename).toMatch(/^(InvalidInput|\w+NotFound|NotEnrolled)$/)
      expect(text).not.toMatch(insides)
    }
    for (const field of ['lessonId', 'enrollmentId']) {
      const { body, text } = await post(
        'mutation($input: ResetProgressInput!) { resetProgress(input: $input) { __typename ... on DomainError { ' +
          'code message } } }',
        { input: { target: { [field]: id } } },
      )
      expect(body.data!.resetProgress!.__typename).toMatch(/^(InvalidInput|\w+NotFound|NotEnrolled)$/)
      expect(text).not.toMatch(insides)
    }
    for (const query of [
      'query($id: ID!) { enrollment(id: $id) { id } }',
      'query($id: ID!) { node(id: $id) { __typename } }',
      'query($id: ID!) { nodes(ids: [$id]) { __typename } }',
    ]) {
      const { status, body, text } = await post(query, { id })
      expect(status).toBeLessThan(500)
      for (const { extensions } of body.errors ?? []) expect(extensions?.code).toMatch(/^(INVALID_INPUT|BAD_REQUEST)$/)
      expect(text).not.toMatch(insides)
    }
  })

  test.each([
    ['a NUL in a slug', 'query($x: String!) { course(slug: $x) { id } }', 'a\0b'],
    ['a lone surrogate in a slug', 'query($x: String!) { course(slug: $x) { id } }', 'a\ud800b'],
    ['a slug of 100,000 characters', 'query($x: String!) { course(slug: $x) { id } }', 'x'.repeat(100_000)],
    ['a cursor that is none', 'query($x: String!) { courses(after: $x) { totalCount edges { cursor } } }', 'garbage'],
    [
      'a cursor with a NUL behind the code',
      'query($x: String!) { courses(after: $x) { edges { cursor } } }',
      encoded('GPC:S:a\0b'),
    ],
    ['a page of fewer than none', 'query($x: Int!) { courses(first: $x) { edges { cursor } } }', -1],
  ])('%s', async (_, query, x) => {
    const { status, body, text } = await post(query, { x })
    expect(status).toBeLessThan(500)
    for (const { extensions } of body.errors ?? []) expect(extensions?.code).toBe('BAD_REQUEST')
    expect(text).not.toMatch(insides)
  })
})

describe('the server', () => {
  test('says that it lives, that it is ready, and how it fares', async () => {
    expect(await http({}, '/livez')).toMatchObject({ status: 200, text: 'alive\n' })
    expect(await http({}, '/readyz')).toMatchObject({ status: 200, text: 'ready\n' })
    const { status, text } = await http({}, '/metrics')
    expect(status).toBe(200)
    expect(text).toMatch(/^lockstep_commit_requests_total\{operation="enroll",outcome="changed"\} \d+$/m)
    expect(text).toMatch(/^lockstep_http_seconds_count\{path="\/graphql",status="200"\} \d+$/m)
    expect(text).toMatch(/^lockstep_commit_failures_total 0$/m)
    expect(text).not.toContain(learner.id)
  })

  test('counts what was asked and what came of it', async () => {
    const count = async (outcome: string) =>
      Number(
        new RegExp(
          `^lockstep_commit_requests_total\\{operation="completeLesson",outcome="${outcome}"\\} (\\d+)$`,
          'm',
        ).exec((await http({}, '/metrics')).text)?.[1] ?? 0,
      )
    const outcomes = ['changed', 'unchanged', 'replayed', 'LESSON_NOT_FOUND']
    const before = await Promise.all(outcomes.map(count))
    for (let i = 0; i < 2; i++) await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'counted' })
    await api.complete(learner.token, taken.lesson(1))
    await api.complete(learner.token, taken.lesson(7))
    expect(await Promise.all(outcomes.map(count))).toEqual(before.map((n) => n + 1))
  })

  test('says back the id of a request, if it is a plain one, and gives it one otherwise', async () => {
    const idOf = async (id?: string) =>
      (
        await http({
          method: 'POST',
          headers: { ...json, ...(id && { 'x-request-id': id }) },
          body: '{"query":"{ viewer { id } }"}',
        })
      ).headers.get('x-request-id')
    expect(await idOf('trace-1.2:3')).toBe('trace-1.2:3')
    for (const id of [undefined, '<script>', 'x'.repeat(101)]) expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('lets its schema be read', async () => {
    const { status, body } = await post(getIntrospectionQuery({ oneOf: true, inputValueDeprecation: true }))
    expect(status).toBe(200)
    expect(body.data!.__schema).toMatchObject({ queryType: { name: 'Query' }, mutationType: { name: 'Mutation' } })
  })

  test('shows GraphiQL to a browser, from itself alone', async () => {
    const { status, text, headers } = await http({ headers: { accept: 'text/html' } })
    expect({ status, type: headers.get('content-type') }).toEqual({
      status: 200,
      type: expect.stringContaining('text/html'),
    })
    expect(
      [...text.matchAll(/<(?:script|link)[^>]+(?:src|href)="?(https?:)?\/\/[^"\s>]+/g)].map(([tag]) => tag),
    ).toEqual([])
  })

  test('answers 404 for what is not there', async () => {
    for (const path of ['/nowhere', '/__proto__', '//graphql', '/graphql/x'])
      expect((await http({}, path)).status).toBe(404)
    expect((await fetch(api.url, { redirect: 'manual' })).headers.get('location')).toBe('/graphql')
  })
})
