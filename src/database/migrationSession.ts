import pg from 'pg'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { inSession } from './session.ts'

/** The advisory lock that `prisma migrate` takes, so that neither runs while the other does. */
const PRISMA_LOCK = 72_707_369

/**
 * How long to wait for another process that migrates, and for a table that is in use: all other users of the table wait
 * meanwhile.
 */
const PATIENCE = { lock: '60s', table: '10s' }

const LOCK_NOT_AVAILABLE = '55P03'

/** Works in a session of its own, while no other process migrates the database. Its end frees the lock. */
export function inMigrationSession<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return inSession(url, async (client) => {
    await client.query(
      `set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = '${PATIENCE.lock}'`,
    )
    try {
      await client.query('select pg_advisory_lock($1)', [PRISMA_LOCK])
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE)) throw error
      throw new OperatorError(
        `Another process has been migrating the database for more than ${PATIENCE.lock}. Try again when it is done.`,
        exitCode.temporary,
      )
    }
    await client.query(`set lock_timeout = '${PATIENCE.table}'`)
    return work(client)
  })
}

/**
 * Runs `work` in a transaction. If the database refuses it, throws an OperatorError that begins with `subject`, such as
 * `The migration x`; nothing has changed then.
 */
export async function inMigrationTransaction(
  client: pg.Client,
  subject: string,
  work: () => Promise<void>,
): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {}) // the connection may be gone, and the transaction with it
    if (!(error instanceof pg.DatabaseError)) throw error
    const { code, message, detail } = error
    const problem = [message, detail].filter(Boolean).join('; ')
    const [advice, exit] =
      code === LOCK_NOT_AVAILABLE
        ? ['A table was in use for too long; try again.', exitCode.temporary]
        : ['The database is as it was before.', exitCode.data]
    throw new OperatorError(`${subject} failed and was rolled back: ${problem} (SQLSTATE ${code}). ${advice}`, exit)
  }
}
