import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { checksum, matches, type Migration, readMigrations } from './migrationFolder.ts'
import { inSession } from './session.ts'

/** How a migration stands in a database. */
export interface MigrationStatus {
  readonly name: string
  /**
   * `pending`: not applied yet. `edited`: its file is not the one that was applied. `missing`: applied, and there is no
   * such file; a newer version was here. `failed`: begun by `prisma migrate` and not finished.
   */
  readonly state: 'applied' | 'pending' | 'edited' | 'missing' | 'failed'
}

/** How far, from where, and who is told. */
export interface MigrateOptions {
  /** The last migration that is to be applied: its folder's name, or what follows the time in it. */
  readonly to?: string
  /** For tests: another prisma/migrations. */
  readonly folder?: string
  readonly log?: { info(message: string): void }
}

/** The advisory lock that `prisma migrate` takes, so that neither runs while the other does. */
const prismaLock = 72_707_369

/**
 * How long one that migrates is waited for, and how long a migration waits for a table that is in use, all other users
 * waiting behind it.
 */
const patience = { lock: '60s', table: '10s' }

/**
 * Applies what is not applied yet, each migration in a transaction of its own together with its record. The records are
 * those of `prisma migrate deploy`, which can go on where this has stopped, and the other way round. Returns the names
 * of what was applied.
 */
export function migrate(url: string, { to, folder, log }: MigrateOptions = {}): Promise<string[]> {
  return locked(url, folder, async (client, migrations, records) => {
    refuse(compare(migrations, records))
    const last = to === undefined ? migrations.length - 1 : find(migrations, to)
    const pending = migrations
      .slice(0, last + 1)
      .filter(({ name }) => !records.some((record) => record.migration_name === name))
    if (pending.length > 0) await client.query(table)
    for (const migration of pending) {
      await inTransaction(client, `The migration ${migration.name}`, async () => {
        await client.query(migration.up)
        await client.query(
          `insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
           values ($1, $2, $3, now(), clock_timestamp(), 1)`,
          [randomUUID(), checksum(migration), migration.name],
        )
      })
      log?.info(`Applied the migration ${migration.name}.`)
    }
    return pending.map(({ name }) => name)
  })
}

/**
 * Undoes what was applied after `to`, last first, by each one's down.sql; `none` undoes all. What only those tables
 * held is lost. Returns the names of what was undone.
 */
export function migrateDown(
  url: string,
  { to, folder, log }: MigrateOptions & { readonly to: string },
): Promise<string[]> {
  return locked(url, folder, async (client, migrations, records) => {
    refuse(compare(migrations, records))
    const last = to === 'none' ? -1 : find(migrations, to)
    const applied = migrations
      .slice(last + 1)
      .filter(({ name }) => records.some((record) => record.migration_name === name))
      .reverse()
    const final = applied.find(({ down }) => down === undefined)
    if (final)
      throw new OperatorError(
        `The migration ${final.name} cannot be undone: it has no down.sql. Nothing was changed.`,
        exitCode.data,
      )
    for (const { name, down } of applied) {
      await inTransaction(client, `Undoing the migration ${name}`, async () => {
        await client.query(down!)
        await client.query('delete from _prisma_migrations where migration_name = $1', [name])
      })
      log?.info(`Undid the migration ${name}.`)
    }
    return applied.map(({ name }) => name)
  })
}

/** How each migration stands, in their order. Changes nothing. */
export function migrationStatus(
  url: string,
  { folder, withinMs }: Pick<MigrateOptions, 'folder'> & { withinMs?: number } = {},
): Promise<MigrationStatus[]> {
  return inSession(url, async (client) => compare(await readMigrations(folder), await readRecords(client)), {
    withinMs,
  })
}

/** Throws if a database is not as its migrations say. What is pending is not wrong. */
export function refuse(status: readonly MigrationStatus[]) {
  const wrong = status.find(({ state }) => state !== 'applied' && state !== 'pending')
  if (!wrong) return
  const { name, state } = wrong
  const reason = {
    edited: `The migration ${name} was applied, and its file has changed since. Bring the file back as it was, and put what is new into a migration of its own.`,
    missing: `The migration ${name} was applied, and this version of Lockstep has no such migration. Run the version that applied it, or a newer one.`,
    failed:
      `The migration ${name} was begun by prisma migrate and not finished. Look at what it has done, put that right, ` +
      `and tell prisma migrate resolve, with --applied ${name} or --rolled-back ${name}.`,
  }[state as 'edited' | 'missing' | 'failed']
  throw new OperatorError(reason, exitCode.data)
}

interface MigrationRecord {
  readonly migration_name: string
  readonly checksum: string
  readonly finished_at: Date | null
}

/** Prisma's own table, column by column. */
const table = `create table if not exists _prisma_migrations (
  id                  varchar(36) primary key not null,
  checksum            varchar(64) not null,
  finished_at         timestamptz,
  migration_name      varchar(255) not null,
  logs                text,
  rolled_back_at      timestamptz,
  started_at          timestamptz not null default now(),
  applied_steps_count integer not null default 0
)`

/** Records of attempts that were rolled back count for nothing; they stay as a memory. */
async function readRecords(client: pg.Client): Promise<MigrationRecord[]> {
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regclass('_prisma_migrations') is not null as there",
  )
  if (!rows[0]!.there) return []
  return (
    await client.query<MigrationRecord>(
      'select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null order by started_at',
    )
  ).rows
}

function compare(migrations: readonly Migration[], records: readonly MigrationRecord[]): MigrationStatus[] {
  const known = migrations.map((migration): MigrationStatus => {
    const { name } = migration
    const record = records.find(({ migration_name }) => migration_name === name)
    if (!record) return { name, state: 'pending' }
    if (!record.finished_at) return { name, state: 'failed' }
    return { name, state: matches(migration, record.checksum) ? 'applied' : 'edited' }
  })
  const unknown = records.filter(({ migration_name }) => !migrations.some(({ name }) => name === migration_name))
  return [...known, ...unknown.map(({ migration_name: name }): MigrationStatus => ({ name, state: 'missing' }))]
}

/** Which of the migrations is meant. */
function find(migrations: readonly Migration[], wanted: string): number {
  const at = migrations.findIndex(({ name }) => name === wanted || name.replace(/^\d+_/, '') === wanted)
  if (at >= 0) return at
  throw new OperatorError(
    `There is no migration ${JSON.stringify(wanted)}. There are: ${migrations.map(({ name }) => name).join(', ')}.`,
    exitCode.usage,
  )
}

function locked<T>(
  url: string,
  folder: string | undefined,
  work: (client: pg.Client, migrations: readonly Migration[], records: readonly MigrationRecord[]) => Promise<T>,
): Promise<T> {
  return inSession(url, async (client) => {
    await client.query(
      `set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = '${patience.lock}'`,
    )
    try {
      await client.query('select pg_advisory_lock($1)', [prismaLock])
    } catch (error) {
      if ((error as pg.DatabaseError).code !== '55P03') throw error
      throw new OperatorError(
        `Another process has been migrating the database for more than ${patience.lock}. Try again when it is done.`,
        exitCode.temporary,
      )
    }
    await client.query(`set lock_timeout = '${patience.table}'`)
    const records = await readRecords(client)
    if (records.length === 0) await refuseForeign(client)
    return work(client, await readMigrations(folder), records) // the end of the session frees the lock
  })
}

/** A database that holds something else was most likely not meant. */
async function refuseForeign(client: pg.Client) {
  const { rows } = await client.query<{ name: string; database: string }>(`
    select relname as name, current_database() as database from pg_class
    where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace and relname <> '_prisma_migrations'
      and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e') -- an extension's
    order by relname limit 1`)
  if (!rows[0]) return
  const { name, database } = rows[0]
  throw new OperatorError(
    `The database ${database} was not made by Lockstep: it has tables, such as ${JSON.stringify(name)}, and no record of migrations. ` +
      'Set DATABASE_URL to an empty database.',
    exitCode.data,
  )
}

async function inTransaction(client: pg.Client, what: string, work: () => Promise<void>) {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {}) // the connection may be gone, and the transaction with it
    if (!(error instanceof pg.DatabaseError)) throw error
    const { code, message, detail } = error
    const waited = code === '55P03'
    const said = [message, detail].filter(Boolean).join('; ')
    throw new OperatorError(
      `${what} failed and was rolled back: ${said} (SQLSTATE ${code}). ${waited ? 'A table was in use for too long; try again.' : 'The database is as it was before.'}`,
      waited ? exitCode.temporary : exitCode.data,
    )
  }
}
