import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { commits } from '../commit/commit.ts'
import type { Config } from '../operator/config.ts'
import { connect } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { migrate, migrationStatus, refuse } from '../database/migrate.ts'
import { Busy, DomainError, OutcomeUnknown, Unavailable } from '../commit/errors.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { openDatabase } from './openDatabase.ts'
import { commandLine, quietLog } from '../operator/print.ts'

/** The way in for an import. */
type Way = Pick<ReturnType<typeof commits>, 'commit'> & { readonly db: ReturnType<typeof connect> }

/** How an import learns that the operator wants it to end. */
interface Interruption {
  readonly signal: AbortSignal
  /** Ends it with this sentence, if so. */
  stopIfTold(sentence: string): void
}

/**
 * For a dry run: nothing is written, so nothing is migrated either, and a data folder that isn't there is not made.
 * `empty` is for where there is nothing yet.
 */
export async function lookOnly<T>(
  config: Config,
  { empty, found }: { empty: () => T; found: (way: Way) => Promise<T> },
): Promise<T> {
  if (config.databaseUrl === undefined && (await isVacant(config.data))) return empty()
  const database = await openDatabase(config, quietLog)
  try {
    const status = await migrationStatus(database.url)
    refuse(status)
    const pending = status.filter(({ state }) => state === 'pending')
    if (pending.length === status.length) return empty()
    if (pending.length) {
      const sentence = `The database is at an older version (${pending[0]!.name} is the first migration that is pending), and a dry run does not migrate. Run ${commandLine('migrate')} first.`
      throw new OperatorError(sentence, exitCode.data)
    }
    return await using(database.url, config, found)
  } finally {
    await database.close()
  }
}

const isVacant = (folder: string) =>
  readdir(path.join(folder, 'postgres')).then(
    (names) => names.length === 0,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )

/**
 * Works on a database that is brought up to date first. A Ctrl-C is told to the work, which ends in order; a second
 * ends it at once.
 */
export async function writing<T>(
  config: Config,
  work: (way: Way, interruption: Interruption) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController()
  const { signal } = interrupted
  const interrupt = (signal: NodeJS.Signals) => interrupted.abort(signal)
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt) // once: the second ends it at once
  const stopIfTold = (sentence: string) => {
    if (signal.aborted) throw new OperatorError(sentence, signal.reason === 'SIGINT' ? 130 : 143)
  }
  try {
    const database = await openDatabase(config, quietLog)
    try {
      stopIfTold('Interrupted. Nothing was imported.')
      await migrate(database.url)
      return await using(database.url, config, (way) => {
        stopIfTold('Interrupted. Nothing was imported.')
        return work(way, { signal, stopIfTold })
      })
    } finally {
      await database.close()
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

/** Enough connections for the batches in flight; a server may be using the same database. */
async function using<T>(url: string, config: Config, work: (way: Way) => Promise<T>): Promise<T> {
  const db = connect(url, { ...config.pool, size: 0, max: Math.min(config.pool.max, 12) })
  const { commit, drained } = commits(db)
  try {
    return await work({ db, commit })
  } catch (error) {
    if (error instanceof Unavailable || isDisconnection(error))
      throw new OperatorError(
        'The database went away. What was committed stays; run the same import again.',
        exitCode.unavailable,
      )
    if (error instanceof Busy || error instanceof OutcomeUnknown)
      throw new OperatorError(`${error.message} Run the same import again.`, exitCode.temporary)
    if (error instanceof DomainError) throw new OperatorError(error.message, exitCode.data)
    throw error
  } finally {
    await drained()
    await db.$disconnect()
  }
}
