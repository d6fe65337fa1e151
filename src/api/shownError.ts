import { getOperationAST, GraphQLError, OperationTypeNode } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { DomainError, Unavailable } from '../commit/errors.ts'
import {
  isDisconnection,
  isImpossibleArgument,
  isImpossibleText,
  isLockTimeout,
  isStatementTimeout,
} from '../database/conflict.ts'
import type { Log } from '../operator/log.ts'

/** An error of ours for a client: a code for programs, a sentence for people. */
export const problem = (code: string, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code } })

/**
 * An error as a client is shown it: a code and a sentence, and nothing of our insides. What is our fault is logged at
 * level error; what is the client's is not.
 */
export function shownError(error: unknown, log: Log): GraphQLError {
  const found = error instanceof GraphQLError ? error : undefined
  const original = found ? found.originalError : error
  if (found && !original) return found // GraphQL's own, or ours
  const { path, nodes } = found ?? {}
  const shown = (code: string, message: string) => new GraphQLError(message, { path, nodes, extensions: { code } })
  /** Of a mutation's answer: what could not be read says nothing of what was done. */
  const unread = (code: string, message: string) =>
    shown(code, found && ofMutations.has(found) ? `${message} ${MAYBE_DONE}` : message)

  if (isDisconnection(original) || original instanceof Unavailable) return unread('UNAVAILABLE', UNAVAILABLE)
  if (isStatementTimeout(original) || isLockTimeout(original)) {
    log.warn({ err: original, path }, 'A query took too long.')
    return unread('QUERY_TOO_SLOW', TOO_SLOW)
  }
  if (original instanceof DomainError) return shown(original.code, original.message)
  if (original instanceof GraphQLError)
    return new GraphQLError(original.message, { path, nodes, extensions: original.extensions })
  if (isImpossibleText(original))
    return shown('BAD_REQUEST', 'An argument contains the character NUL, which is not allowed.')
  if (isImpossibleArgument(original)) {
    log.warn({ err: original, path }, 'A query had an argument that could not be used.')
    return shown('BAD_REQUEST', 'An argument cannot be used. A cursor must be one that this connection returned.')
  }
  log.error({ err: original, path }, 'A query failed.')
  return unread('INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
}

const UNAVAILABLE = 'The database cannot be reached at the moment, so this could not be read. Try again in a moment.'
const TOO_SLOW =
  'This took the database longer than a query may. Ask for less at a time, or try again when there is less to do.'

/** Errors in the answers to mutations. */
const ofMutations = new WeakSet<GraphQLError>()
const MAYBE_DONE = 'What was asked may have been carried out: look, or ask again with the same idempotencyKey.'

/** Remembers which errors are in the answers to mutations, for `shownError`. */
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
 * An error of GraphQL's own (syntax, validation, limits, a value that can't be coerced) with a code, and without the
 * parser's stack. `more` is added to the extensions where there was no code.
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
 * Gives codes to the errors of each answer over HTTP. Where nothing was executed, the status is 400, or 200 for clients
 * that want that with `application/json`.
 */
export const codes: Plugin = {
  onResultProcess({ result, setResult }) {
    if (!('errors' in result) || !result.errors || result.errors.every(isCoded)) return
    const status = 'data' in result ? {} : { http: { status: 400, spec: true } }
    setResult({ ...result, errors: result.errors.map((error) => coded(error, status)) })
  },
}
