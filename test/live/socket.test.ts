import { randomBytes, randomUUID } from 'node:crypto'
import { subscribe as listen } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { getIntrospectionQuery } from 'graphql'
import pino from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import WebSocket, { type ClientOptions } from 'ws'
import { parseConfig } from '../../src/operator/config.ts'
import { endSession } from '../../src/identity/endSession.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf } from '../../src/identity/userAggregate.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { Sockets } from '../../src/live/sockets.ts'
import { startServer } from '../../src/server/server.ts'
import { academy, type Person, system } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { ENROLLMENT, socketClient, subscribe, subscribeEvents as streamEvents, type Told } from './client.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)

const PROTOCOL = 'graphql-transport-ws'
const MEBIBYTE = 1_048_576

interface Problem {
  readonly message: string
  readonly extensions?: { readonly code?: string }
}
interface Message {
  readonly id: string
  readonly type: string
  readonly payload: {
    readonly data?: Record<string, never> | null
    readonly errors?: readonly Problem[]
  } & readonly Problem[]
}

/** Resolves as soon as it is so; asked again at each of `ring`'s calls, and ten times a second. */
async function until<T>(
  found: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  ms = 10_000,
  ring?: Set<() => void>,
): Promise<T> {
  for (const late = performance.now() + ms; ; ) {
    const answer = await found()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > late) throw new Error(`Not in ${ms} ms: ${what}`)
    await new Promise<void>((resolve) => {
      const go = () => {
        clearTimeout(timer)
        ring?.delete(go)
        resolve()
      }
      const timer = setTimeout(go, 100)
      ring?.add(go)
    })
  }
}

/** What a test that failed left open would make the next one fail. */
const open = new Set<() => void>()
afterEach(() => {
  for (const end of open) end()
  open.clear()
})
const subscribeEvents: typeof streamEvents = (...args) => {
  const stream = streamEvents(...args) as ReturnType<typeof streamEvents<never>>
  open.add(stream.stop)
  return stream
}

const addressOf = (url: string) => `${url.replace('http', 'ws')}/graphql`
const bearer = (token: string) => `Bearer ${token}`

/** A socket on which every message can be said, and is kept. */
async function talk(url: string, options: ClientOptions & { protocols?: string[] } = {}) {
  const socket = new WebSocket(addressOf(url), options.protocols ?? [PROTOCOL], options)
  open.add(() => socket.terminate())
  const messages: Message[] = []
  const ring = new Set<() => void>()
  const changed = () => {
    for (const go of ring) go()
  }
  let closed: { code: number; reason: string } | undefined
  socket.on('error', () => {})
  socket.on('message', (data) => {
    messages.push(JSON.parse(String(data)) as Message)
    changed()
  })
  socket.on('close', (code, reason) => {
    closed = { code, reason: String(reason) }
    changed()
  })
  await once(socket, 'open')
  const say = (message: object | string) => socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  const t = {
    socket,
    messages,
    say,
    get isOpen() {
      return socket.readyState === WebSocket.OPEN
    },
    until: <T>(found: () => T | undefined | false, what: string, ms?: number) =>
      until(
        () =>
          found() ||
          (closed && Promise.reject(new Error(`${what}: closed with ${JSON.stringify(closed)}`))) ||
          undefined,
        what,
        ms,
        ring,
      ),
    closed: (ms?: number) => until(() => closed, `closed; ${JSON.stringify(messages.slice(-3))}`, ms, ring),
    /** Signs in, and waits until that is acknowledged. */
    async init(token?: string) {
      say({ type: 'connection_init', ...(token && { payload: { Authorization: bearer(token) } }) })
      await t.until(() => messages.some(({ type }) => type === 'connection_ack'), 'connection_ack')
      return t
    },
    begin(id: string, query: string, variables?: object, more?: object) {
      say({ id, type: 'subscribe', payload: { query, variables, ...more } })
    },
    of: (id: string) => messages.filter((message) => message.id === id),
    /** All that is answered to an operation that ends. */
    async ask(query: string, variables?: object, more?: object) {
      const id = randomUUID()
      t.begin(id, query, variables, more)
      await t.until(
        () => t.of(id).find(({ type }) => type === 'complete' || type === 'error'),
        `the end of ${query.slice(0, 100)}`,
      )
      const [first] = t.of(id)
      return { id, messages: t.of(id), ...(first!.type === 'error' ? { errors: first!.payload } : first!.payload) } as {
        id: string
        messages: Message[]
        data?: Record<string, Record<string, unknown> | null> | null
        errors?: readonly Problem[]
      }
    },
    /** Watches an enrollment, and resolves when its present has come. */
    async watch(id: string, enrollmentId: string, more?: object) {
      t.begin(id, ENROLLMENT, { id: enrollmentId }, more)
      await t.until(() => t.of(id).length > 0, `the present of ${id}`)
      expect(t.of(id)[0]).toMatchObject({
        type: 'next',
        payload: { data: { enrollmentUpdates: { __typename: 'EnrollmentSnapshot' } } },
      })
    },
    versions: (id: string) =>
      t
        .of(id)
        .map(
          ({ payload }) =>
            (payload.data as unknown as { enrollmentUpdates: Told } | undefined)?.enrollmentUpdates.version,
        ),
  }
  return t
}
type Talk = Awaited<ReturnType<typeof talk>>

/** How the server answers somebody who wants to connect. */
function knock(url: string, options: ClientOptions = {}): Promise<number> {
  const socket = new WebSocket(url, [PROTOCOL], options)
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.close()
      resolve(101)
    })
    socket.once('unexpected-response', (_, response) => {
      resolve(response.statusCode!)
      response.destroy()
    })
    socket.once('error', reject)
  })
}

/** Somebody who is enrolled, and whose enrollment changes when it is wanted. */
async function enrolled(who?: Person) {
  const learner = who ?? (await person())
  const taken = await course(40)
  payload(await api.enroll(learner.token, taken.id))
  const id = globalId('Enrollment', enrollmentOf(learner.id, taken.id))
  let done = 0
  return {
    ...{ learner, taken, id, token: learner.token },
    /** One change; answers with the version that it made. */
    change: async () => payload(await api.complete(learner.token, taken.lesson(++done))).version,
  }
}
type Enrolled = Awaited<ReturnType<typeof enrolled>>

/** Somebody else on this socket is told what happens, as before. */
async function goesOn(t: Talk, id: string, watched: Enrolled) {
  const version = await watched.change()
  await t.until(() => t.versions(id).includes(version), `version ${version} for ${id}, beside what went wrong`)
  const versions = t.versions(id)
  expect(versions).toEqual(versions.map((_, i) => versions[0]! + i))
}

async function count(url: string, name: 'connections' | 'subscriptions'): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^lockstep_live_${name} (\\d+)$`, 'm').exec(text)![1])
}
const empty = (url: string) =>
  until(
    async () => (await count(url, 'connections')) === 0 && (await count(url, 'subscriptions')) === 0,
    'nobody is there any more',
  )

/** Nothing of our insides. */
const insides =
  /prisma|postgres|sqlstate|select .* from|insert |node_modules|\.ts:|\.js:|at Object|stack|originalError|"http"|Something went wrong/i
function understandable(errors: readonly Problem[] | undefined, code: RegExp | string = /^(?!INTERNAL)[A-Z_]+$/) {
  expect(errors?.length).toBeGreaterThan(0)
  for (const { message, extensions } of errors!) {
    expect(message.length).toBeGreaterThan(10)
    expect(extensions?.code).toMatch(code)
  }
  expect(JSON.stringify(errors)).not.toMatch(insides)
}

/** A session that lasts so long. */
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

/** Nobody is told whose session it is until this is released. */
async function locked() {
  const holder = await w.psql.connect()
  await holder.query('begin; lock table "Session" in access exclusive mode')
  return {
    isMet: (times: number) =>
      until(async () => {
        const [waiting] = await w.query<{ count: number }>(
          `select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
            and query like '%"Session"%'`,
        )
        return waiting!.count >= times
      }, 'they wait'),
    async release() {
      await holder.query('commit')
      holder.release()
    },
  }
}

/** A connection of bytes, after the handshake. */
async function bytes(url: string, headers: Record<string, string> = {}) {
  const { hostname, port, host } = new URL(url)
  const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  open.add(() => socket.destroy())
  let received = Buffer.alloc(0)
  const ring = new Set<() => void>()
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    for (const go of ring) go()
  })
  socket.on('close', () => {
    for (const go of ring) go()
  })
  const all = {
    host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-protocol': PROTOCOL,
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  await once(socket, 'connect')
  return {
    socket,
    head: `GET /graphql HTTP/1.1\r\n${lines.join('')}\r\n`,
    get received() {
      return received
    },
    /** Resolves with the status, and what came behind the head. */
    answer: () =>
      until(
        () => {
          const end = received.indexOf('\r\n\r\n')
          return (
            end >= 0 && { status: Number(received.subarray(9, 12).toString()), rest: () => received.subarray(end + 4) }
          )
        },
        'an answer',
        5_000,
        ring,
      ),
    until: (found: () => boolean, what: string) => until(found, what, 10_000, ring),
  }
}

/** A frame as a client sends it, masked with zeros; `length` may promise more than there is. */
function frame(opcode: number, data: Buffer, { fin = true, length = data.length } = {}) {
  const head = Buffer.alloc(14)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0x80 | 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, data])
}
/** The code in a close frame. */
const closeCode = (data: Buffer) => (data.length >= 4 && data[0] === 0x88 ? data.readUInt16BE(2) : undefined)

describe('who may connect', () => {
  const { host } = new URL(api.url)
  test.each<[string, string | undefined, number]>([
    ['no page', undefined, 101],
    ['a page of this server', `http://${host}`, 101],
    ['the same by TLS, which ended before us', `https://${host}`, 101],
    ['another site', 'https://evil.example', 403],
    ['another port', `http://127.0.0.1:${Number(new URL(api.url).port) + 1}`, 403],
    ['a site whose name begins like ours', `http://${host}.evil.example`, 403],
    ['a page without an origin of its own', 'null', 403],
    ['what is no origin', '%', 403],
  ])('%s: %s is answered %d', async (_, origin, status) => {
    expect(await knock(addressOf(api.url), origin ? { headers: { origin } } : {})).toBe(status)
    await empty(api.url)
  })

  test('CORS_ORIGINS lets those in that it names, and `*` everybody', async () => {
    const named = await serve(w, { CORS_ORIGINS: 'https://app.example.com,https://b.example.com' })
    const from = (url: string, origin: string) => knock(addressOf(url), { headers: { origin } })
    expect(await from(named.url, 'https://app.example.com')).toBe(101)
    expect(await from(named.url, 'https://b.example.com')).toBe(101)
    expect(await from(named.url, named.url)).toBe(101)
    expect(await from(named.url, 'https://evil.example')).toBe(403)
    expect(await from(named.url, 'http://app.example.com')).toBe(403)
    const all = await serve(w, { CORS_ORIGINS: '*' })
    expect(await from(all.url, 'https://evil.example')).toBe(101)
  })

  test.each([
    ['/graphql?x=1', 101],
    ['/', 404],
    ['/graphql/x', 404],
    ['/metrics', 404],
  ])('at %s: %d', async (path, status) => {
    expect(await knock(api.url.replace('http', 'ws') + path)).toBe(status)
  })

  test('an upgrade to something else is answered 426', async () => {
    const request = httpRequest(`${api.url}/graphql`, { headers: { connection: 'Upgrade', upgrade: 'something/2' } })
    request.end()
    const [response] = await once(request, 'response')
    expect(response.statusCode).toBe(426)
    response.destroy()
  })

  test('whoever speaks no protocol of ours is closed with 4406', async () => {
    const none = await talk(api.url, { protocols: [] })
    expect(await none.closed()).toMatchObject({ code: 4406 })
    const legacy = await bytes(api.url, { 'sec-websocket-protocol': 'graphql-ws' })
    legacy.socket.write(legacy.head)
    const { status, rest } = await legacy.answer()
    expect(status).toBe(101)
    await legacy.until(() => closeCode(rest()) === 4406, 'a close frame with 4406')
    legacy.socket.destroy()
    await empty(api.url)
  })

  test('before the database is there: 503', async () => {
    const server = await startServer({ config: parseConfig({ PORT: '0' }), log: pino({ level: 'silent' }) })
    expect(await knock(`ws://127.0.0.1:${server.address.port}/graphql`)).toBe(503)
    await server.drain()
  })

  test('while the server drains: 503', async () => {
    const own = await serve(w)
    const late = await bytes(own.url)
    late.socket.write(late.head.slice(0, 30)) // it began before
    const stays = await bytes(own.url)
    stays.socket.write(stays.head) // and this one never hears that the server goes, so that there is time
    await stays.answer()
    const drained = own.server.drain()
    late.socket.write(late.head.slice(30))
    expect((await late.answer()).status).toBe(503)
    late.socket.destroy()
    await drained
    stays.socket.destroy()
  })

  test('whoever was refused and does not hang up is hung up on', async () => {
    const refused = await bytes(api.url, { origin: 'https://evil.example' })
    refused.socket.write(refused.head)
    expect((await refused.answer()).status).toBe(403)
    let gone = false
    refused.socket.once('close', () => (gone = true))
    await refused.until(() => {
      refused.socket.write('x') // into nothing, when the other side has gone: that is how one hears of it
      return gone
    }, 'the connection is given up')
  })
})

describe('a message that is too large', () => {
  test('closes its socket with 1009, and no other', async () => {
    const watched = await enrolled()
    const other = await (await talk(api.url)).init(watched.token)
    await other.watch('sibling', watched.id)
    for (const size of [MEBIBYTE + 1, 10_000_000]) {
      const large = await (await talk(api.url)).init(watched.token)
      large.say('x'.repeat(size))
      expect(await large.closed()).toMatchObject({ code: 1009 })
    }
    const early = await talk(api.url)
    early.say('x'.repeat(MEBIBYTE + 1))
    expect(await early.closed()).toMatchObject({ code: 1009 })
    await goesOn(other, 'sibling', watched)
    other.socket.close()
    await empty(api.url)
  })

  test('has more than a mebibyte, and one of a mebibyte is answered', async () => {
    const t = await (await talk(api.url)).init()
    const message = (fill: string) =>
      JSON.stringify({ id: 'x', type: 'subscribe', payload: { query: '{ __typename }', extensions: { fill } } })
    t.say(message('y'.repeat(MEBIBYTE - message('').length)))
    await t.until(() => t.of('x')[1], 'an answer')
    expect(t.of('x')).toMatchObject([
      { type: 'next', payload: { data: { __typename: 'Query' } } },
      { type: 'complete' },
    ])
    t.socket.close()
  })

  test.each([
    ['announced', 1],
    ['in fragments', 160],
  ])('takes no room, though it never comes to its end: %s', async (_, pieces) => {
    const before = process.memoryUsage()
    const piece = Buffer.alloc(10_485_760 / pieces, 'x')
    const framed = [
      frame(1, piece, pieces === 1 ? { length: 99_000_000 } : { fin: false }),
      ...Array.from({ length: pieces - 1 }, () => frame(0, piece, { fin: false })),
    ]
    const all = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const one = await bytes(api.url)
        one.socket.write(one.head)
        const { rest } = await one.answer()
        for (const each of framed) one.socket.write(each)
        await one.until(() => closeCode(rest()) === 1009, 'a close frame with 1009')
        return one
      }),
    )
    const after = process.memoryUsage()
    expect((after.external - before.external) / MEBIBYTE).toBeLessThan(80) // of 200
    for (const { socket } of all) socket.destroy()
    await empty(api.url)
  })

  test('nor do answers that nobody reads', async () => {
    const deaf = await bytes(api.url)
    deaf.socket.write(deaf.head)
    await deaf.answer()
    deaf.socket.pause()
    deaf.socket.setMaxListeners(0)
    const ping = frame(1, Buffer.from(JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(1_000_000) } })))
    const before = process.memoryUsage()
    let taken = 0
    for (; taken < 200 && !deaf.socket.destroyed; taken++) {
      if (deaf.socket.write(ping)) continue
      const isTaken = await Promise.race([
        once(deaf.socket, 'drain').then(() => true),
        once(deaf.socket, 'close').then(() => false),
        new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, false)),
      ])
      if (!isTaken) break // the server takes no more
    }
    const { external, heapUsed } = process.memoryUsage()
    expect((external + heapUsed - before.external - before.heapUsed) / MEBIBYTE).toBeLessThan(100)
    expect(taken).toBeLessThan(100)
    deaf.socket.destroy()
    await empty(api.url)
  })
})

describe('how many there may be', () => {
  test(
    'LIVE_CONNECTIONS: sockets and event streams together, the next is refused, and there is room again when ' +
      'one leaves',
    async () => {
      const own = await serve(w, { LIVE_CONNECTIONS: '3' })
      const watched = await enrolled()
      const first = await (await talk(own.url)).init(watched.token)
      await first.watch('sibling', watched.id)
      const second = await talk(own.url)
      const stream = subscribeEvents<{ enrollmentUpdates: Told }>(
        own.url,
        ENROLLMENT,
        { id: watched.id },
        watched.token,
      )
      await stream.until(1)
      expect(await knock(addressOf(own.url))).toBe(503)
      const refused = subscribeEvents(own.url, ENROLLMENT, { id: watched.id }, watched.token)
      await refused.end()
      expect(refused.items).toEqual([])
      understandable(refused.errors.flat() as Problem[], 'TOO_MANY_CONNECTIONS')
      // what is no connection for long is not counted
      expect((await own.ask('{ __typename }', {})).data).toEqual({ __typename: 'Query' })

      second.socket.close()
      await until(async () => (await count(own.url, 'connections')) === 1, 'the socket is gone')
      const third = subscribeEvents(own.url, ENROLLMENT, { id: watched.id }, watched.token)
      await third.until(1)
      expect(await knock(addressOf(own.url))).toBe(503)
      third.stop()
      await until(async () => (await count(own.url, 'subscriptions')) === 2, 'the stream is gone')
      expect(await knock(addressOf(own.url))).toBe(101)
      await goesOn(first, 'sibling', watched)
      stream.stop()
      first.socket.close()
      await empty(own.url)
    },
  )

  test('LIVE_CONNECTIONS holds for those, too, who come at once', async () => {
    const own = await serve(w, { LIVE_CONNECTIONS: '3' })
    const { id, token } = await enrolled()
    const lock = await locked() // none is told who they are until all have come
    const streams = Array.from({ length: 20 }, () => subscribeEvents(own.url, ENROLLMENT, { id }, token))
    await lock.isMet(2)
    await lock.release()
    await until(() => streams.every(({ items, ended }) => items.length || ended), 'each is let in or refused')
    expect(streams.filter(({ items }) => items.length)).toHaveLength(3)
    for (const { errors } of streams.filter(({ items }) => !items.length))
      understandable(errors.flat() as Problem[], 'TOO_MANY_CONNECTIONS')
    for (const { stop } of streams) stop()
    await empty(own.url)
    const knocks = await Promise.all(Array.from({ length: 10 }, () => talk(own.url).catch(() => undefined)))
    expect(knocks.filter((each) => each?.isOpen)).toHaveLength(3)
    for (const each of knocks) each?.socket.terminate()
    await empty(own.url)
  })

  test(
    'LIVE_SUBSCRIPTIONS_PER_CONNECTION: one more is refused, the others go on, and there is room again when ' +
      'one ends',
    async () => {
      const own = await serve(w, { LIVE_SUBSCRIPTIONS_PER_CONNECTION: '3' })
      const watched = await enrolled()
      const t = await (await talk(own.url)).init(watched.token)
      for (const id of ['a', 'b', 'c']) await t.watch(id, watched.id)
      for (const id of ['d', 'e']) {
        t.begin(id, ENROLLMENT, { id: watched.id })
        await t.until(() => t.of(id).length > 0, 'an answer')
        expect(t.of(id)).toMatchObject([{ type: 'error' }])
        understandable(t.of(id)[0]!.payload, 'TOO_MANY_SUBSCRIPTIONS')
      }
      const other = await (await talk(own.url)).init(watched.token)
      await other.watch('a', watched.id)
      for (const id of ['a', 'b', 'c']) await goesOn(t, id, watched)
      expect(await count(own.url, 'subscriptions')).toBe(4)

      t.say({ id: 'b', type: 'complete' })
      await t.watch('f', watched.id)
      expect(await count(own.url, 'subscriptions')).toBe(4)
      await goesOn(t, 'f', watched)
      for (const { socket } of [t, other]) socket.close()
      await empty(own.url)
    },
  )

  test('LIVE_SUBSCRIPTIONS_PER_USER: over all connections of one user, and nobody else', async () => {
    const own = await serve(w, { LIVE_SUBSCRIPTIONS_PER_USER: '3' })
    const [watched, other] = [await enrolled(), await enrolled()]
    const all = await Promise.all([1, 2, 3].map(async () => (await talk(own.url)).init(watched.token)))
    for (const t of all.slice(0, 2)) await t.watch('a', watched.id)
    const stream = subscribeEvents(own.url, ENROLLMENT, { id: watched.id }, watched.token)
    await stream.until(1)
    for (const t of all) {
      t.begin('more', ENROLLMENT, { id: watched.id })
      await t.until(() => t.of('more').length > 0, 'an answer')
      expect(t.of('more')).toMatchObject([{ type: 'error' }])
      understandable(t.of('more')[0]!.payload, 'TOO_MANY_SUBSCRIPTIONS')
    }
    const refused = subscribeEvents(own.url, ENROLLMENT, { id: watched.id }, watched.token)
    await refused.end()
    understandable(refused.errors.flat() as Problem[], 'TOO_MANY_SUBSCRIPTIONS')
    const theirs = await (await talk(own.url)).init(other.token)
    await theirs.watch('a', other.id)
    await goesOn(all[0]!, 'a', watched)
    await goesOn(all[1]!, 'a', watched)

    all[0]!.socket.terminate()
    await until(async () => (await count(own.url, 'subscriptions')) === 3, 'one has left')
    await all[2]!.watch('again', watched.id)
    stream.stop()
    for (const { socket } of [...all, theirs]) socket.close()
    await empty(own.url)
  })
})

describe('the protocol', () => {
  test('who never says connection_init is closed with 4408, and who says it is not', async () => {
    const [silent, signed] = [await talk(api.url), await (await talk(api.url)).init()]
    expect(await silent.closed(20_000)).toMatchObject({ code: 4408 }) // after 10 s
    expect((await signed.ask('{ __typename }')).data).toEqual({ __typename: 'Query' })
    signed.socket.close()
  })

  test.each<[string, number, (t: Talk, token: string, id: string) => unknown]>([
    ['connection_init twice at once', 4429, (t) => [1, 2].map(() => t.say({ type: 'connection_init' }))],
    ['connection_init again later', 4429, async (t) => (await t.init()).say({ type: 'connection_init' })],
    ['subscribe without connection_init', 4401, (t) => t.begin('a', '{ __typename }')],
    [
      'subscribe before the connection_ack',
      4401,
      (t, token) => {
        t.say({ type: 'connection_init', payload: { Authorization: bearer(token) } })
        t.begin('a', '{ __typename }')
      },
    ],
    [
      'an id that is taken',
      4409,
      async (t, token, id) => {
        await t.init(token)
        await t.watch('a', id)
        t.begin('a', '{ __typename }')
      },
    ],
    [
      'an id that is taken, and longer than a reason may be',
      4409,
      async (t, token, id) => {
        await t.init(token)
        const long = 'é'.repeat(300)
        await t.watch(long, id)
        t.begin(long, '{ __typename }')
      },
    ],
    ['what is no JSON', 4400, (t) => t.say('{')],
    ['what is no JSON, after connection_ack', 4400, async (t) => (await t.init()).say('hello')],
    ['null', 4400, async (t) => (await t.init()).say('null')],
    ['brackets without an end', 4400, async (t) => (await t.init()).say('['.repeat(500_000))],
    ['bytes', 4400, async (t) => (await t.init()).socket.send(Buffer.from([1, 2, 3]))],
    ['a type that there is not', 4400, async (t) => (await t.init()).say({ type: 'start', id: 'a' })],
    [
      'subscribe without an id',
      4400,
      async (t) => (await t.init()).say({ type: 'subscribe', payload: { query: '{ __typename }' } }),
    ],
    ['subscribe without a query', 4400, async (t) => (await t.init()).say({ type: 'subscribe', id: 'a', payload: {} })],
    ['variables that are a list', 4400, async (t) => (await t.init()).begin('a', '{ __typename }', [1])],
  ])('%s: closed with %d, and the others go on', async (_, code, misbehave) => {
    const watched = await enrolled()
    const other = await (await talk(api.url)).init(watched.token)
    await other.watch('sibling', watched.id)
    const t = await talk(api.url)
    await misbehave(t, watched.token, watched.id)
    const closed = await t.closed()
    expect(closed.code).toBe(code)
    expect(closed.reason).not.toMatch(insides)
    await goesOn(other, 'sibling', watched)
    other.socket.close()
    await empty(api.url)
  })

  test('a ping is answered with its payload, at any time', async () => {
    const t = await talk(api.url)
    t.say({ type: 'ping', payload: { a: 1 } })
    await t.until(() => t.messages.length, 'a pong')
    await t.init()
    t.say({ type: 'ping' })
    await t.until(() => t.messages.length === 3, 'another')
    expect(t.messages).toEqual([{ type: 'pong', payload: { a: 1 } }, { type: 'connection_ack' }, { type: 'pong' }])
    t.socket.close()
  })

  test('who answers no ping is let go, and who does stays', async () => {
    const sockets = new Sockets({
      prepare: () => Promise.resolve([]),
      viewerOf: () => Promise.resolve(null),
      origins: { admits: () => true },
      maxPayload: MEBIBYTE,
      room: () => true,
      perConnection: 100,
      log: pino({ level: 'silent' }),
      pingMs: 500,
    })
    const server = createServer().on('upgrade', sockets.upgrade).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const [there, gone] = await Promise.all([talk(url), talk(url, { autoPong: false })])
    let pings = 0
    there.socket.on('ping', () => pings++)
    expect(sockets.count).toBe(2)
    expect(await gone.closed()).toMatchObject({ code: 1006 })
    await until(() => pings >= 10, 'ten pings')
    expect(there.isOpen).toBe(true)
    expect(sockets.count).toBe(1)
    sockets.close()
    expect(await there.closed()).toMatchObject({ code: 1001 })
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('who is there', () => {
  const WHO = '{ viewer { name } }'

  test('a token that opens nothing: 4401', async () => {
    for (const token of ['nonsense', '', 'x'.repeat(10_000)]) {
      const t = await talk(api.url)
      t.say({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } })
      expect(await t.closed()).toMatchObject({ code: 4401 })
      expect(t.messages).toEqual([])
    }
    await empty(api.url)
  })

  test('no token: what needs none is answered, and a subscription is refused', async () => {
    const { id } = await enrolled()
    const t = await (await talk(api.url)).init()
    expect(await t.ask(WHO)).toMatchObject({ data: { viewer: null } })
    understandable((await t.ask(ENROLLMENT, { id })).errors, 'UNAUTHENTICATED')
    expect(t.isOpen).toBe(true)
    t.socket.close()
    await empty(api.url)
  })

  test('a token may come as a header of the upgrade, and one of connection_init goes before it', async () => {
    const [ann, bob] = [await person('LEARNER', 'ann'), await person('LEARNER', 'bob')]
    const headers = { authorization: bearer(ann.token) }
    const t = await (await talk(api.url, { headers })).init()
    expect((await t.ask(WHO)).data).toEqual({ viewer: { name: 'ann' } })
    const other = await (await talk(api.url, { headers })).init(bob.token)
    expect((await other.ask(WHO)).data).toEqual({ viewer: { name: 'bob' } })
    for (const { socket } of [t, other]) socket.close()
  })

  test.each(['authorization', 'AUTHORIZATION'])('a token is found by the name %s', async (name) => {
    const { token } = await person('LEARNER', 'ann')
    const t = await talk(api.url)
    t.say({ type: 'connection_init', payload: { [name]: bearer(token) } })
    await t.until(() => t.messages.length, 'connection_ack')
    expect((await t.ask(WHO)).data).toEqual({ viewer: { name: 'ann' } })
    t.socket.close()
  })

  test('a token of one operation is used for that one, and for no other', async () => {
    const [ann, watched] = [await person('LEARNER', 'ann'), await enrolled(await person('LEARNER', 'bob'))]
    const own = (token: string) => ({ extensions: { headers: { Authorization: bearer(token) } } })
    for (const token of [undefined, ann.token]) {
      const t = await (await talk(api.url)).init(token)
      const [mine, theirs, after] = await Promise.all([t.ask(WHO), t.ask(WHO, {}, own(watched.token)), t.ask(WHO)])
      expect(mine.data).toEqual({ viewer: token ? { name: 'ann' } : null })
      expect(theirs.data).toEqual({ viewer: { name: 'bob' } })
      expect(after.data).toEqual(mine.data)
      await t.watch('theirs', watched.id, own(watched.token))
      understandable((await t.ask(ENROLLMENT, { id: watched.id })).errors, token ? 'NOT_FOUND' : 'UNAUTHENTICATED')
      understandable((await t.ask(WHO, {}, own('nonsense'))).errors, 'UNAUTHENTICATED')
      await goesOn(t, 'theirs', watched)
      t.socket.close()
    }
    await empty(api.url)
  })

  test('when the session of one operation ends, that one ends, and the others go on', async () => {
    const [watched, other] = [await enrolled(), await enrolled()]
    const { token, end } = await session(other.learner.id, 3_600_000)
    const t = await (await talk(api.url)).init(watched.token)
    await t.watch('sibling', watched.id)
    await t.watch('own', other.id, { extensions: { headers: { Authorization: bearer(token) } } })
    await end()
    const ended = await t.until(() => t.of('own').find(({ type }) => type === 'error'), 'its end')
    understandable(ended.payload, 'UNAUTHENTICATED')
    await goesOn(t, 'sibling', watched)
    t.socket.close()
    await empty(api.url)
  })

  test.each(['while something is watched', 'while nothing is'])(
    'when the session runs out %s, the socket is closed with 4401, not before',
    async (how) => {
      const { learner, id } = await enrolled()
      const [ends, { token }] = [Date.now() + 5_000, await session(learner.id, 5_000)]
      const t = await (await talk(api.url)).init(token)
      if (how === 'while something is watched') await t.watch('a', id)
      expect((await t.ask(WHO)).data).toEqual({ viewer: { name: 'learner' } })
      expect(await t.closed()).toMatchObject({ code: 4401, reason: 'The session has ended.' })
      expect(Date.now() - ends).toBeGreaterThan(-50)
      expect(Date.now() - ends).toBeLessThan(1_500)
      await empty(api.url)
    },
  )

  test(
    'when the session is ended while something is watched, that is told, nothing more is, and the socket ' +
      'is closed ' +
      'with 4401',
    async () => {
      const watched = await enrolled()
      const { token, end } = await session(watched.learner.id, 3_600_000)
      const [t, stays] = [await (await talk(api.url)).init(token), await (await talk(api.url)).init(watched.token)]
      for (const one of [t, stays]) await one.watch('a', watched.id)
      await end()
      expect(await t.closed()).toMatchObject({ code: 4401 })
      expect(t.of('a').map(({ type }) => type)).toEqual(['next', 'error'])
      understandable(t.of('a')[1]!.payload, 'UNAUTHENTICATED')
      await goesOn(stays, 'a', watched)
      const again = await talk(api.url)
      again.say({ type: 'connection_init', payload: { Authorization: bearer(token) } })
      expect(await again.closed()).toMatchObject({ code: 4401 })
      stays.socket.close()
      await empty(api.url)
    },
  )

  test(
    'when the session is ended while nothing is watched, the next operation is refused and the socket closed ' +
      'with 4401',
    async () => {
      const { learner, taken } = await enrolled()
      const { token, end } = await session(learner.id, 3_600_000)
      const t = await (await talk(api.url)).init(token)
      await end()
      t.begin('late', 'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }', {
        id: globalId('Lesson', taken.lesson(1)),
      })
      expect(await t.closed()).toMatchObject({ code: 4401 })
      expect(t.of('late').filter(({ type }) => type === 'next')).toEqual([])
      expect(await w.history('Enrollment', enrollmentOf(learner.id, taken.id))).toHaveLength(1)
    },
  )
})

const nested = (levels: number) =>
  `{ viewer { ${'enrollments(first: 1) { edges { node { learner { '.repeat(levels / 4)} id
    ${'} } } }'.repeat(levels / 4)} } }`
const inChange = (selection: string) =>
  `subscription($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ... on EnrollmentChange { ${selection} } } }`

describe('an operation that is refused is told why, and the others on its socket go on', () => {
  const DEEP = '['.repeat(200_000) + ']'.repeat(200_000)
  test.each<[string, RegExp, string, Record<string, unknown>?, object?]>([
    ['a syntax error', /^(BAD_REQUEST|GRAPHQL_PARSE_FAILED)$/, '{ viewer {'],
    ['nothing', /^(BAD_REQUEST|GRAPHQL_PARSE_FAILED)$/, ''],
    ['a field that there is not', /./, '{ nothing }'],
    ['a subscription of nothing', /./, 'subscription { nothing }'],
    [
      'two subscriptions in one',
      /./,
      'subscription($id: ID!) { a: enrollmentUpdates(enrollmentId: $id) { __typename } b: ' +
        'enrollmentUpdates(enrollmentId: $id) { __typename } }',
    ],
    ['an operation name that there is not', /^BAD_REQUEST$/, 'query A { __typename }', {}, { operationName: 'B' }],
    ['two operations and no name', /^BAD_REQUEST$/, 'query A { __typename } query B { __typename }'],
    ['an object for an ID', /^BAD_REQUEST$/, ENROLLMENT, { id: { a: 1 } }],
    ['no variable where one is needed', /^BAD_REQUEST$/, ENROLLMENT, {}],
    [
      'a list for an ID of a mutation',
      /^BAD_REQUEST$/,
      'mutation($id: ID!) { completeLesson(input: {lessonId: $id}) { __typename } }',
      { id: ['x'] },
    ],
    ['garbage for a cursor', /^BAD_REQUEST$/, ENROLLMENT, { id: 'OWN', after: 'x' }],
    [
      'garbage for a cursor, written out',
      /^[A-Z_]+$/,
      'subscription($id: ID!) { enrollmentUpdates(enrollmentId: $id, after: "x") { __typename } }',
      { id: 'OWN' },
    ],
    ['a number for a cursor', /^BAD_REQUEST$/, ENROLLMENT, { id: 'OWN', after: 5 }],
    ['an id that is none', /^(BAD_REQUEST|INVALID_INPUT)$/, ENROLLMENT, { id: 'x' }],
    ['an id of something else', /^(BAD_REQUEST|INVALID_INPUT)$/, ENROLLMENT, { id: globalId('Course', 'x') }],
    ['an id that has a NUL', /./, ENROLLMENT, { id: globalId('Enrollment', 'a\0b.c') }],
    ['what is not there', /^NOT_FOUND$/, ENROLLMENT, { id: globalId('Enrollment', 'nobody.nothing') }],
    ['40 levels', /./, nested(40)],
    ['31 aliases', /./, `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: viewer { id }`).join(' ')} }`],
    ['2,100 tokens', /./, `{ viewer { ${'id '.repeat(2_100)} } }`],
    ['31 directives', /./, `{ viewer { id ${'@include(if: true) '.repeat(31)} } }`],
    [
      'pages of pages of pages',
      /./,
      '{ courses(first: 100) { edges { node { lessons(first: 100) { edges { node { requires { nodes { requires { ' +
        'nodes { requires { nodes { id } } } } } } } } } } } } }',
    ],
    [
      '40 levels in a subscription',
      /./,
      inChange(
        `enrollment { ${'learner { enrollments(first: 1) { edges { node { '.repeat(9)} id ${'} } } }'.repeat(9)} }`,
      ),
      { id: 'OWN' },
    ],
    [
      '31 aliases in a subscription',
      /./,
      inChange(Array.from({ length: 31 }, (_, i) => `a${i}: version`).join(' ')),
      { id: 'OWN' },
    ],
    ['2,100 tokens in a subscription', /./, inChange('version '.repeat(2_100)), { id: 'OWN' }],
    [
      'pages of pages of pages in a subscription',
      /^QUERY_TOO_EXPENSIVE$/,
      inChange(
        'enrollment { course { lessons { edges { node { requires { nodes { requires { nodes { ' +
          'requires { nodes { id } } } } } } } } } } }',
      ),
      { id: 'OWN' },
    ],
    ['a variable that is all depth, for an ID', /./, ENROLLMENT, { id: 'DEEP' }],
  ])('%s', async (_, code, query, variables = {}, more = {}) => {
    const watched = await enrolled()
    const t = await (await talk(api.url)).init(watched.token)
    await t.watch('sibling', watched.id)
    const given = variables.id === 'OWN' ? { ...variables, id: watched.id } : variables
    const id = randomUUID()
    t.say(
      JSON.stringify({ id, type: 'subscribe', payload: { query, variables: given, ...more } }).replace('"DEEP"', DEEP),
    )
    await t.until(() => t.of(id).length, 'an answer')
    const [answer] = t.of(id)
    expect(answer!.payload.data ?? undefined).toBeUndefined()
    understandable(answer!.type === 'error' ? answer!.payload : answer!.payload.errors)
    understandable(answer!.type === 'error' ? answer!.payload : answer!.payload.errors, code)
    await goesOn(t, 'sibling', watched)
    await until(async () => (await count(api.url, 'subscriptions')) === 1, 'only the sibling is there')
    t.socket.close()
    await empty(api.url)
  })
})

test('an operation on which we fail ourselves has an answer, and the others on its socket go on', async () => {
  const watched = await enrolled()
  const t = await (await talk(api.url)).init(watched.token)
  await t.watch('sibling', watched.id)
  const deep = '['.repeat(200_000) + ']'.repeat(200_000)
  for (const query of [ENROLLMENT, 'query($id: ID!) { node(id: $id) { id } }']) {
    const id = randomUUID()
    t.say(
      JSON.stringify({
        id,
        type: 'subscribe',
        payload: { query, variables: { id: watched.id, unknown: 'DEEP' } },
      }).replace('"DEEP"', deep),
    )
    await t.until(() => t.of(id).length, 'an answer')
    expect(JSON.stringify(t.of(id))).not.toMatch(/RangeError|call stack|\.[tj]s:/)
  }
  await goesOn(t, 'sibling', watched)
  t.socket.close()
  await empty(api.url)
})

describe('what is no subscription', () => {
  test('is answered over the same socket: queries, and a mutation that takes effect once', async () => {
    const watched = await enrolled()
    const t = await (await talk(api.url)).init(watched.token)
    await t.watch('sibling', watched.id)
    const input = { lessonId: globalId('Lesson', watched.taken.lesson(1)), idempotencyKey: randomUUID() }
    const Complete = `mutation($input: CompleteLessonInput!) { completeLesson(input: $input) {
      ... on CompleteLessonPayload { version replayed cursor enrollment { version completedLessonCount } }
      ... on DomainError {
      code }
    } }`
    const [first, ...again] = [
      await t.ask(Complete, { input }),
      await t.ask(Complete, { input }),
      await t.ask(Complete, { input }),
    ]
    expect(first.data).toMatchObject({
      completeLesson: { version: 2, replayed: false, enrollment: { version: 2, completedLessonCount: 1 } },
    })
    for (const { data } of again) expect(data).toMatchObject({ completeLesson: { version: 2, replayed: true } })
    expect(await w.history('Enrollment', enrollmentOf(watched.learner.id, watched.taken.id))).toHaveLength(2)
    await t.until(() => t.versions('sibling').includes(2), 'its change')
    expect((await t.ask('{ viewer { name } }')).messages).toEqual([
      { id: expect.any(String), type: 'next', payload: { data: { viewer: { name: 'learner' } } } },
      { id: expect.any(String), type: 'complete' },
    ])
    const refused = await t.ask(Complete, { input: { lessonId: globalId('Lesson', 'nothing') } })
    expect(refused.data).toMatchObject({ completeLesson: { code: 'COURSE_NOT_FOUND' } })
    t.socket.close()
  })

  test('many at once are each answered with what they asked for', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => course(1)))
    const t = await (await talk(api.url)).init((await person()).token)
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        t.ask('query($slug: String!) { course(slug: $slug) { title } }', { slug: all[i % 20]!.slug }),
      ),
    )
    for (const [i, { data }] of answers.entries()) expect(data).toEqual({ course: { title: all[i % 20]!.slug } })
    t.socket.close()
  })

  test('the schema tells of itself as it does over HTTP', async () => {
    const { token } = await person()
    const t = await (await talk(api.url)).init(token)
    const query = getIntrospectionQuery({ oneOf: true, inputValueDeprecation: true })
    const { data } = await api.ask(query, {}, token)
    expect(data).toMatchObject({ __schema: { subscriptionType: { name: 'Subscription' } } })
    expect((await t.ask(query)).data).toEqual(data)
    t.socket.close()
  })
})

describe('whoever goes away is forgotten', () => {
  const AGAIN = 20
  const ways: [string, (t: Talk) => void][] = [
    ['abruptly', ({ socket }) => socket.terminate()],
    ['with a farewell', ({ socket }) => socket.close()],
  ]
  const phases: [string, (t: Talk, watched: Enrolled) => unknown][] = [
    ['before connection_init', () => {}],
    [
      'before connection_ack',
      (t, { token }) => t.say({ type: 'connection_init', payload: { Authorization: bearer(token) } }),
    ],
    [
      'while subscribing',
      async (t, { token, id }) => {
        await t.init(token)
        for (const n of ['a', 'b', 'c']) t.begin(n, ENROLLMENT, { id })
      },
    ],
    [
      'with a query under way',
      async (t, { token }) => {
        await t.init(token)
        t.begin('a', '{ courses(first: 100) { edges { node { title } } } }')
      },
    ],
    [
      'while it is told',
      async (t, { token, id, change }) => {
        await t.init(token)
        await t.watch('a', id)
        void change()
        t.begin('b', ENROLLMENT, { id })
        await t.until(() => t.of('b').length || t.of('a').length > 1, 'something')
      },
    ],
    [
      'after it said that it has enough, in the same breath',
      async (t, { token, id }) => {
        await t.init(token)
        for (const n of ['a', 'b', 'c']) {
          t.begin(n, ENROLLMENT, { id })
          t.say({ id: n, type: 'complete' })
        }
      },
    ],
    [
      'after it began and ended the same again and again',
      async (t, { token, id }) => {
        await t.init(token)
        for (let i = 0; i < 5; i++) {
          t.begin('a', ENROLLMENT, { id })
          t.say({ id: 'a', type: 'complete' })
        }
        t.begin('a', ENROLLMENT, { id })
        await t.until(() => t.of('a').length, 'its present')
      },
    ],
  ]
  test.each(phases.flatMap(([phase, until]) => ways.map(([way, leave]) => [phase, way, until, leave] as const)))(
    '%s, %s',
    async (_, __, get, leave) => {
      const watched = await enrolled()
      await Promise.all(
        Array.from({ length: AGAIN }, async () => {
          const t = await talk(api.url)
          await get(t, watched)
          leave(t)
        }),
      )
      await empty(api.url)
      const t = await (await talk(api.url)).init(watched.token)
      await t.watch('a', watched.id)
      await goesOn(t, 'a', watched)
      t.socket.close()
      await empty(api.url)
    },
  )

  test('and no timer is left of it', async () => {
    const { token } = await person()
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    const before = timers()
    await Promise.all(
      Array.from({ length: 60 }, async () => {
        const t = await talk(api.url)
        t.say({ type: 'connection_init', payload: { Authorization: bearer(token) } })
        t.socket.terminate()
      }),
    )
    await empty(api.url)
    await until(() => timers() < before + 30, `${timers()} timers, and there were ${before}`, 5_000)
  })

  test('an id that is taken up again at once belongs to one subscription', async () => {
    const watched = await enrolled()
    const t = await (await talk(api.url)).init(watched.token)
    for (let i = 0; i < 5; i++) {
      t.begin('a', ENROLLMENT, { id: watched.id })
      t.say({ id: 'a', type: 'complete' })
    }
    t.begin('a', ENROLLMENT, { id: watched.id })
    await t.until(() => t.of('a').length, 'its present')
    expect((await t.ask('{ __typename }')).data).toEqual({ __typename: 'Query' })
    await until(async () => (await count(api.url, 'subscriptions')) === 1, 'there is one')
    const version = await watched.change()
    await t.until(() => t.versions('a').includes(version), 'a change')
    await watched.change()
    await t.until(() => t.versions('a').includes(version + 1), 'another')
    expect(t.versions('a').filter((each) => each === version)).toHaveLength(1)

    t.say({ id: 'a', type: 'complete' }) // and so it is when the first had long been there
    t.begin('a', ENROLLMENT, { id: watched.id })
    await t.until(() => t.versions('a').filter((each) => each === version + 1).length === 2, 'its present, again')
    await watched.change()
    await t.until(() => t.versions('a').includes(version + 2), 'a change')
    expect(t.of('a').map(({ type }) => type)).not.toContain('complete')
    t.socket.close()
    await empty(api.url)
  })

  test('one subscription of many can end, and the others go on', async () => {
    const watched = await enrolled()
    const client = socketClient(api.url, watched.token)
    const [stays, leaves] = [1, 2].map(() =>
      subscribe<{ enrollmentUpdates: Told }>(client, ENROLLMENT, { id: watched.id }),
    )
    await Promise.all([stays!.until(1), leaves!.until(1)])
    leaves!.stop()
    await until(async () => (await count(api.url, 'subscriptions')) === 1, 'one has left')
    await watched.change()
    await watched.change()
    expect((await stays!.until(3)).map(({ enrollmentUpdates }) => enrollmentUpdates.version)).toEqual([1, 2, 3])
    expect(leaves!.items).toHaveLength(1)
    await client.dispose()
    await empty(api.url)
  })
})

test('what is ready at the same time goes out in one write', async () => {
  let server: net.Socket | undefined
  const seen = (message: unknown) => (server = (message as { socket: net.Socket }).socket)
  listen('net.server.socket', seen)
  const watched = await enrolled()
  const t = await talk(api.url)
  // where it leaves the process
  const handle = (server as unknown as { _handle: Record<string, (...args: unknown[]) => unknown> })._handle
  await t.init(watched.token)
  const ids = Array.from({ length: 32 }, (_, i) => `s${i}`)
  for (const id of ids) await t.watch(id, watched.id)
  let writes = 0
  let pings = 0 // one every 12 s
  t.socket.on('ping', () => pings++)
  for (const name of [
    'writev',
    'writeBuffer',
    'writeUtf8String',
    'writeLatin1String',
    'writeAsciiString',
    'writeUcs2String',
  ]) {
    const write = handle[name]!
    handle[name] = (...args) => {
      writes++
      return write.apply(handle, args)
    }
  }
  const version = await watched.change()
  await t.until(() => ids.every((id) => t.versions(id).includes(version)), 'it is told 32 times')
  expect(writes - pings).toBe(1)

  writes = pings = 0
  const before = t.messages.length
  const last = Math.max(...(await Promise.all(Array.from({ length: 8 }, () => watched.change()))))
  await t.until(() => ids.every((id) => t.versions(id).includes(last)), 'eight changes are told 32 times')
  expect(t.messages.length - before).toBe(8 * 32)
  expect(writes - pings).toBeLessThanOrEqual(8)
  for (const id of ids) expect(t.versions(id)).toEqual(Array.from({ length: last }, (_, i) => i + 1))
  t.socket.close()
  await empty(api.url)
})

describe('when the server drains', () => {
  test('sockets are closed with 1001, event streams end, and it is done', async () => {
    const own = await serve(w)
    const watched = await enrolled()
    const all = await Promise.all([1, 2, 3].map(async () => (await talk(own.url)).init(watched.token)))
    const early = await talk(own.url)
    for (const t of all) await t.watch('a', watched.id)
    const streams = [1, 2].map(() =>
      subscribeEvents<{ enrollmentUpdates: Told }>(own.url, ENROLLMENT, { id: watched.id }, watched.token),
    )
    for (const stream of streams) await stream.until(1)
    const begun = performance.now()
    const drained = own.server.drain()
    for (const t of [...all, early]) expect(await t.closed()).toMatchObject({ code: 1001 })
    // not `complete`: they shall return
    for (const t of all) expect(t.of('a').map(({ type }) => type)).toEqual(['next'])
    for (const stream of streams) {
      await stream.end()
      expect(stream.errors).toEqual([])
    }
    await drained
    expect(performance.now() - begun).toBeLessThan(2_000)
  })

  test('an event stream ends without saying that it is complete', async () => {
    const own = await serve(w)
    const { id, token } = await enrolled()
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: bearer(token) }
    const body = (query: string) => JSON.stringify({ query, variables: { id } })
    const once = await fetch(`${own.url}/graphql`, {
      method: 'POST',
      headers,
      body: body('query Q { viewer { name } }'),
    })
    expect(await once.text()).toContain('event: complete')
    const response = await fetch(`${own.url}/graphql`, { method: 'POST', headers, body: body(ENROLLMENT) })
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.includes('EnrollmentSnapshot')) void own.server.drain()
    }
    expect(text).toContain('event: next')
    expect(text).not.toContain('complete\n')
  })

  test('a client that is made well comes back, and goes on where it was', async () => {
    const own = await serve(w)
    const { id, token, change } = await enrolled()
    let target = own.url
    const client = socketClient(own.url, token, {
      url: () => `${target.replace('http', 'ws')}/graphql`,
      retryAttempts: 10,
      retryWait: async () => {},
    })
    const stream = subscribe<{ enrollmentUpdates: Told }>(client, ENROLLMENT, { id })
    await stream.until(1)
    target = api.url // as a balancer would send it to another server
    await own.server.drain()
    await stream.until(2)
    const version = await change()
    await stream.until((items) => items.at(-1)?.enrollmentUpdates.version === version)
    expect(stream.ended).toBe(false)
    await client.dispose()
  })

  test('what it is answered to who reads slowly goes first, to its end', async () => {
    const own = await serve(w)
    const { token } = await enrolled()
    const t = await (await talk(own.url)).init(token)
    const lock = await locked()
    const ids = Array.from({ length: 60 }, (_, i) => `ask ${i}`)
    for (const id of ids) t.begin(id, getIntrospectionQuery())
    await lock.isMet(1)
    const wire = (t.socket as unknown as { _socket: net.Socket })._socket
    wire.pause()
    const drained = own.server.drain()
    await lock.release()
    setTimeout(() => wire.resume(), 500) // by then the network is full
    expect(await t.closed()).toMatchObject({ code: 1001 })
    await drained
    expect(ids.map((id) => t.of(id).map(({ type }) => type))).toEqual(ids.map(() => ['next', 'complete']))
  })

  test('a connection on which nothing was ever asked keeps it from nothing', async () => {
    const own = await serve(w)
    const { hostname, port } = new URL(own.url)
    const silent = net.connect({ host: hostname, port: Number(port) })
    silent.on('error', () => {})
    await once(silent, 'connect')
    await fetch(`${own.url}/livez`).then((response) => response.text()) // which was accepted after it
    const begun = performance.now()
    await own.server.drain()
    expect(performance.now() - begun).toBeLessThan(5_000)
    silent.destroy()
  })

  test('what was asked over a socket is answered first, and nothing more is taken on', async () => {
    const own = await serve(w)
    const { id, token, taken } = await enrolled()
    const t = await (await talk(own.url)).init(token)
    const idle = await (await talk(own.url)).init(token)
    const holder = await w.psql.connect()
    await holder.query('begin')
    await holder.query('select from "Enrollment" where id = $1 for update', [localIdOf(id)])
    const lesson = globalId('Lesson', taken.lesson(1))
    t.begin(
      'under way',
      `mutation { completeLesson(input: { lessonId: "${lesson}", idempotencyKey: "k" }) { __typename ... on
        CompleteLessonPayload { version } } }`,
    )
    await until(async () => {
      const [waiting] = await w.query<{ count: number }>(
        `select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return waiting!.count > 0
    }, 'it waits for the lock')
    const drained = own.server.drain()
    t.begin('too late', '{ viewer { name } }')
    await t.until(() => t.of('too late')[0], 'an answer')
    expect(t.of('too late')).toMatchObject([{ type: 'error', payload: [{ extensions: { code: 'TRY_AGAIN_LATER' } }] }])
    expect(await idle.closed()).toMatchObject({ code: 1001 })
    expect(t.isOpen).toBe(true)
    await holder.query('commit')
    holder.release()
    expect(await t.closed()).toMatchObject({ code: 1001 })
    await drained
    expect(t.of('under way')).toMatchObject([
      { type: 'next', payload: { data: { completeLesson: { __typename: 'CompleteLessonPayload', version: 2 } } } },
      { type: 'complete' },
    ])
  })

  test('it waits for nobody who does not answer, nor for those who were refused', async () => {
    const own = await serve(w)
    const mute = await bytes(own.url)
    mute.socket.write(mute.head)
    expect((await mute.answer()).status).toBe(101)
    const refused = await bytes(own.url, { origin: 'https://evil.example' })
    refused.socket.write(refused.head)
    expect((await refused.answer()).status).toBe(403)
    const begun = performance.now()
    await own.server.drain()
    expect(performance.now() - begun).toBeLessThan(5_000)
    for (const { socket } of [mute, refused]) socket.destroy()
  })

  test('who is on the way when it begins to drain is not kept, and does not keep it', async () => {
    const own = await serve(w)
    const { id, token } = await enrolled()
    const t = await (await talk(own.url)).init(token)
    const lock = await locked()
    const streams = Array.from({ length: 10 }, () => subscribeEvents(own.url, ENROLLMENT, { id }, token))
    t.begin('a', ENROLLMENT, { id })
    await lock.isMet(2)
    const begun = performance.now()
    const drained = own.server.drain()
    await lock.release()
    for (const stream of streams) await stream.end()
    await drained
    expect(performance.now() - begun).toBeLessThan(2_000)
  })

  test('while many are coming, it is done as well', async () => {
    const { id, token } = await enrolled()
    for (let round = 0; round < 4; round++) {
      const own = await serve(w)
      const streams = Array.from({ length: 16 }, () => subscribeEvents(own.url, ENROLLMENT, { id }, token))
      const talks = Promise.allSettled(
        Array.from({ length: 8 }, async () => {
          const t = await (await talk(own.url)).init(token)
          t.begin('a', ENROLLMENT, { id })
          return t
        }),
      )
      if (round) await until(() => streams.filter(({ items }) => items.length).length >= round * 3, 'some are there')
      const begun = performance.now()
      await own.server.drain()
      expect(performance.now() - begun).toBeLessThan(5_000)
      for (const stream of streams) await stream.end()
      for (const each of await talks) if (each.status === 'fulfilled') await each.value.closed()
    }
  })
})
