import pg from 'pg'
import { withoutPassword } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'

/** The oldest PostgreSQL that Lockstep works with. */
const oldest = 15

/**
 * Does something on a connection of its own, outside the pool, for what needs a session to itself or comes before there
 * is a pool. If the database can't be reached, whoever runs the program is told what was found and what to do, without
 * the password. With `withinMs`, neither the connection nor any one answer is waited for longer.
 */
export async function inSession<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  { withinMs }: { withinMs?: number | undefined } = {},
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'lockstep',
    connectionTimeoutMillis: withinMs ?? 10_000,
    ...(withinMs !== undefined && { query_timeout: withinMs }),
    options: '-c TimeZone=UTC',
  })
  client.on('error', () => {}) // a query that is under way fails too; without one, nobody minds
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; number: number }>(
      "select current_setting('server_version') as version, current_setting('server_version_num')::int as number",
    )
    const { version, number } = rows[0]!
    if (number < oldest * 10_000) {
      const sentence = `The database ${withoutPassword(url)} is PostgreSQL ${version}, and Lockstep needs ${oldest} or newer. Set DATABASE_URL to one.`
      throw new OperatorError(sentence, exitCode.unavailable)
    }
  } catch (error) {
    await client.end().catch(() => {})
    throw unreachable(error, url)
  }
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * What PostgreSQL, the network or the driver say about a connection that failed, as a sentence for whoever set
 * DATABASE_URL.
 */
function unreachable(error: unknown, url: string): unknown {
  if (error instanceof OperatorError) return error
  const { code = '', message = '' } = (error instanceof AggregateError ? error.errors[0] : error) as pg.DatabaseError &
    NodeJS.ErrnoException
  const shown = withoutPassword(url)
  const { username, pathname, host, hostname } = URL.canParse(url)
    ? new URL(url)
    : { username: '?', pathname: '/?', host: '?', hostname: '?' }
  const failed = (found: string, what: string, exit: number) =>
    new OperatorError(`The database ${shown} cannot be used: ${found}. ${what}`, exit)
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return failed(
        `nothing listens at ${host}`,
        'Start PostgreSQL there, or correct DATABASE_URL.',
        exitCode.unavailable,
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failed(
        `there is no host named ${hostname}`,
        'Correct the host in DATABASE_URL, or the name service.',
        exitCode.unavailable,
      )
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ECONNRESET':
      return failed(
        `${host} cannot be reached (${code})`,
        'Look at the network and the firewall, or correct DATABASE_URL.',
        exitCode.unavailable,
      )
    case '28P01':
      return failed(
        `the password for the user ${username} was not accepted`,
        'Correct the user or the password in DATABASE_URL.',
        exitCode.permission,
      )
    case '28000':
      return failed(
        `the user ${username} may not connect (${message})`,
        'Correct the user in DATABASE_URL, or let them in pg_hba.conf.',
        exitCode.permission,
      )
    case '42501':
      return failed(
        `the user ${username} may not connect to it (${message})`,
        'Grant the user CONNECT, or correct DATABASE_URL.',
        exitCode.permission,
      )
    case '3D000':
      return failed(
        `there is no database ${pathname.slice(1)}`,
        `Create it (create database "${decodeURIComponent(pathname.slice(1))}"), or correct DATABASE_URL.`,
        exitCode.unavailable,
      )
    case '53300':
      return failed(
        'it has no connection left',
        'Raise its max_connections, or lower DATABASE_POOL_MAX.',
        exitCode.temporary,
      )
    case '57P03':
    case '57P01':
      return failed('it is starting or stopping', 'Try again in a moment.', exitCode.temporary)
  }
  if (/timeout/i.test(message))
    return failed(
      `${host} did not answer within 10 seconds`,
      'Look at the network and the firewall, or correct DATABASE_URL.',
      exitCode.unavailable,
    )
  if (/SSL|certificate|self.signed/i.test(message))
    return failed(
      `no encrypted connection came about (${message})`,
      'Set sslmode in DATABASE_URL as the server wants it.',
      exitCode.unavailable,
    )
  if (/terminated|password must be a string|SASL/.test(message))
    return failed(
      `it ended the connection (${message})`,
      'Is it PostgreSQL, and does DATABASE_URL have a password?',
      exitCode.unavailable,
    )
  return error
}
