import { randomUUID } from 'node:crypto'
import { type ExecutionArgs, type ExecutionResult, getOperationAST, type GraphQLError } from 'graphql'
import type { SubscribePayload } from 'graphql-ws'
import type { Sink, Viewer } from '../api/context.ts'
import { problem } from '../api/shownError.ts'
import type { Socket } from './socket.ts'
import { closing } from './wire.ts'

export type Result = ExecutionResult | AsyncIterable<ExecutionResult>

/** An operation that is parsed, checked against all limits, and has its context. */
export interface Prepared {
  readonly args: ExecutionArgs
  execute(args: ExecutionArgs): Promise<Result> | Result
  subscribe(args: ExecutionArgs): Promise<Result> | Result
}

export interface PrepareOptions {
  /** Prepares an operation. What is wrong with it is thrown, or returned as GraphQL's own errors. */
  prepare(
    payload: SubscribePayload,
    viewer: Viewer | null,
    requestId: string,
    sink: Sink,
  ): Promise<Prepared | readonly GraphQLError[]>
  viewerOf(authorization: string | null): Promise<Viewer | null>
  /** The most operations of one connection. */
  readonly perConnection: number
}

/**
 * Prepares an operation of a socket for its viewer: the one of its own token, if it has one, or the one who connected.
 * Resolves with errors if it must not be carried out. If the connection's session has ended, closes the socket as well.
 */
export async function prepare(
  socket: Socket,
  id: string,
  payload: SubscribePayload,
  underWay: number,
  { perConnection, viewerOf, prepare }: PrepareOptions,
): Promise<Prepared | readonly GraphQLError[]> {
  if (underWay > perConnection) return [tooMany(perConnection)]
  const own = tokenIn(payload.extensions?.headers)
  const viewer = await viewerOf(own ?? socket.token ?? null)
  if (!viewer && own) return [problem('UNAUTHENTICATED', OWN_TOKEN)]
  if (!viewer && socket.token) {
    socket.wire.close(closing.unauthorized, 'The session has ended.')
    return [problem('UNAUTHENTICATED', 'Your session has ended.')]
  }
  const prepared = await prepare(payload, viewer, randomUUID(), socket.wire.sink(id, own === undefined))
  if ('args' in prepared && !getOperationAST(prepared.args.document, prepared.args.operationName))
    return [problem('BAD_REQUEST', 'There is no operation of that name, or there are several and none is named.')]
  return prepared
}

const OWN_TOKEN = 'The token among the headers of this operation is not valid, or its session has ended.'

const tooMany = (most: number) =>
  problem(
    'TOO_MANY_SUBSCRIPTIONS',
    `This connection has ${most} operations under way, which is the most for one. End some first.`,
  )

/** The token in an object that a client sent. The case of its name does not matter. */
export function tokenIn(headers: unknown): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined
  const [, token] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization') ?? []
  return typeof token === 'string' && token ? token : undefined
}
