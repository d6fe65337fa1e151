import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { checksum, matches, type Migration, readMigrations } from './migrationFolder.ts'
import { inMigrationSession, inMigrationTransaction } from './migrationSession.ts'
import { inSession } from './session.ts'

type WrongState = 'edited' | 'missing' | 'failed'

/** A migration, and its state in a database. */
export interface MigrationStatus {
  readonly name: string
  /**
   * `pending`: not applied yet. `edited`: its file has changed since it was applied. `missing`: applied, but it has no
   * file, because a newer version of Lockstep applied it. `failed`: begun by `prisma migrate` and not finished.
   */
  readonly state: 'applied' | 'pending' | WrongState
}

export interface MigrateOptions {
  /** The last migration to be applied: its folder's name, or the part of that after the time. */
  readonly to?: string
  /** For tests: another prisma/migrations. */
  readonly folder?: string
  readonly log?: { info(message: string): void }
}

/**
 * Applies the pending migrations, each in a transaction of its own together with its record. The records are those of
 * `prisma migrate deploy`: either program can continue where the other has stopped. Returns the names of the applied
 * migrations. Throws an OperatorError for a database that `refuse` refuses, or if a migration fails.
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
      await inMigrationTransaction(client, `The migration ${migration.name}`, async () => {
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
 * Undoes the migrations that were applied after `to`, last first, by their down.sql; `none` undoes all. Data that only
 * their tables held is lost. Returns the names of the undone migrations. Throws as `migrate` does.
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
      await inMigrationTransaction(client, `Undoing the migration ${name}`, async () => {
        await client.query(down!)
        await client.query('delete from _prisma_migrations where migration_name = $1', [name])
      })
      log?.info(`Undid the migration ${name}.`)
    }
    return applied.map(({ name }) => name)
  })
}

/** The state of each migration, in their order. Changes nothing. `withinMs` is the limit for each answer, in ms. */
export function migrationStatus(
  url: string,
  { folder, withinMs }: Pick<MigrateOptions, 'folder'> & { withinMs?: number } = {},
): Promise<MigrationStatus[]> {
  return inSession(url, async (client) => compare(await readMigrations(folder), await readRecords(client)), {
    withinMs,
  })
}

/** Throws an OperatorError if a database is not as its migrations say. Pending migrations are no error. */
export function refuse(status: readonly MigrationStatus[]) {
  for (const { name, state } of status)
    if (state !== 'applied' && state !== 'pending') throw new OperatorError(reasons[state](name), exitCode.data)
}

const reasons: Record<WrongState, (name: string) => string> = {
  edited: (name) =>
    `The migration ${name} was applied, and its file has changed since. ` +
    'Bring the file back as it was, and put what is new into a migration of its own.',
  missing: (name) =>
    `The migration ${name} was applied, and this version of Lockstep has no such migration. ` +
    'Run the version that applied it, or a newer one.',
  failed: (name) =>
    `The migration ${name} was begun by prisma migrate and not finished. Look at what it has done, put that right, ` +
    `and run prisma migrate resolve with --applied ${name} or --rolled-back ${name}.`,
}

interface MigrationRecord {
  readonly migration_name: string
  readonly checksum: string
  readonly finished_at: Date | null
}

/** Prisma's own table, with the same columns. */
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

/** Leaves out the records of attempts that were rolled back. */
async function readRecords(client: pg.Client): Promise<MigrationRecord[]> {
  const found = await client.query<{ exists: boolean }>(
    "select to_regclass('_prisma_migrations') is not null as exists",
  )
  if (!found.rows[0]!.exists) return []
  const { rows } = await client.query<MigrationRecord>(
    `select migration_name, checksum, finished_at from _prisma_migrations
      where rolled_back_at is null order by started_at`,
  )
  return rows
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

/** The index of the migration with this name, or with this name after its time. */
function find(migrations: readonly Migration[], wanted: string): number {
  const at = migrations.findIndex(({ name }) => name === wanted || name.replace(/^\d+_/, '') === wanted)
  if (at >= 0) return at
  throw new OperatorError(
    `There is no migration ${JSON.stringify(wanted)}. There are: ${migrations.map(({ name }) => name).join(', ')}.`,
    exitCode.usage,
  )
}

/** Works in the one session that may migrate the database. */
function locked<T>(
  url: string,
  folder: string | undefined,
  work: (client: pg.Client, migrations: readonly Migration[], records: readonly MigrationRecord[]) => Promise<T>,
): Promise<T> {
  return inMigrationSession(url, async (client) => {
    const records = await readRecords(client)
    if (records.length === 0) await refuseForeign(client)
    return work(client, await readMigrations(folder), records)
  })
}

/** Refuses a database that has other tables and no record of migrations: most likely, another one was meant. */
async function refuseForeign(client: pg.Client) {
  const { rows } = await client.query<{ name: string; database: string }>(`
    select relname as name, current_database() as database from pg_class
    where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace and relname <> '_prisma_migrations'
      and not exists ( -- an extension's
        select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
      )
    order by relname limit 1`)
  if (!rows[0]) return
  const { name, database } = rows[0]
  throw new OperatorError(
    `The database ${database} was not made by Lockstep: it has tables, such as ${JSON.stringify(name)}, ` +
      'and no record of migrations. Set DATABASE_URL to an empty database.',
    exitCode.data,
  )
}
