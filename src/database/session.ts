import pg from 'pg'
import { withoutPassword } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { unreachable } from './unreachable.ts'

/** The oldest PostgreSQL that Lockstep works with. */
const OLDEST = 15

/**
 * Runs `work` on a connection of its own, outside the pool: for work that needs a session to itself, or that precedes
 * the pool. If the database cannot be reached, throws an OperatorError that says what was found and what to do, without
 * the password. `withinMs` limits the wait for the connection and for each answer, in ms.
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
  client.on('error', () => {}) // a query that is under way fails too; without one, the loss does no harm
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; number: number }>(
      "select current_setting('server_version') as version, current_setting('server_version_num')::int as number",
    )
    const { version, number } = rows[0]!
    if (number < OLDEST * 10_000) {
      throw new OperatorError(
        `The database ${withoutPassword(url)} is PostgreSQL ${version}, and Lockstep needs ${OLDEST} or newer. ` +
          'Set DATABASE_URL to one.',
        exitCode.unavailable,
      )
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
