import { Prisma } from '../generated/prisma/client.ts'

/**
 * The SQLSTATE of a database error, in whichever of its shapes Prisma passed it on; 08006 for a connection that was
 * lost.
 */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, meta, cause: bare } = error as Prismas
  const cause = meta?.driverAdapterError?.cause ?? bare
  if (cause?.originalCode) return cause.originalCode
  if (code && /^[0-9A-Z]{5}$/.test(code) && !/^(P[1-9]\d{3}|E[A-Z]{4})$/.test(code)) return code // pg's own; Prisma's, and Node's EPIPE, have five characters too
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

interface Prismas {
  readonly code?: string
  readonly meta?: { readonly driverAdapterError?: { readonly cause?: Cause } }
  readonly cause?: Cause
}
interface Cause {
  readonly originalCode?: string
  readonly kind?: string
}

const LOST =
  /Query read timeout|not queryable|Connection terminated|Connection ended|ECONNRE|ENOTFOUND|EPIPE|timeout exceeded when trying to connect|Client was closed|client has encountered a connection error|Can't reach database server/i

/** Nothing is wrong with the work itself: the same transaction may succeed when it is begun again. */
export const isTransient = (error: unknown) => ['40001', '40P01'].includes(sqlState(error)!)

/** A lock was waited for in vain. */
export const isLockTimeout = (error: unknown) => sqlState(error) === '55P03'

/** A statement took longer than it may: the database has too much to do, which halving a batch would not mend. */
export const isStatementTimeout = (error: unknown) => sqlState(error) === '57014'

/** Somebody else was first: begun again, the transaction will see what they wrote. */
export const isRace = (error: unknown) => sqlState(error) === '23505'

/** The connection was lost, could not be had, or the server is going or coming. */
export const isDisconnection = (error: unknown) => /^(08...|57P0.|53300|25P0[34])$/.test(sqlState(error) ?? '')

/** A text that PostgreSQL can't hold, since it has the character NUL: whatever was asked with it can't be meant. */
export const isImpossibleText = (error: unknown) => sqlState(error) === '22021'

/** An argument that Prisma can't use, such as a cursor that was not given by us. */
export const isImpossibleArgument = (error: unknown) => error instanceof Prisma.PrismaClientValidationError
