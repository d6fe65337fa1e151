import { Prisma } from '../generated/prisma/client.ts'

/**
 * The SQLSTATE of a database error, in whichever of its shapes Prisma passed it on; 08006 for a lost connection.
 * Undefined for any other error.
 */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, meta, cause: bare } = error as DatabaseError // no library exports a type for all of these
  const cause = meta?.driverAdapterError?.cause ?? bare
  if (cause?.originalCode) return cause.originalCode
  // pg's own; Prisma's codes, and Node's EPIPE, have five characters too
  if (code && /^[0-9A-Z]{5}$/.test(code) && !/^(P[1-9]\d{3}|E[A-Z]{4})$/.test(code)) return code
  if (code === 'P2034' || cause?.kind === 'TransactionWriteConflict') return '40001'
  if (code === 'P2002' || cause?.kind === 'UniqueConstraintViolation') return '23505'
  if (code === 'P2028') return error.message.includes('Unable to start a transaction') ? '53300' : '25P03'
  if (cause?.kind === 'TooManyConnections') return '53300'
  if (
    LOST.test(error.message) ||
    ['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout'].includes(cause?.kind ?? '') ||
    /^(P10(01|02|08|17)|E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_AGAIN).*)$/.test(code ?? '')
  )
    return '08006'
  return undefined
}

/** The fields that errors of Prisma, of its adapter, of pg and of Node have. */
interface DatabaseError {
  readonly code?: string
  readonly meta?: { readonly driverAdapterError?: { readonly cause?: Cause } }
  readonly cause?: Cause
}
interface Cause {
  readonly originalCode?: string
  readonly kind?: string
}

const LOST = new RegExp(
  [
    'Query read timeout',
    'not queryable',
    'Connection terminated',
    'Connection ended',
    'ECONNRE',
    'ENOTFOUND',
    'EPIPE',
    'timeout exceeded when trying to connect',
    'Client was closed',
    'client has encountered a connection error',
    "Can't reach database server",
  ].join('|'),
  'i',
)

/** Another transaction was in the way: the same work may succeed when it is begun again. */
export const isTransient = (error: unknown) => /^(40001|40P01)$/.test(sqlState(error) ?? '')

/** A lock was not granted in time. */
export const isLockTimeout = (error: unknown) => sqlState(error) === '55P03'

/** A statement took too long: the database has too much to do, and half a batch would take as long. */
export const isStatementTimeout = (error: unknown) => sqlState(error) === '57014'

/** Another transaction inserted the same key first: begun again, this one will see that row. */
export const isRace = (error: unknown) => sqlState(error) === '23505'

/** The connection was lost or refused, or the server is starting or stopping. */
export const isDisconnection = (error: unknown) => /^(08...|57P0.|53300|25P0[34])$/.test(sqlState(error) ?? '')

/** An argument has the character NUL, which no text in PostgreSQL can have: nothing can be found by it. */
export const isImpossibleText = (error: unknown) => sqlState(error) === '22021'

/** Prisma cannot use an argument, such as a cursor that this server has not given. */
export const isImpossibleArgument = (error: unknown) => error instanceof Prisma.PrismaClientValidationError
