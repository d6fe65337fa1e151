import type pg from 'pg'
import { withoutPassword } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'

interface Address {
  readonly user: string
  readonly host: string
  readonly hostname: string
  readonly database: string
}

/** What was found, what the operator can do, and the exit code. */
type Finding = readonly [found: string, advice: string, exit: number]
type Explain = (address: Address, message: string, code: string) => Finding

const refused: Explain = ({ host }) => [
  `nothing listens at ${host}`,
  'Start PostgreSQL there, or correct DATABASE_URL.',
  exitCode.unavailable,
]
const unresolved: Explain = ({ hostname }) => [
  `there is no host named ${hostname}`,
  'Correct the host in DATABASE_URL, or the name service.',
  exitCode.unavailable,
]
const unreached: Explain = ({ host }, _, code) => [
  `${host} cannot be reached (${code})`,
  'Look at the network and the firewall, or correct DATABASE_URL.',
  exitCode.unavailable,
]
const stopping: Explain = () => ['it is starting or stopping', 'Try again in a moment.', exitCode.temporary]

/** By the code of the error: Node's, or PostgreSQL's SQLSTATE. */
const byCode: Readonly<Record<string, Explain>> = {
  ECONNREFUSED: refused,
  ENOENT: refused,
  ENOTFOUND: unresolved,
  EAI_AGAIN: unresolved,
  ETIMEDOUT: unreached,
  EHOSTUNREACH: unreached,
  ENETUNREACH: unreached,
  ECONNRESET: unreached,
  '57P01': stopping,
  '57P03': stopping,
  '28P01': ({ user }) => [
    `the password for the user ${user} was not accepted`,
    'Correct the user or the password in DATABASE_URL.',
    exitCode.permission,
  ],
  '28000': ({ user }, message) => [
    `the user ${user} may not connect (${message})`,
    'Correct the user in DATABASE_URL, or let them in pg_hba.conf.',
    exitCode.permission,
  ],
  '42501': ({ user }, message) => [
    `the user ${user} may not connect to it (${message})`,
    'Grant the user CONNECT, or correct DATABASE_URL.',
    exitCode.permission,
  ],
  '3D000': ({ database }) => [
    `there is no database ${database}`,
    `Create it (create database "${decodeURIComponent(database)}"), or correct DATABASE_URL.`,
    exitCode.unavailable,
  ],
  '53300': () => [
    'it has no connection left',
    'Raise its max_connections, or lower DATABASE_POOL_MAX.',
    exitCode.temporary,
  ],
}

/** What to do about a pooler. */
export const TO_POSTGRESQL =
  'Lockstep has a pool of its own; set DATABASE_URL to the address of PostgreSQL itself, without PgBouncer.'

/** By the driver's message, for errors without a code. */
const byMessage: readonly (readonly [RegExp, Explain])[] = [
  [
    /unsupported startup parameter/,
    (_, message) => [
      `a connection pooler stands before it, which refuses the settings of a session (${message})`,
      TO_POSTGRESQL,
      exitCode.unavailable,
    ],
  ],
  [
    /timeout/i,
    ({ host }) => [
      `${host} did not answer within 10 seconds`,
      'Look at the network and the firewall, or correct DATABASE_URL.',
      exitCode.unavailable,
    ],
  ],
  [
    /SSL|certificate|self.signed/i,
    (_, message) => [
      `no encrypted connection could be made (${message})`,
      'Set sslmode in DATABASE_URL as the server wants it.',
      exitCode.unavailable,
    ],
  ],
  [
    /terminated|password must be a string|SASL/,
    (_, message) => [
      `it ended the connection (${message})`,
      'Is it PostgreSQL, and does DATABASE_URL have a password?',
      exitCode.unavailable,
    ],
  ],
]

/**
 * The error of a connection that failed, as an OperatorError for the person who set DATABASE_URL: what was found and
 * what to do, without the password. An error that is not understood is returned as it is.
 */
export function unreachable(error: unknown, url: string): unknown {
  if (error instanceof OperatorError) return error
  // Node and pg don't say by type which errors they throw
  const { code = '', message = '' } = (error instanceof AggregateError ? error.errors[0] : error) as pg.DatabaseError
  const explain = byCode[code] ?? byMessage.find(([pattern]) => pattern.test(message))?.[1]
  if (!explain) return error
  const [found, advice, exit] = explain(addressOf(url), message, code)
  return new OperatorError(`The database ${withoutPassword(url)} cannot be used: ${found}. ${advice}`, exit)
}

function addressOf(url: string): Address {
  if (!URL.canParse(url)) return { user: '?', host: '?', hostname: '?', database: '?' }
  const { username, host, hostname, pathname } = new URL(url)
  return { user: username, host, hostname, database: pathname.slice(1) }
}
