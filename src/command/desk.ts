import { readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Desk } from '../api/command.ts'
import type { Workplace } from '../api/workplace.ts'
import { commits } from '../commit/commit.ts'
import { Busy, DomainError, OutcomeUnknown, Unavailable } from '../commit/errors.ts'
import { connect } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { migrate, migrationStatus, refuse } from '../database/migrate.ts'
import type { Config, PoolOptions } from '../operator/config.ts'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { commandLine, quietLog } from '../operator/print.ts'
import { interruptible } from './interruption.ts'
import { openDatabase } from './openDatabase.ts'

const HOUR_MS = 3_600_000

/** Of a command whose statements may each take an hour, as those over the whole journal do. */
export const patientDesk = (config: Config) => desk(config, { statementTimeoutMs: HOUR_MS })

/** The operator's database, or the embedded one, for one command. */
export function desk(config: Config, differences: Partial<PoolOptions> = {}): Desk {
  // enough connections for the batches in flight; a server may be using the same database
  const pool = { ...config.pool, size: 0, max: Math.min(config.pool.max, 12), ...differences }
  return {
    async look({ empty, found }) {
      if (config.databaseUrl === undefined && (await isVacant(config.data))) return empty()
      return opened(config, async (url) => ((await isMigrated(url)) ? connected(url, pool, found) : empty()))
    },
    work: (work) =>
      interruptible((interruption) =>
        opened(config, async (url) => {
          interruption.stopIfInterrupted('Interrupted. Nothing was changed.')
          await migrate(url)
          return connected(url, pool, (at) => {
            interruption.stopIfInterrupted('Interrupted. Nothing was changed.')
            return work({ ...at, ...interruption })
          })
        }),
      ),
  }
}

const isVacant = (folder: string) =>
  readdir(path.join(folder, 'postgres')).then(
    (names) => names.length === 0,
    (error: unknown) => errorCode(error) === 'ENOENT',
  )

async function opened<T>(config: Config, work: (url: string) => Promise<T>): Promise<T> {
  const database = await openDatabase(config, quietLog)
  try {
    return await work(database.url)
  } finally {
    await database.close()
  }
}

/** False for a database without any migration. Throws if some are pending. */
async function isMigrated(url: string): Promise<boolean> {
  const status = await migrationStatus(url)
  refuse(status)
  const pending = status.filter(({ state }) => state === 'pending')
  if (pending.length === 0) return true
  if (pending.length === status.length) return false
  const sentence =
    `The database is at an older version (${pending[0]!.name} is the first migration that is pending), and a ` +
    `command that only reads does not migrate. Run ${commandLine('migrate')} first.`
  throw new OperatorError(sentence, exitCode.data)
}

async function connected<T>(url: string, pool: PoolOptions, work: (at: Workplace) => Promise<T>): Promise<T> {
  const db = connect(url, pool)
  const { commit, drained } = commits(db)
  try {
    return await work({ db, commit })
  } catch (error) {
    throw explained(error)
  } finally {
    await drained()
    await db.$disconnect()
  }
}

function explained(error: unknown): unknown {
  if (error instanceof Unavailable || isDisconnection(error)) {
    const sentence = 'The database went away. What was committed stays; run the same command again.'
    return new OperatorError(sentence, exitCode.unavailable)
  }
  if (error instanceof Busy || error instanceof OutcomeUnknown)
    return new OperatorError(`${error.message} Run the same command again.`, exitCode.temporary)
  return error instanceof DomainError ? new OperatorError(error.message, exitCode.data) : error
}
