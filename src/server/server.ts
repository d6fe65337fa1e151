import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EnvelopArmorPlugin } from '@escape.tech/graphql-armor'
import { renderGraphiQL } from '@graphql-yoga/render-graphiql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Logger } from 'pino'
import { type Commit, commits } from '../commit/commit.ts'
import type { Config } from '../operator/config.ts'
import { createContext, type Sink } from '../api/context.ts'
import { connect } from '../database/client.ts'
import { migrationStatus } from '../database/migrate.ts'
import { graphiqlOptions } from './graphiql.ts'
import { sessions, viewers } from '../identity/viewer.ts'
import type { Viewer } from '../api/context.ts'
import { rootCursor } from '../journal/cursor.ts'
import { following } from '../journal/follow.ts'
import { keepForgetting } from '../commit/oldKeys.ts'
import { keepPruned } from '../journal/prune.ts'
import { Tail } from '../journal/tail.ts'
import { keepCaughtUp } from '../learning/enrollmentsCaughtUp.ts'
import { listLimit } from '../api/listLimit.ts'
import { sockets } from '../live/socket.ts'
import { Subscriptions } from '../live/subscriptions.ts'
import { metrics } from './metrics.ts'
import { modules } from '../modules.ts'
import { toSchema } from './schema.ts'
import { codes, mutations, shownError } from '../api/shownError.ts'

/** A running server. */
export interface Server {
  readonly address: { readonly host: string; readonly port: number }
  /** Connects to the database and becomes ready. Answers with the way in, for what runs in the same process. */
  open(options: { databaseUrl: string; demo: boolean }): Promise<Commit>
  /** Is no longer ready, accepts no more, finishes what is under way, disconnects. */
  drain(): Promise<void>
}

/** The most bytes of a request; a larger one is refused before it is read to its end. */
const BODY_LIMIT = 1_048_576

/**
 * A reader of an event stream who has taken nothing for so long, not even the sign of life every 12 seconds, is gone.
 */
const SILENT_MS = 60_000

type Handle = (request: IncomingMessage, response: ServerResponse) => unknown
interface Opened {
  readonly graphql: Handle
  readonly upgrade: (request: IncomingMessage, stream: Duplex, head: Buffer) => void
  ready(): Promise<string | undefined>
  /** Ends what would go on for ever. */
  hangUp(): void
  close(): Promise<void>
}

/** What each operation begins with, whichever way it comes. */
interface Beginning {
  readonly requestId: string
  /** Of an operation over WebSocket, since that has no headers of its own. */
  readonly viewer?: Viewer | null
  readonly sink?: Sink
}

/** Listens at once, alive but not ready. Rejects if the address can't be had. */
export async function startServer({ config, log }: { config: Config; log: Logger }): Promise<Server> {
  const { registry, watch, http, live } = metrics(log)
  let opened: Opened | undefined
  let draining = false

  const routes: Record<string, Handle> = {
    '/livez': (_, response) => say(response, 200, 'alive'),
    '/readyz': async (_, response) => {
      const why = draining ? 'draining' : opened ? await opened.ready() : 'starting'
      say(response, why ? 503 : 200, why ?? 'ready')
    },
    '/metrics': async (_, response) =>
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics()),
    '/graphql': (request, response) => (opened ? opened.graphql(request, response) : say(response, 503, 'starting')),
    '/': (_, response) => response.writeHead(302, { location: '/graphql' }).end(),
  }

  /**
   * Connections that have asked nothing yet, as browsers and load balancers open some in store: nothing is under way on
   * them.
   */
  const silent = new Set<Socket>()

  const server = createServer({ connectionsCheckingInterval: 2_000 }, (request, response) => {
    silent.delete(request.socket)
    const path = request.url!.split('?', 1)[0]!
    const stop = http.startTimer()
    response.once('close', () => stop({ path: routes[path] ? path : 'other', status: String(response.statusCode) }))
    if (draining) response.setHeader('connection', 'close')
    else response.once('close', () => setImmediate(() => draining && server.closeIdleConnections()))
    const handle = Object.hasOwn(routes, path)
      ? routes[path]!
      : () => say(response, 404, 'There is nothing here. GraphQL is at /graphql.')
    Promise.resolve(handle(request, response)).catch((error) => {
      if (response.destroyed || request.destroyed || request.errored)
        return log.debug({ err: error, path }, 'A client went away.')
      log.error({ err: error, path }, 'A request failed.')
      if (!response.headersSent) fail(response, 500, 'INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
      else response.destroy()
    })
  })
  server.on('connection', (socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('upgrade', (request, stream, head) => {
    silent.delete(stream as Socket)
    if (opened && !draining) opened.upgrade(request, stream, head)
    else
      stream
        .on('error', () => {})
        .once('finish', () => stream.destroy())
        .end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  server.requestTimeout = 30_000
  server.headersTimeout = 10_000
  // longer than the proxies in front of it keep theirs (mostly 60 s): whoever closes first loses no request
  server.keepAliveTimeout = 75_000
  server.listen(config.port, config.host)
  await once(server, 'listening')
  const { address: host, port } = server.address() as AddressInfo

  async function open({ databaseUrl, demo }: { databaseUrl: string; demo: boolean }) {
    const db = connect(databaseUrl, config.pool)
    const tail = new Tail({ url: databaseUrl, log, watch: live.tail })
    tail.epoch().catch(() => {}) // known from the beginning, if it can be
    const { follow } = following({ db, tail })
    const onCommit = (root: string) => {
      tail.ring()
      if (root === 'Course') catchingUp.ring()
    }
    const { commit, drained } = commits(db, { watch, onCommit })
    const catchingUp = keepCaughtUp({ db, commit, log, everyMs: 2_000 })
    const forgetting = keepForgetting({ db, days: config.idempotencyKeyDays, log })
    const pruning = keepPruned({
      db,
      aggregates: modules.flatMap(({ aggregates }) => aggregates),
      days: config.journalDays,
      log,
    })
    const viewerOf = viewers(db)
    const cursorOf = async (rootType: string, rootId: string, version: number) =>
      rootCursor({ epoch: await tail.epoch(), rootType, rootId, version })
    const surroundings = { db, commit, log, cursorOf }
    const room = () => wires.count + subscriptions.streams < config.liveConnections
    const subscriptions = new Subscriptions({
      ...{ surroundings, tail, follow, room, watch: live.subscriptions },
      sessionOf: sessions(db),
      shown: (error) => shownError(error, log),
      bufferBytes: config.liveBufferBytes,
      perUser: config.liveSubscriptionsPerUser,
    })

    const yoga = createYoga<Beginning>({
      schema: toSchema(),
      logging: false, // what a client is told is the client's; what went wrong on our side is logged where it is masked
      graphqlEndpoint: '/graphql',
      landingPage: false,
      cors: config.corsOrigins.length ? { origin: [...config.corsOrigins], credentials: false } : false,
      multipart: false,
      batching: false,
      graphiql: graphiqlOptions(demo),
      renderGraphiQL,
      context: async ({ request, requestId, viewer, sink }) =>
        createContext(
          surroundings,
          viewer === undefined ? await viewerOf(request.headers.get('authorization')) : viewer,
          requestId,
          sink,
        ),
      maskedErrors: { maskError: (error) => shownError(error, log) },
      plugins: [
        EnvelopArmorPlugin({
          maxDepth: { n: 14, flattenFragments: true },
          maxAliases: { n: 30 },
          maxTokens: { n: 2_000 },
          maxDirectives: { n: 30 },
          costLimit: { maxCost: 20_000, depthCostFactor: 1.3 },
          blockFieldSuggestion: { enabled: false },
        }) as Plugin,
        listLimit,
        mutations,
        codes,
        { onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscriptions.subscribe as never) } satisfies Plugin,
      ],
    })

    const wires = sockets({
      ...{
        viewerOf,
        room,
        log,
        origins: config.corsOrigins,
        maxPayload: BODY_LIMIT,
        perConnection: config.liveSubscriptionsPerConnection,
      },
      async prepare(payload, viewer, requestId, sink) {
        const { schema, parse, validate, contextFactory, execute, subscribe } = yoga.getEnveloped({
          params: payload,
          viewer,
          requestId,
          sink,
        } as never)
        const { query, operationName, variables } = payload
        const document = parse(query)
        const errors = validate(schema, document)
        if (errors.length) return errors
        return {
          args: { schema, document, operationName, variableValues: variables, contextValue: await contextFactory() },
          execute,
          subscribe,
        }
      },
    })
    live.count(
      () => wires.count,
      () => subscriptions.count,
    )

    let answer: { at: number; why: Promise<string | undefined> } | undefined
    opened = {
      upgrade: wires.upgrade,
      hangUp() {
        wires.close()
        subscriptions.close()
      },
      async graphql(request, response) {
        const requestId = requestIdOf(request)
        response.setHeader('x-request-id', requestId)
        if (request.headers.host !== undefined && !URL.canParse(`http://${request.headers.host}/`))
          return fail(
            response,
            400,
            'BAD_REQUEST',
            'The header `Host` is no host. Wanted is that of the address, such as localhost:4000.',
          )
        if (request.method === 'POST') {
          // Only JSON: what a form on another site can send without asking is no way to change anything.
          if (!/^application\/(graphql\+)?json\b/i.test(request.headers['content-type'] ?? ''))
            return fail(
              response,
              415,
              'UNSUPPORTED_MEDIA_TYPE',
              'Send the operation as JSON, with the header `Content-Type: application/json`.',
            )
          const body = await bodyOf(request)
          if (!body)
            return fail(
              response,
              413,
              'PAYLOAD_TOO_LARGE',
              `The request has more than ${BODY_LIMIT} bytes, which is the most that is read.`,
            )
          Object.assign(request, { body })
        }
        const answer = await yoga.handleNodeRequestAndResponse(request, response, { requestId })
        if (answer.status >= 500 && !/json/.test(answer.headers.get('content-type') ?? ''))
          throw new Error(await answer.text()) // a stack, perhaps
        if (answer.status === 406)
          return fail(
            response,
            406,
            'NOT_ACCEPTABLE',
            'A subscription is answered with `Accept: text/event-stream`, or over WebSocket; all else with `application/json`.',
          )
        await send(answer, response, () => draining)
      },
      /** Asked of the database at most once a second, however often it is asked of us. */
      ready() {
        if (!answer || Date.now() - answer.at > 1_000) answer = { at: Date.now(), why: readiness(databaseUrl) }
        return answer.why
      },
      async close() {
        await Promise.all([catchingUp.stop(), forgetting.stop(), pruning.stop()])
        await drained()
        await tail.stop()
        await db.$disconnect()
      },
    }
    return commit
  }

  async function drain() {
    draining = true
    const closed = new Promise((resolve) => server.close(resolve))
    opened?.hangUp()
    server.closeIdleConnections()
    for (const socket of silent) if (!socket.bytesRead) socket.destroy() // who has begun to ask is let finish
    await closed
    await opened?.close()
  }

  return { address: { host, port }, open, drain }
}

const say = (response: ServerResponse, status: number, text: string) =>
  response
    .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
    .end(`${text}\n`)

/** As Yoga answered, in one piece or, if it goes on, as it comes. */
async function send({ status, headers, body }: Response, response: ServerResponse, isLeaving: () => boolean) {
  if (response.destroyed) return
  for (const [name, value] of headers) response.setHeader(name, value)
  response.writeHead(status)
  const isStream = headers.get('content-type')?.startsWith('text/event-stream')
  if (isStream) response.setTimeout(SILENT_MS, () => response.destroy())
  if (!body) response.end()
  else await pipeline(Readable.from(isStream ? unfinished(body as never, isLeaving) : (body as never)), response)
}

/**
 * Events, without the one that says that there will be no more where it is only the server that goes: who has heard
 * that does not come back. No generator: one that waits for an event can't be ended before that comes, and whoever has
 * gone would be kept until then.
 */
function unfinished(events: AsyncIterable<Uint8Array>, isLeaving: () => boolean): AsyncIterable<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]()
  const isEnd = ({ done, value }: IteratorResult<Uint8Array>) =>
    !done && isLeaving() && Buffer.from(value).toString().startsWith('event: complete')
  const end = async (): Promise<IteratorResult<Uint8Array>> =>
    (await iterator.return?.()) ?? { done: true, value: undefined }
  const next = async () => {
    const result = await iterator.next()
    return isEnd(result) ? end() : result
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}

function fail(response: ServerResponse, status: number, code: string, message: string) {
  if (status === 413) response.setHeader('connection', 'close')
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ errors: [{ message, extensions: { code } }] }))
}

/** A request's id: the client's own, if it is a plain one. */
function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID()
}

/** All of it, or undefined if it is too large; then the rest is not read. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT) return undefined
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > BODY_LIMIT) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

/** Why the database can't be worked with, if it can't. */
async function readiness(url: string): Promise<string | undefined> {
  try {
    const pending = (await migrationStatus(url, { withinMs: 2_000 })).filter(({ state }) => state !== 'applied')
    return pending.length ? `migrations: ${pending.map(({ name, state }) => `${name} ${state}`).join(', ')}` : undefined
  } catch {
    return 'the database cannot be reached'
  }
}
