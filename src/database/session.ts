import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { withoutPassword } from '../operator/config.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { connectionTo } from './connection.ts'
import { TO_POSTGRESQL, unreachable } from './unreachable.ts'

/** The oldest PostgreSQL that Lockstep works with. */
const OLDEST = 15

/**
 * Runs `work` on a connection of its own, outside the pool: for work that needs a session to itself, or that precedes
 * the pool. If the database cannot be reached, or not be used, throws an OperatorError that says what was found and
 * what to do, without the password. `withinMs` limits the wait for the connection and for each answer, in ms.
 */
export async function inSession<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  { withinMs }: { withinMs?: number | undefined } = {},
): Promise<T> {
  const mark = randomUUID()
  const client = new pg.Client({
    ...connectionTo(url, `-c lockstep.mark=${mark}`),
    application_name: 'lockstep',
    connectionTimeoutMillis: withinMs ?? 10_000,
    ...(withinMs !== undefined && { query_timeout: withinMs }),
  })
  client.on('error', () => {}) // a query that is under way fails too; without one, the loss does no harm
  try {
    await client.connect()
    refuse(url, mark, await findingsOf(client))
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

/** What a session says about its server. */
interface Findings {
  readonly version: string
  readonly number: number
  /** The mark that the connection was opened with; null if it did not arrive. */
  readonly mark: string | null
}

async function findingsOf(client: pg.Client): Promise<Findings> {
  const { rows } = await client.query<Findings>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
      current_setting('lockstep.mark', true) as mark`,
  )
  return rows[0]!
}

/** Throws if Lockstep can't work with this server, or not through what stands before it. */
function refuse(url: string, mark: string, found: Findings): void {
  const database = withoutPassword(url)
  if (found.number < OLDEST * 10_000) {
    throw new OperatorError(
      `The database ${database} is PostgreSQL ${found.version}, and Lockstep needs ${OLDEST} or newer. ` +
        'Set DATABASE_URL to one.',
      exitCode.unavailable,
    )
  }
  // A pooler that lends its own sessions can't give each of them a mark that it has never seen before.
  if (found.mark !== mark) {
    throw new OperatorError(
      `The database ${database} cannot be used: a connection pooler stands before it, and the settings of a session ` +
        `are lost there. ${TO_POSTGRESQL}`,
      exitCode.unavailable,
    )
  }
}
