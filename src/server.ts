import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EnvelopArmorPlugin } from '@escape.tech/graphql-armor'
import { renderGraphiQL } from '@graphql-yoga/render-graphiql'
import { getOperationAST, GraphQLError, OperationTypeNode } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Logger } from 'pino'
import { commits } from './commit.ts'
import type { Config } from './config.ts'
import { createContext } from './context.ts'
import { connect } from './database/client.ts'
import { isDisconnection, isImpossibleArgument, isImpossibleText, isLockTimeout, isStatementTimeout } from './database/conflict.ts'
import { migrationStatus } from './database/migrate.ts'
import { DomainError, Unavailable } from './errors.ts'
import { graphiqlOptions } from './graphiql.ts'
import { viewers } from './identity/viewer.ts'
import { keepForgetting } from './journal/oldKeys.ts'
import { keepCaughtUp } from './learning/overdueEnrollments.ts'
import { listLimit } from './listLimit.ts'
import { metrics } from './metrics.ts'
import { toSchema } from './schema.ts'

/** A running server. */
export interface Server {
  readonly address: { readonly host: string; readonly port: number }
  /** Connects to the database and becomes ready. */
  open(options: { databaseUrl: string; demo: boolean }): Promise<void>
  /** Is no longer ready, accepts no more, finishes what is under way, disconnects. */
  drain(): Promise<void>
}

/** The most bytes of a request; a larger one is refused before it is read to its end. */
const BODY_LIMIT = 1_048_576

type Handle = (request: IncomingMessage, response: ServerResponse) => unknown
interface Opened {
  readonly graphql: Handle
  ready(): Promise<string | undefined>
  close(): Promise<void>
}

/** Listens at once, alive but not ready. Rejects if the address can't be had. */
export async function startServer({ config, log }: { config: Config; log: Logger }): Promise<Server> {
  const { registry, watch, http } = metrics(log)
  let opened: Opened | undefined
  let draining = false

  const routes: Record<string, Handle> = {
    '/livez': (_, response) => say(response, 200, 'alive'),
    '/readyz': async (_, response) => {
      const why = draining ? 'draining' : opened ? await opened.ready() : 'starting'
      say(response, why ? 503 : 200, why ?? 'ready')
    },
    '/metrics': async (_, response) => response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics()),
    '/graphql': (request, response) => (opened ? opened.graphql(request, response) : say(response, 503, 'starting')),
    '/': (_, response) => response.writeHead(302, { location: '/graphql' }).end(),
  }

  const server = createServer((request, response) => {
    const path = request.url!.split('?', 1)[0]!
    const stop = http.startTimer()
    response.once('close', () => stop({ path: routes[path] ? path : 'other', status: String(response.statusCode) }))
    if (draining) response.setHeader('connection', 'close')
    const handle = Object.hasOwn(routes, path) ? routes[path]! : () => say(response, 404, 'There is nothing here. GraphQL is at /graphql.')
    Promise.resolve(handle(request, response)).catch((error) => {
      if (response.destroyed || request.destroyed || request.errored) return log.debug({ err: error, path }, 'A client went away.')
      log.error({ err: error, path }, 'A request failed.')
      if (!response.headersSent) fail(response, 500, 'INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
      else response.destroy()
    })
  })
  server.requestTimeout = 30_000
  server.headersTimeout = 10_000
  server.listen(config.port, config.host)
  await once(server, 'listening')
  const { address: host, port } = server.address() as AddressInfo

  async function open({ databaseUrl, demo }: { databaseUrl: string; demo: boolean }) {
    const db = connect(databaseUrl, config.pool)
    const { commit, drained } = commits(db, { watch: { ...watch, committed: (root) => root === 'Course' && catchingUp.ring() } })
    const catchingUp = keepCaughtUp({ db, commit, log, everyMs: 2_000 })
    const forgetting = keepForgetting({ db, days: config.idempotencyKeyDays, log })
    const viewerOf = viewers(db)

    const yoga = createYoga<{ requestId: string }>({
      schema: toSchema(),
      logging: false, // what a client is told is the client's; what went wrong on our side is logged where it is masked
      graphqlEndpoint: '/graphql',
      landingPage: false,
      cors: config.corsOrigins.length ? { origin: [...config.corsOrigins], credentials: false } : false,
      multipart: false,
      batching: false,
      graphiql: graphiqlOptions(demo),
      renderGraphiQL,
      context: async ({ request, requestId }) => createContext({ db, commit, log }, await viewerOf(request.headers.get('authorization')), requestId),
      maskedErrors: { maskError: (error) => shown(error, log) },
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
      ],
    })

    let answer: { at: number; why: Promise<string | undefined> } | undefined
    opened = {
      async graphql(request, response) {
        const requestId = requestIdOf(request)
        response.setHeader('x-request-id', requestId)
        if (request.headers.host !== undefined && !URL.canParse(`http://${request.headers.host}/`))
          return fail(response, 400, 'BAD_REQUEST', 'The header `Host` is no host. Wanted is that of the address, such as localhost:4000.')
        if (request.method === 'POST') {
          // Only JSON: what a form on another site can send without asking is no way to change anything.
          if (!/^application\/(graphql\+)?json\b/i.test(request.headers['content-type'] ?? ''))
            return fail(response, 415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the operation as JSON, with the header `Content-Type: application/json`.')
          const body = await bodyOf(request)
          if (!body) return fail(response, 413, 'PAYLOAD_TOO_LARGE', `The request has more than ${BODY_LIMIT} bytes, which is the most that is read.`)
          Object.assign(request, { body })
        }
        const answer = await yoga.handleNodeRequestAndResponse(request, response, { requestId })
        if (answer.status >= 500 && !/json/.test(answer.headers.get('content-type') ?? '')) throw new Error(await answer.text()) // a stack, perhaps
        await send(answer, response)
      },
      /** Asked of the database at most once a second, however often it is asked of us. */
      ready() {
        if (!answer || Date.now() - answer.at > 1_000) answer = { at: Date.now(), why: readiness(databaseUrl) }
        return answer.why
      },
      async close() {
        await Promise.all([catchingUp.stop(), forgetting.stop()])
        await drained()
        await db.$disconnect()
      },
    }
  }

  async function drain() {
    draining = true
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeIdleConnections()
    await closed
    await opened?.close()
  }

  return { address: { host, port }, open, drain }
}

const say = (response: ServerResponse, status: number, text: string) =>
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(`${text}\n`)

/** As Yoga answered, in one piece or, if it goes on, as it comes. */
async function send({ status, headers, body }: Response, response: ServerResponse) {
  if (response.destroyed) return
  for (const [name, value] of headers) response.setHeader(name, value)
  response.writeHead(status)
  if (!body) response.end()
  else await pipeline(Readable.from(body as never), response)
}

function fail(response: ServerResponse, status: number, code: string, message: string) {
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ errors: [{ message, extensions: { code } }] }))
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

/** What a client is told of an error that is no answer: a code and a sentence, and nothing of our insides. */
function shown(error: unknown, log: Logger): Error {
  const original = error instanceof GraphQLError ? error.originalError : error
  if (original === undefined || original === null) return error as GraphQLError // GraphQL's own, or ours
  const { path, nodes } = error instanceof GraphQLError ? error : {}
  const told = (code: string, message: string) =>
    new GraphQLError(ofMutations.has(error as object) ? `${message} ${MAYBE_DONE}` : message, { path, nodes, extensions: { code } })
  if (isDisconnection(original) || original instanceof Unavailable)
    return told('UNAVAILABLE', 'The database cannot be reached just now, so that this could not be read. Try again in a moment.')
  if (isStatementTimeout(original) || isLockTimeout(original)) {
    log.warn({ err: original, path }, 'A query took too long.')
    return told('QUERY_TOO_SLOW', 'This took the database longer than a query may. Ask for less at a time, or try again when there is less to do.')
  }
  if (original instanceof DomainError) return new GraphQLError(original.message, { path, nodes, extensions: { code: original.code } })
  if (original instanceof GraphQLError) return new GraphQLError(original.message, { path, nodes, extensions: original.extensions })
  if (isImpossibleText(original))
    return new GraphQLError('An argument contains the character NUL, which nothing here does.', { path, nodes, extensions: { code: 'BAD_REQUEST' } })
  if (isImpossibleArgument(original)) {
    log.warn({ err: original, path }, 'A query had an argument that could not be used.')
    return new GraphQLError('An argument cannot be used; a cursor must be one that was given by this connection.', {
      path,
      nodes,
      extensions: { code: 'BAD_REQUEST' },
    })
  }
  log.error({ err: original, path }, 'A query failed.')
  return told('INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
}

/** Errors in the answers to mutations. */
const ofMutations = new WeakSet<object>()
const MAYBE_DONE = 'What was asked may have been carried out: look, or ask again with the same idempotencyKey.'

/** What could not be read of a mutation's answer says nothing of what it did. */
const mutations: Plugin = {
  onExecute: ({ args }) =>
    getOperationAST(args.document, args.operationName)?.operation === OperationTypeNode.MUTATION
      ? {
          onExecuteDone({ result }) {
            if ('errors' in result) for (const error of result.errors ?? []) ofMutations.add(error)
          },
        }
      : undefined,
}

/** Errors of GraphQL's own (syntax, validation, limits, a value that can't be coerced) have a code, too; and where nothing was executed, status 400, except for clients that want 200 with `application/json`. */
const codes: Plugin = {
  onResultProcess({ result, setResult }) {
    const all = Array.isArray(result) ? result : [result]
    const done = ({ extensions }: { extensions?: Record<string, unknown> }) => extensions?.code && !('originalError' in extensions)
    if (all.every((one) => !('errors' in one) || one.errors?.every(done))) return
    const coded = all.map((one) => {
      if (!('errors' in one) || !one.errors) return one
      return {
        ...one,
        errors: one.errors.map((error) => {
          if (done(error)) return error
          const { originalError: _, ...own } = error.extensions // a parser's, with its stack
          const extensions = own.code ? own : { code: 'BAD_REQUEST', ...(!('data' in one) && { http: { status: 400, spec: true } }), ...own }
          return new GraphQLError(error.message, {
            nodes: error.nodes,
            source: error.source,
            positions: error.positions,
            path: error.path,
            extensions,
          })
        }),
      }
    })
    setResult((Array.isArray(result) ? coded : coded[0]) as never)
  },
}
