import type { IncomingMessage, ServerResponse } from 'node:http'
import { EnvelopArmorPlugin } from '@escape.tech/graphql-armor'
import type { ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql'
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga'
import type { SubscribePayload } from 'graphql-ws'
import { type Context, createContext, type Sink, type Surroundings, type Viewer } from '../api/context.ts'
import { listLimit } from '../api/listLimit.ts'
import { nestingLimit } from '../api/nestingLimit.ts'
import { codes, mutations, shownError } from '../api/shownError.ts'
import { upToDate } from '../api/upToDate.ts'
import { graphiqlPage } from '../graphiql/page.ts'
import type { Prepared } from '../live/prepare.ts'
import { invalidToken } from './invalidToken.ts'
import { toSchema } from './schema.ts'

export interface OperationsOptions {
  readonly surroundings: Surroundings
  /** The viewer of an Authorization header; null: none, or one whose session has ended. */
  viewerOf(authorization: string | null): Promise<Viewer | null>
  /** Executes a subscription. */
  subscribe(args: ExecutionArgs): Promise<AsyncIterable<ExecutionResult> | ExecutionResult>
  readonly corsOrigins: readonly string[]
  /** Whether GraphiQL shows the demo's examples. */
  readonly demo: boolean
}

/** What each operation begins with, whatever its transport. */
interface Beginning {
  readonly requestId: string
  /** Over HTTP it is still being looked up. */
  readonly viewer: Viewer | null | Promise<Viewer | null>
  readonly sink?: Sink
}

/** What an operation may cost at most, before any of it is executed. */
const limits = EnvelopArmorPlugin({
  maxDepth: { n: 14, flattenFragments: true },
  maxAliases: { n: 30 },
  maxTokens: { n: 2_000 },
  maxDirectives: { n: 30 },
  costLimit: { maxCost: 20_000, depthCostFactor: 1.3 },
  blockFieldSuggestion: { enabled: false },
})

/** How operations are prepared and carried out, the same for all transports. */
export class Operations {
  readonly #yoga: YogaServerInstance<Beginning, Context>
  readonly #viewerOf: OperationsOptions['viewerOf']

  constructor(options: OperationsOptions) {
    const { surroundings, viewerOf, subscribe, corsOrigins, demo } = options
    const { log } = surroundings
    this.#viewerOf = viewerOf
    this.#yoga = createYoga<Beginning, Context>({
      schema: toSchema(),
      logging: false, // clients are shown their own mistakes; ours are logged where they are masked
      graphqlEndpoint: '/graphql',
      landingPage: false,
      cors: corsOrigins.length ? { origin: [...corsOrigins], credentials: false } : false,
      multipart: false,
      batching: false,
      renderGraphiQL: () => graphiqlPage(demo),
      maskedErrors: { maskError: (error) => shownError(error, log) },
      context: async ({ requestId, viewer, sink }) => createContext(surroundings, await viewer, requestId, sink),
      plugins: [
        invalidToken,
        nestingLimit,
        limits as Plugin,
        listLimit,
        upToDate,
        mutations,
        codes,
        { onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe) } satisfies Plugin,
      ],
    })
  }

  /** Answers an HTTP request whose body, if any, has been read. */
  async answer(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<Response> {
    const viewer = this.#viewerOf(request.headers.authorization ?? null)
    viewer.catch(() => {}) // not every request waits for it
    return this.#yoga.handleNodeRequestAndResponse(request, response, { requestId, viewer })
  }

  /** Prepares an operation that came over WebSocket. What is wrong with it is thrown, or returned. */
  async prepare(
    payload: SubscribePayload,
    viewer: Viewer | null,
    requestId: string,
    sink: Sink,
  ): Promise<Prepared | readonly GraphQLError[]> {
    const { query, operationName, variables } = payload
    const { schema, parse, validate, contextFactory, execute, subscribe } = this.#yoga.getEnveloped({
      params: payload,
      viewer,
      requestId,
      sink,
    })
    const document = parse(query)
    const errors = validate(schema, document)
    if (errors.length) return errors
    return {
      args: { schema, document, operationName, variableValues: variables, contextValue: await contextFactory() },
      execute,
      subscribe,
    }
  }
}
