import { createHash, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { migrate, migrateDown, migrationStatus } from '../../src/database/migrate.ts'
import { migrationFolder, readMigrations } from '../../src/database/migrationFolder.ts'
import { inSession } from '../../src/database/session.ts'
import { getDatamodel } from '../../src/generated/pothos.ts'
import * as enums from '../../src/generated/prisma/enums.ts'

const names = fs
  .readdirSync(migrationFolder)
  .filter((name) => /^\d+_/.test(name))
  .sort()
const folders: string[] = []

afterAll(() => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true })
})

/** An empty database of a test's own. */
async function empty(): Promise<string> {
  const url = new URL(inject('template'))
  url.pathname = '/postgres'
  const name = `m${randomUUID().replaceAll('-', '')}`
  await query(url.href, `create database ${name}`)
  url.pathname = `/${name}`
  return url.href
}

async function query<T extends object>(url: string, sql: string, values: unknown[] = []): Promise<T[]> {
  return inSession(url, async (client) => (await client.query<T>(sql, values)).rows)
}

/** A copy of the migrations that a test may change. */
function copied(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `lockstep-test-${process.pid}-migrations-`))
  folders.push(folder)
  fs.cpSync(migrationFolder, folder, { recursive: true })
  return folder
}

function write(folder: string, name: string, file: 'migration.sql' | 'down.sql', text: string) {
  fs.mkdirSync(path.join(folder, name), { recursive: true })
  fs.writeFileSync(path.join(folder, name, file), text)
}

/** All that a schema is made of, as PostgreSQL itself describes it. */
async function schema(url: string): Promise<string[]> {
  const rows = await query<{ what: string }>(
    url,
    `
    with mine as (select * from pg_class where relnamespace = 'public'::regnamespace and relname not like '\\_prisma%')
    select format('column %s.%s %s %s default %s storage %s',
      c.relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attstorage) as what
      from pg_attribute a join mine c on c.oid = attrelid left join pg_attrdef d
        on adrelid = attrelid and adnum = attnum
      where attnum > 0 and not attisdropped and relkind = 'r'
    union all select format('table %s %s %s', relname, relkind, reloptions) from mine
    union all select format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(x.oid))
      from pg_constraint x join mine c on c.oid = conrelid
    union all select pg_get_indexdef(oid) from mine where relkind = 'i'
    union all select pg_get_triggerdef(t.oid) from pg_trigger t join mine c on c.oid = tgrelid where not tgisinternal
    union all select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    union all select format('type %s %s', typname,
      (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid))
      from pg_type t where typnamespace = 'public'::regnamespace and typname !~ '^_' and typtype = 'e'
    order by 1`,
  )
  return rows.map(({ what }) => what)
}

const message = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Error) => `${error.name}: ${error.message}`,
  )

describe('migrations', () => {
  it('lead up, down and up again to the same schema', async () => {
    const url = await empty()
    const before = await schema(url)
    expect(await migrate(url)).toEqual(names)
    const first = await schema(url)
    expect(first.length).toBeGreaterThan(50)
    expect(await migrateDown(url, { to: 'none' })).toEqual([...names].reverse())
    expect(await schema(url)).toEqual(before)
    expect(await migrate(url)).toEqual(names)
    expect(await schema(url)).toEqual(first)
  })

  it('are each undone by their own down.sql', async () => {
    const url = await empty()
    for (const [at, name] of names.entries()) {
      const before = await schema(url)
      expect(await migrate(url, { to: name })).toEqual([name])
      const after = await schema(url)
      expect(await migrateDown(url, { to: names[at - 1] ?? 'none' })).toEqual([name])
      expect(await schema(url)).toEqual(before)
      expect(await migrate(url, { to: name.replace(/^\d+_/, '') })).toEqual([name])
      expect(await schema(url)).toEqual(after)
    }
  })

  it('are recorded as Prisma records them', async () => {
    const url = await empty()
    await migrate(url)
    const columns = await query(
      url,
      `select column_name, data_type, character_maximum_length as length, is_nullable, column_default
      from information_schema.columns where table_name = '_prisma_migrations' order by ordinal_position`,
    )
    const zoned = 'timestamp with time zone'
    expect(columns.map((column) => Object.values(column))).toEqual([
      ['id', 'character varying', 36, 'NO', null],
      ['checksum', 'character varying', 64, 'NO', null],
      ['finished_at', zoned, null, 'YES', null],
      ['migration_name', 'character varying', 255, 'NO', null],
      ['logs', 'text', null, 'YES', null],
      ['rolled_back_at', zoned, null, 'YES', null],
      ['started_at', zoned, null, 'NO', 'now()'],
      ['applied_steps_count', 'integer', null, 'NO', '0'],
    ])
    const records = await query<Record<string, unknown>>(
      url,
      'select * from _prisma_migrations order by migration_name',
    )
    for (const [at, name] of names.entries()) {
      const file = fs.readFileSync(path.join(migrationFolder, name, 'migration.sql'))
      expect(records[at]).toMatchObject({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        migration_name: name,
        checksum: createHash('sha256').update(file).digest('hex'),
        finished_at: expect.any(Date),
        logs: null,
        rolled_back_at: null,
        applied_steps_count: 1,
      })
    }
  })

  it('are applied once, however many processes migrate at once', async () => {
    const url = await empty()
    const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(url)))
    expect(applied.filter(({ length }) => length > 0)).toEqual([names])
    expect(await query(url, 'select migration_name as name from _prisma_migrations order by 1')).toEqual(
      names.map((name) => ({ name })),
    )
  })

  it('wait while prisma migrate holds its lock', async () => {
    const url = await empty()
    let done = false
    const migrated = await inSession(url, async (prisma) => {
      await prisma.query('select pg_advisory_lock(72707369)')
      const migrating = migrate(url).finally(() => (done = true))
      await expect
        .poll(
          () =>
            query(
              url,
              `select from pg_locks where locktype = 'advisory' and not granted
              and database = (select oid from pg_database where datname = current_database())`,
            ),
          { timeout: 25_000 },
        )
        .toHaveLength(1)
      expect(done).toBe(false)
      await prisma.query('select pg_advisory_unlock(72707369)')
      return migrating
    })
    expect(migrated).toEqual(names)
  })

  it('go on where prisma migrate has stopped', async () => {
    const url = await empty()
    const [first] = await readMigrations()
    await migrate(url, { to: first!.name })
    await migrateDown(url, { to: 'none' })
    // as `prisma migrate deploy` leaves it, on Windows, after an attempt that was rolled back
    await query(url, first!.up)
    const checksum = createHash('sha256').update(first!.up.replaceAll('\n', '\r\n')).digest('hex')
    const record = `insert into _prisma_migrations
        (id, checksum, migration_name, finished_at, rolled_back_at, started_at, applied_steps_count)
        values ($1, $2, $3, $4, $5, now(), $6)`
    await query(url, record, [randomUUID(), 'of another file', first!.name, null, new Date(), 0])
    await query(url, record, [randomUUID(), checksum, first!.name, new Date(), null, 1])
    expect(await migrate(url)).toEqual(names.slice(1))
  })

  it('tell how they stand, and change nothing by it', async () => {
    const url = await empty()
    expect(await migrationStatus(url)).toEqual(names.map((name) => ({ name, state: 'pending' })))
    expect(await query(url, "select to_regclass('_prisma_migrations') as found")).toEqual([{ found: null }])
    await migrate(url, { to: names[0] })
    expect(await migrationStatus(url)).toEqual(
      names.map((name, at) => ({ name, state: at === 0 ? 'applied' : 'pending' })),
    )
  })
})

describe('a database is left as it is', () => {
  it('when a file has changed since it was applied', async () => {
    const [url, folder] = [await empty(), copied()]
    await migrate(url, { folder, to: names[1] })
    fs.appendFileSync(path.join(folder, names[0]!, 'migration.sql'), '-- one more thought\n')
    expect(await message(migrate(url, { folder }))).toBe(
      `OperatorError: The migration ${names[0]} was applied, and its file has changed since. ` +
        `Bring the file back as it was, and put what is new into a migration of its own.`,
    )
    expect(await migrationStatus(url, { folder })).toContainEqual({ name: names[0], state: 'edited' })
    expect(await migrationStatus(url, { folder })).toContainEqual({ name: names[2], state: 'pending' })
  })

  it('when it knows a migration that this version does not', async () => {
    const [url, folder] = [await empty(), copied()]
    write(folder, '20991231000000_later', 'migration.sql', 'create table later ()')
    await migrate(url, { folder })
    expect(await message(migrate(url))).toMatch(
      /The migration 20991231000000_later was applied, and this version of Lockstep has no such migration\. Run the version/,
    )
    expect(await message(migrateDown(url, { to: 'none' }))).toMatch(/has no such migration/)
    expect(await migrationStatus(url)).toContainEqual({ name: '20991231000000_later', state: 'missing' })
  })

  it('when prisma migrate has begun a migration and not finished it', async () => {
    const url = await empty()
    await migrate(url)
    await query(url, 'update _prisma_migrations set finished_at = null where migration_name = $1', [names[2]])
    expect(await message(migrate(url))).toMatch(
      new RegExp(`The migration ${names[2]} was begun by prisma migrate and not finished.*prisma migrate resolve`),
    )
    expect(await migrationStatus(url)).toContainEqual({ name: names[2], state: 'failed' })
  })

  it('when a migration fails: that one is rolled back whole, those before it stay', async () => {
    const [url, folder] = [await empty(), copied()]
    write(folder, '20991231000000_bad', 'migration.sql', 'create table half (); insert into "User" (id) values (null);')
    write(folder, '20991231000001_after', 'migration.sql', 'create table after_it ()')
    expect(await message(migrate(url, { folder }))).toMatch(
      /^OperatorError: The migration 20991231000000_bad failed and was rolled back: null value in column "id".*SQLSTATE 23502.*as it was before/,
    )
    expect(await query(url, "select to_regclass('half') as half, to_regclass('after_it') as after_it")).toEqual([
      { half: null, after_it: null },
    ])
    expect(
      (await migrationStatus(url, { folder })).filter(({ state }) => state === 'pending').map(({ name }) => name),
    ).toEqual(['20991231000000_bad', '20991231000001_after'])
    fs.rmSync(path.join(folder, '20991231000000_bad'), { recursive: true })
    expect(await migrate(url, { folder })).toEqual(['20991231000001_after'])
  })

  it('when one of those to be undone cannot be', async () => {
    const [url, folder] = [await empty(), copied()]
    write(folder, '20991231000000_final', 'migration.sql', 'create table final ()')
    await migrate(url, { folder })
    const before = await schema(url)
    expect(await message(migrateDown(url, { folder, to: 'none' }))).toMatch(
      /The migration 20991231000000_final cannot be undone: it has no down\.sql\. Nothing was changed\./,
    )
    expect(await schema(url)).toEqual(before)
  })

  it('when there is no migration of the name that was asked for', async () => {
    const url = await empty()
    expect(await message(migrate(url, { to: 'nowhere' }))).toMatch(/There is no migration "nowhere"\. There are: /)
    expect(await schema(url)).toEqual([])
  })

  it("when it is somebody else's", async () => {
    const url = await empty()
    await query(url, 'create table invoices ()')
    expect(await message(migrate(url))).toMatch(
      /was not made by Lockstep: it has tables, such as "invoices", and no record of migrations\. Set DATABASE_URL to an empty database\./,
    )
  })
})

describe('a database that cannot be used is described in a sentence, without the password', () => {
  const cases: [string, (url: URL) => void, RegExp, number][] = [
    ['wrong password', (url) => (url.password = 'hidden'), /the password for the user lockstep was not accepted/, 77],
    ['no password', (url) => (url.password = ''), /does DATABASE_URL have a password\?/, 69],
    ['no such user', (url) => (url.username = 'nobody'), /the password for the user nobody was not accepted/, 77],
    ['no such database', (url) => (url.pathname = '/nowhere'), /there is no database nowhere\. Create it/, 69],
    ['nothing there', (url) => (url.port = '1'), /nothing listens at 127\.0\.0\.1:1\. Start PostgreSQL there/, 69],
    ['no such host', (url) => (url.hostname = 'nowhere.invalid'), /there is no host named nowhere\.invalid/, 69],
  ]
  it.each(cases)('%s', async (_, change, sentence, exitCode) => {
    const url = new URL(inject('template'))
    const { password } = url
    change(url)
    const error = await migrationStatus(url.href).catch((error: unknown) => error as Error)
    expect(error).toMatchObject({ name: 'OperatorError', message: expect.stringMatching(sentence), exitCode })
    for (const secret of [password, 'hidden']) expect((error as Error).message).not.toContain(secret)
  })
})

it('the Prisma schema and the migrated database agree, column by column', async () => {
  const kinds: Record<string, string> = {
    String: 'text',
    Int: 'int4',
    Boolean: 'bool',
    DateTime: 'timestamptz',
    Json: 'jsonb',
    BigInt: 'int8',
    Float: 'float8',
    Decimal: 'numeric',
    Bytes: 'bytea',
  }
  interface Field {
    kind: string
    type: string
    name: string
    isRequired: boolean
    isList: boolean
    isId: boolean
    isUnique: boolean
  }
  interface Model {
    fields: Field[]
    primaryKey: { fields: string[] } | null
    uniqueIndexes: { fields: string[] }[]
  }
  // Prisma's datamodel has a day as the midnight that begins it
  const days = ['WorkoutSelection.currentPlanDay']
  const { models } = (getDatamodel() as unknown as { datamodel: { models: Record<string, Model> } }).datamodel

  const declared = Object.entries(models).flatMap(([table, { fields }]) =>
    fields
      .filter(({ kind }) => kind !== 'object')
      .map(({ kind, type, name, isRequired, isList }) => {
        const plain = days.includes(`${table}.${name}`) ? 'date' : kind === 'enum' ? type : kinds[type]
        return `${table}.${name} ${isList ? '_' : ''}${plain} ${isRequired ? 'not null' : 'null'}`
      }),
  )
  const found = await clone(async (url) => ({
    columns: await query<{ column: string }>(
      url,
      `select format('%s.%s %s %s',
        table_name, column_name, udt_name, case is_nullable when 'YES' then 'null' else 'not null' end
      ) as column
      from information_schema.columns where table_schema = 'public' and table_name <> '_prisma_migrations'`,
    ),
    keys: await query<{ key: string }>(
      url,
      `select format('%s %s (%s)', c.relname, case when indisprimary then 'primary key' else 'unique' end,
        (select string_agg(attname, ', ' order by place) from unnest(indkey) with ordinality as k (number, place)
          join pg_attribute on attrelid = indrelid and attnum = number)) as key
      from pg_index join pg_class c on c.oid = indrelid where c.relnamespace = 'public'::regnamespace
        and indisunique and c.relname <> '_prisma_migrations'`,
    ),
    labels: await query<{ name: string; labels: string[] }>(
      url,
      `select typname as name, array_agg(enumlabel::text order by enumsortorder) as labels
      from pg_enum join pg_type on pg_type.oid = enumtypid group by 1 order by 1`,
    ),
  }))
  // Prisma's datamodel leaves out columns of a type that it does not know
  const invisible = found.columns.filter(({ column }) => / xid8 (not )?null$/.test(column))
  expect(found.columns.map(({ column }) => column).sort()).toEqual(
    [...new Set([...declared, ...invisible.map(({ column }) => column)])].sort(),
  )
  expect(invisible.map(({ column }) => column).sort()).toEqual([
    'Event.xid xid8 not null',
    'Journal.prunedXid xid8 null',
  ])

  const keys = Object.entries(models).flatMap(([table, { fields, primaryKey, uniqueIndexes }]) => [
    `${table} primary key (${primaryKey?.fields.join(', ') ?? fields.find(({ isId }) => isId)?.name})`,
    ...fields.filter(({ isUnique }) => isUnique).map(({ name }) => `${table} unique (${name})`),
    ...uniqueIndexes.map((index) => `${table} unique (${index.fields.join(', ')})`),
  ])
  expect(found.keys.map(({ key }) => key).sort()).toEqual(keys.sort())

  const declaredLabels = Object.entries(enums).map(([name, labels]) => ({ name, labels: Object.values(labels) }))
  expect(found.labels).toEqual(declaredLabels.sort((a, b) => (a.name < b.name ? -1 : 1)))
})

/** Something with the schema as it is when all migrations have been applied. */
async function clone<T>(work: (url: string) => Promise<T>): Promise<T> {
  const url = await empty()
  await migrate(url)
  return work(url)
}
