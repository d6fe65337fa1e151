import { getOperationAST, GraphQLError, OperationTypeNode } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import type { Logger } from 'pino'
import {
  isDisconnection,
  isImpossibleArgument,
  isImpossibleText,
  isLockTimeout,
  isStatementTimeout,
} from '../database/conflict.ts'
import { DomainError, Unavailable } from '../commit/errors.ts'

/** What a client is told of an error that is no answer: a code and a sentence, and nothing of our insides. */
export function shownError(error: unknown, log: Logger): Error {
  const original = error instanceof GraphQLError ? error.originalError : error
  if (original === undefined || original === null) return error as GraphQLError // GraphQL's own, or ours
  const { path, nodes } = error instanceof GraphQLError ? error : {}
  const told = (code: string, message: string) =>
    new GraphQLError(ofMutations.has(error as object) ? `${message} ${MAYBE_DONE}` : message, {
      path,
      nodes,
      extensions: { code },
    })
  if (isDisconnection(original) || original instanceof Unavailable)
    return told(
      'UNAVAILABLE',
      'The database cannot be reached just now, so that this could not be read. Try again in a moment.',
    )
  if (isStatementTimeout(original) || isLockTimeout(original)) {
    log.warn({ err: original, path }, 'A query took too long.')
    return told(
      'QUERY_TOO_SLOW',
      'This took the database longer than a query may. Ask for less at a time, or try again when there is less to do.',
    )
  }
  if (original instanceof DomainError)
    return new GraphQLError(original.message, { path, nodes, extensions: { code: original.code } })
  if (original instanceof GraphQLError)
    return new GraphQLError(original.message, { path, nodes, extensions: original.extensions })
  if (isImpossibleText(original))
    return new GraphQLError('An argument contains the character NUL, which nothing here does.', {
      path,
      nodes,
      extensions: { code: 'BAD_REQUEST' },
    })
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
export const mutations: Plugin = {
  onExecute: ({ args }) =>
    getOperationAST(args.document, args.operationName)?.operation === OperationTypeNode.MUTATION
      ? {
          onExecuteDone({ result }) {
            if ('errors' in result) for (const error of result.errors ?? []) ofMutations.add(error)
          },
        }
      : undefined,
}

/**
 * An error of GraphQL's own (syntax, validation, limits, a value that can't be coerced) has a code, too, and no
 * parser's stack.
 */
export function coded(error: GraphQLError, more: object = {}): GraphQLError {
  if (isCoded(error)) return error
  const { originalError: _, ...own } = error.extensions
  const extensions = own.code ? own : { code: 'BAD_REQUEST', ...more, ...own }
  const { message, nodes, source, positions, path } = error
  return new GraphQLError(message, { nodes, source, positions, path, extensions })
}

const isCoded = ({ extensions }: { extensions?: Record<string, unknown> }) =>
  extensions?.code && !('originalError' in extensions)

/**
 * Gives codes to the errors of each answer over HTTP; and where nothing was executed, status 400, except for clients
 * that want 200 with `application/json`.
 */
export const codes: Plugin = {
  onResultProcess({ result, setResult }) {
    const all = Array.isArray(result) ? result : [result]
    if (all.every((one) => !('errors' in one) || one.errors?.every(isCoded))) return
    const codedAll = all.map((one) => {
      if (!('errors' in one) || !one.errors) return one
      const status = 'data' in one ? {} : { http: { status: 400, spec: true } }
      return { ...one, errors: one.errors.map((error) => coded(error, status)) }
    })
    setResult((Array.isArray(result) ? codedAll : codedAll[0]) as never)
  },
}
