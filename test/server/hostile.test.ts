import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildSchema, getIntrospectionQuery, parse } from 'graphql'
import pino from 'pino'
import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../src/operator/config.ts'
import type { PoolOptions } from '../../src/operator/config.ts'
import { examples } from '../../src/graphiql/tabs.ts'
import { costOf } from '../../src/api/listLimit.ts'
import { nestingOf } from '../../src/api/nestingLimit.ts'
import { toSchema } from '../../src/server/schema.ts'
import { startServer } from '../../src/server/server.ts'
import { academy } from '../academy.ts'
import { client, globalId, payload, serve, numbered } from '../api.ts'
import { socketClient, subscribe } from '../live/client.ts'
import { world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
const [learner, taken] = [await person(), await course(4)]
payload(await api.enroll(learner.token, taken.id))

/** As `serve`, in a pool of its own name, with all that it logs. */
async function logged(pool: Partial<PoolOptions> = {}) {
  const name = `own${Math.random().toString(36).slice(2, 8)}`
  const at = new URL(w.url)
  at.searchParams.set('application_name', name)
  const url = at.href
  const lines: { level: number; msg: string; err?: { message: string } }[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const config = parseConfig({ PORT: '0', DATABASE_POOL_SIZE: '4', DATABASE_POOL_MAX: '8', DATABASE_URL: url })
  const server = await startServer({
    config: { ...config, pool: { ...config.pool, ...pool } },
    log,
  })
  await server.open({ databaseUrl: url, demo: false })
  w.onClose(() => server.drain())
  const { port } = server.address
  return { name, port, lines, ...client(`http://127.0.0.1:${port}/graphql`) }
}

/** Holds a table that everybody who reads it waits for. */
async function hold(table: string) {
  const holder = await w.psql.connect()
  await holder.query('begin')
  await holder.query(`lock table "${table}" in access exclusive mode`)
  return async () => {
    await holder.query('rollback')
    holder.release()
  }
}

/** What a server answers to bytes. */
const bytes = (port: number, text: string, closeAfterMs?: number) =>
  new Promise<string>((resolve, reject) => {
    let answer = ''
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(text)
      if (closeAfterMs) setTimeout(() => socket.destroy(), closeAfterMs)
    })
    socket
      .on('data', (data) => (answer += data))
      .on('close', () => resolve(answer))
      .on('error', reject)
  })

const ViewerName = '{ viewer { name } }'

test('connections on which nobody answers any more delay the requests that meet them, and hang none', {
  timeout: 60_000,
}, async () => {
  const own = await logged({ statementTimeoutMs: 1_000, lockTimeoutMs: 500 })
  const complete = (n: number) =>
    own.ask(
      'mutation($i: CompleteLessonInput!) { completeLesson(input: $i) { __typename } }',
      { i: { lessonId: globalId('Lesson', taken.lesson(n)) } },
      learner.token,
    )
  await Promise.all(
    Array.from({ length: 12 }, () => own.ask('{ courses { totalCount } viewer { name } }', {}, learner.token)),
  )
  const backends = await w.query<{ pid: number }>(
    'select pid from pg_stat_activity where datname = current_database() and application_name in ($1, ' +
      "'lockstep') and state = 'idle' and pid <> pg_backend_pid()",
    [own.name],
  )
  expect(backends.length).toBeGreaterThan(0)
  const stopped = backends.map(({ pid }) => pid)
  for (const pid of stopped) process.kill(pid, 'SIGSTOP')
  try {
    const begun = performance.now()
    const asked: Promise<{ status: number }>[] = []
    for (let i = 0; i < 12; i++) {
      asked.push(i % 3 ? own.ask(ViewerName, {}, learner.token) : complete(1 + (i % 4)))
      await sleep(20)
    }
    const ready = fetch(`http://127.0.0.1:${own.port}/readyz`).then(({ status }) => status)
    const answers = await Promise.all(asked)
    expect(performance.now() - begun).toBeLessThan(20_000)
    expect(answers.every(({ status }) => status === 200 || status === 500 || status === 503)).toBe(true)
    expect(await ready).toBe(200)
    expect(await own.ask(ViewerName, {}, learner.token)).toMatchObject({
      status: 200,
      data: { viewer: { name: 'learner' } },
    }) // the dead ones are gone
  } finally {
    for (const pid of stopped) process.kill(pid, 'SIGCONT')
  }
})

describe('a query of lists within lists', () => {
  const levels = (depth: number, k = 0): string =>
    depth ? `${k % 2 ? 'requires' : 'requiredBy'} { nodes { ${levels(depth - 1, k + 1)} } }` : 'id'
  const lessons = (first: string, inner: string) =>
    `query${first === '$n' ? '($n: Int)' : ''} { course(slug: "x") { lessons(first: ${first}) { edges { node {
      ${inner} } } } } }`

  test.each([
    ['with its page written out', lessons('100', levels(3)), {}],
    ['with its page among the variables', lessons('$n', levels(3)), { n: 100 }],
    [
      'by way of fragments',
      `${lessons('$n', '...A')} fragment A on Lesson { requires { nodes { ...B } } }
        fragment B on Lesson { requires { nodes { requires { nodes { id } } } } }`,
      { n: 100 },
    ],
    [
      'again and again',
      `{ course(slug: "x") {
        ${numbered(6, (i) => `a${i}: lessons(first: 50) { edges { node { ${levels(2)} } } }`)}
      } }`,
      {},
    ],
  ])('is refused for what it costs: %s', async (_, query, variables) => {
    const { errors, data } = await api.ask(query, variables, learner.token)
    expect(data ?? undefined).toBeUndefined()
    expect(errors).toMatchObject([
      {
        message: expect.stringMatching(/costs [\d,]+, and the most is 50,000.* smaller pages/),
        extensions: { code: 'QUERY_TOO_EXPENSIVE' },
      },
    ])
  })

  test.each([
    ['two of them', lessons('100', levels(2)), {}],
    ['three of them in a page of five', lessons('$n', levels(3)), { n: 5 }],
  ])('is answered as far as it goes: %s', async (_, query, variables) => {
    expect((await api.ask(query, variables, learner.token)).errors).toBeUndefined()
  })

  test('is counted in no time, though fragments multiply', () => {
    const doubling = Array.from(
      { length: 60 },
      (_, i) => `fragment F${i} on A { ${i < 59 ? `a: a { ...F${i + 1} } b: a { ...F${i + 1} }` : 'id'} }`,
    )
    const schema = buildSchema('type Query { a: A } type A { a: A id: ID }')
    expect(costOf({ schema, document: parse(`{ a { ...F0 } } ${doubling.join(' ')}`) })).toBeGreaterThan(1e15)
  })

  test('in the examples costs little', () => {
    for (const { query } of examples) expect(costOf({ schema: toSchema(), document: parse(query) })).toBeLessThan(5_000)
  })
})

describe('a document that nests too deep', () => {
  const deep: [what: string, query: string, code: RegExp][] = [
    ['selections', `${'{a'.repeat(600)}${'}'.repeat(600)}`, /^QUERY_TOO_DEEP$/],
    ['selections of our own', `{ viewer { ${'... { '.repeat(200)} id ${'} '.repeat(200)} } }`, /^QUERY_TOO_DEEP$/],
    ['lists', `{ nodes(ids: ${'['.repeat(900)}${']'.repeat(900)}) { id } }`, /^QUERY_TOO_DEEP$/],
    ['lists that never end', `{ nodes(ids: ${'['.repeat(1_990)}`, /^QUERY_TOO_DEEP$/],
    ['objects', `{ nodes(ids: ${'{a:'.repeat(480)}1${'}'.repeat(480)}) { id } }`, /^QUERY_TOO_DEEP$/],
    ['types', `query ($x: ${'['.repeat(900)}ID${']'.repeat(900)}) { nodes(ids: $x) { id } }`, /^QUERY_TOO_DEEP$/],
    [
      'a default',
      `query ($x: [ID!] = ${'['.repeat(400)}${']'.repeat(400)}) { nodes(ids: $x) { id } }`,
      /^QUERY_TOO_DEEP$/,
    ],
    [
      'lists of a subscription',
      `subscription { enrollmentUpdates(enrollmentId: ${'['.repeat(900)}${']'.repeat(900)}) { __typename } }`,
      /^QUERY_TOO_DEEP$/,
    ],
    ['brackets without number', '['.repeat(100_000), /^QUERY_TOO_DEEP$/],
    [
      'a chain of 240 fragments',
      `{ viewer { ...F0 } } ${numbered(240, (i) => `fragment F${i} on User{${i < 239 ? `...F${i + 1}` : 'id'}}`)}`,
      /^[A-Z_]+$/,
    ],
    ['a fragment in itself', '{ viewer { ...A } } fragment A on User { ...A }', /^GRAPHQL_VALIDATION_FAILED$/],
    [
      'fragments in a circle of 200',
      `{ viewer { ...F0 } } ${numbered(200, (i) => `fragment F${i} on User{...F${(i + 1) % 200}}`)}`,
      /^[A-Z_]+$/,
    ],
  ]

  test('is the client’s mistake, over HTTP and WebSocket, and not logged as ours', async () => {
    const own = await logged()
    const url = `http://127.0.0.1:${own.port}`
    for (const [what, query, code] of deep) {
      const { status, errors } = await own.ask(query, {}, learner.token, {
        headers: {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json',
          authorization: `Bearer ${learner.token}`,
        },
      })
      const overSocket = subscribe(socketClient(url, learner.token), query, {})
      await overSocket.end()
      for (const found of [errors, overSocket.errors.flat()])
        expect([what, found]).toMatchObject([what, [{ extensions: { code: expect.stringMatching(code) } }]])
      expect([what, status]).toEqual([what, 400])
      expect([what, overSocket.items]).toEqual([what, []])
      expect([what, own.lines.filter(({ level }) => level >= 40)]).toEqual([what, []])
    }
  })

  test('is also found in variables', async () => {
    const own = await logged()
    const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }'
    const body = `{"query":${JSON.stringify(query)},"variables":{"ids":${'['.repeat(400_000)}${']'.repeat(400_000)}}}`
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${learner.token}` }
    const response = await fetch(`http://127.0.0.1:${own.port}/graphql`, { method: 'POST', headers, body })
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] })
    expect(own.lines.filter(({ level }) => level >= 40)).toEqual([])
  })

  test.each([
    ['brackets in strings', `{ course(slug: "${'['.repeat(200)}") { id } }`, 2],
    ['a string with quotes in it', '{ course(slug: "\\"[[[") { id } }', 2],
    ['a string that ends in a backslash', '{ course(slug: "\\\\") { a(x: [1]) { id } } }', 4],
    ['block strings', '{ course(slug: """[[ " \\""" [[ \n""") { id } }', 2],
    ['comments', '{ # [[[[\n course(slug: "x") { id } }', 2],
    ['an empty string', '{ a(x: "") { b(y: [[""]]) } }', 5],
    ['what is closed again', '{ a { b } c { d } e(f: [[]]) }', 4],
  ])('does not count %s', (_, query, depth) => {
    expect(nestingOf(query, 100)).toBe(depth)
  })

  test('is what our own examples are far from', () => {
    for (const { query } of examples) expect(nestingOf(query, 100)).toBeLessThan(20)
    expect(nestingOf(getIntrospectionQuery({ oneOf: true }), 100)).toBeLessThan(20)
  })
})

test('more than 100 ids at once are refused', async () => {
  const nodes = (count: number) =>
    api.ask(
      'query($ids: [ID!]!) { nodes(ids: $ids) { id } }',
      { ids: Array.from({ length: count }, (_, i) => globalId('Lesson', `x.${i}`)) },
      learner.token,
    )
  expect((await nodes(100)).errors).toBeUndefined()
  expect((await nodes(101)).errors).toMatchObject([
    { message: expect.stringContaining('101 ids'), extensions: { code: 'INVALID_INPUT' } },
  ])
})

test('a query that takes too long is told so, and nobody else’s fails with it', { timeout: 30_000 }, async () => {
  const own = await logged({ statementTimeoutMs: 1_500, lockTimeoutMs: 20_000 })
  const others = await Promise.all(Array.from({ length: 12 }, () => course(2)))
  const Slow = 'query($s: String!) { course(slug: $s) { instructors { nodes { name } } } }'
  const SlowNode = 'query($id: ID!) { node(id: $id) { ... on Course { instructors { nodes { name } } } } }'
  const Title = 'query($s: String!) { course(slug: $s) { title } }'
  const TitleNode = 'query($id: ID!) { node(id: $id) { ... on Course { title } } }'
  const release = await hold('CourseInstructor')
  try {
    const [slow, slowNode, ...innocent] = await Promise.all([
      own.ask(Slow, { s: taken.slug }, learner.token),
      own.ask(SlowNode, { id: globalId('Course', taken.id) }, learner.token),
      ...others.flatMap(({ slug, id }) => [
        own.ask(Title, { s: slug }, learner.token),
        own.ask(TitleNode, { id: globalId('Course', id) }, learner.token),
      ]),
    ])
    for (const { errors } of [slow, slowNode])
      expect(errors).toMatchObject([
        { message: expect.stringContaining('longer than a query may'), extensions: { code: 'QUERY_TOO_SLOW' } },
      ])
    for (const [i, { errors, data }] of innocent.entries()) {
      expect(errors).toBeUndefined()
      expect(data).toEqual({ [i % 2 ? 'node' : 'course']: { title: others[i >> 1]!.slug } })
    }
  } finally {
    await release()
  }
})

test.each([
  ['course', 'query($x: String!) { course(slug: $x) { title } }', 'a\0b', (slug: string, _: string) => slug],
  [
    'node',
    'query($x: ID!) { node(id: $x) { ... on Course { title } } }',
    globalId('Course', 'a\0b'),
    (_: string, id: string) => globalId('Course', id),
  ],
])('a query that fails takes none of those along that are asked for with it: %s', async (field, query, guilty, of) => {
  const { slug, id } = await course(1)
  const viewers = await Promise.all(Array.from({ length: 8 }, () => person()))
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        api.ask(query, { x: i % 10 === 5 ? guilty : of(slug, id) }, viewers[i % 8]!.token),
      ),
    )
    for (const [i, { data, errors }] of answers.entries()) {
      if (i % 10 === 5) expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }])
      else expect({ data, errors }).toEqual({ data: { [field]: { title: slug } }, errors: undefined })
    }
  }
})

test.each(['terminated', 'too slow'])(
  'what could not be read of a mutation’s answer is not called unchanged, and what was committed still arrives: %s',
  async (how) => {
    const own = await logged({ statementTimeoutMs: how === 'too slow' ? 1_000 : 10_000, lockTimeoutMs: 20_000 })
    const fresh = await person()
    payload(await api.enroll(fresh.token, taken.id))
    const release = await hold('CourseCompletion')
    try {
      const answer = own.ask<
        { completeLesson: { version: number; enrollment: { completedLessonCount: number; completions: null } } },
        object
      >(
        'mutation($i: CompleteLessonInput!) { completeLesson(input: $i) { ... on CompleteLessonPayload { version ' +
          'enrollment { completedLessonCount completions { nodes { attempt } } } } } }',
        { i: { lessonId: globalId('Lesson', taken.lesson(1)) } },
        fresh.token,
      )
      if (how === 'terminated') {
        const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
          and wait_event_type = 'Lock' and query like '%"CourseCompletion"%'`
        await vi.waitFor(async () => expect(await w.query(terminate)).not.toEqual([]), { timeout: 8_000 })
      }
      const { data, errors } = await answer
      expect(data.completeLesson).toEqual({ version: 2, enrollment: { completedLessonCount: 1, completions: null } })
      expect(errors).toMatchObject([
        {
          path: ['completeLesson', 'enrollment', 'completions'],
          message: expect.stringMatching(/may have been carried out: look, or ask again with the same idempotencyKey/),
          extensions: { code: how === 'terminated' ? 'UNAVAILABLE' : 'QUERY_TOO_SLOW' },
        },
      ])
      expect(JSON.stringify(errors)).not.toMatch(/nothing was changed/i)
    } finally {
      await release()
    }
  },
)

describe('our insides stay ours', () => {
  const insides = /node_modules|\bat [\w.<>]+ \(|\.[tj]s:\d|stack/

  test.each(['[', 'a b', '%', 'x:99999'])('with the host %s', async (host) => {
    const own = await logged()
    const answer = await bytes(
      own.port,
      `GET /graphql?query={__typename} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/"code":"BAD_REQUEST"/)
    expect(answer).not.toMatch(insides)
  })

  test('with JSON that is none', async () => {
    const text = await (
      await fetch(`${api.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"query": ',
      })
    ).text()
    expect(JSON.parse(text)).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] })
    expect(text).not.toMatch(/originalError/)
    expect(text).not.toMatch(insides)
  })

  test.each(['Nope', 'EnrollPayload', 'Node'])('with the id of a %s', async (typename) => {
    for (const query of ['query($id: ID!) { node(id: $id) { id } }', 'query($id: ID!) { nodes(ids: [$id]) { id } }']) {
      const { errors } = await api.ask(query, { id: globalId(typename, 'x') }, learner.token)
      expect(errors).toMatchObject([
        {
          message: expect.stringContaining('Wanted is an id that a query returned'),
          extensions: { code: 'BAD_REQUEST' },
        },
      ])
      expect(JSON.stringify(errors)).not.toMatch(/implemented|support/)
    }
  })

  test('and a body that is cut off is no error of ours', async () => {
    const own = await logged()
    await bytes(
      own.port,
      'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
      200,
    )
    const left = () => own.lines.filter(({ msg }) => /client went away/.test(msg))
    await vi.waitFor(() => expect(left()).toMatchObject([{ level: 20 }]), { timeout: 10_000 })
    expect(own.lines.filter(({ level }) => level >= 50)).toEqual([])
  })
})
