import { commits, type Commit } from '../commit/commit.ts'
import { parseConfig } from '../operator/config.ts'
import { connect, type Db } from '../database/client.ts'
import { migrate } from '../database/migrate.ts'
import { DomainError } from '../commit/errors.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { openDatabase } from './openDatabase.ts'
import { quietLog } from '../operator/print.ts'

const HOUR_MS = 3_600_000

/**
 * Works on the operator's database, or the embedded one, brought up to date first; what a verb refuses is told as it
 * is.
 */
export async function withDatabase(work: (at: { db: Db; commit: Commit }) => Promise<void>) {
  const config = parseConfig()
  const database = await openDatabase(config, quietLog)
  try {
    await migrate(database.url)
    // what an operator asks for may take a while
    const db = connect(database.url, { ...config.pool, size: 0, max: 2, statementTimeoutMs: HOUR_MS })
    try {
      await work({ db, commit: commits(db).commit })
    } catch (error) {
      throw error instanceof DomainError ? new OperatorError(error.message, exitCode.data) : error
    } finally {
      await db.$disconnect()
    }
  } finally {
    await database.close()
  }
}
