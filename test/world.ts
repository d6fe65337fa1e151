import pg from 'pg'
import { afterAll } from 'vitest'
import type { Aggregate, Rows, Shape } from '../src/commit/aggregate.ts'
import { type CommitOptions, commits } from '../src/commit/commit.ts'
import { connect } from '../src/database/client.ts'
import { defaultPool } from '../src/database/pool.ts'
import type { PoolOptions } from '../src/operator/config.ts'
import { ownDatabase } from './ownDatabase.ts'

/** An event as the journal has it. */
export interface Journaled {
  readonly version: number
  readonly kind: string
  readonly topic: string
  readonly data: object
  readonly view: Record<string, unknown>
  readonly actor: string
  readonly at: Date
}

/**
 * A database of a test file's own, and whoever speaks to it. A failing test leaves it to be looked at until the run
 * ends.
 */
export async function world() {
  const url = await ownDatabase('migrated')
  const psql = new pg.Pool({ connectionString: url, max: 20, options: '-c TimeZone=UTC' })
  psql.on('error', () => {})
  const closing: (() => unknown)[] = []
  afterAll(async () => {
    for (const close of closing.reverse()) await close()
    await psql.end()
  })

  /** What one server process has: its pool and its way in. */
  function process(pool: Partial<PoolOptions> = {}, options: CommitOptions = {}) {
    const db = connect(url, { ...defaultPool, size: 2, max: 20, ...pool })
    closing.push(() => db.$disconnect())
    return { db, ...commits(db, options) }
  }

  const query = async <T = Record<string, never>>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await psql.query(text, values)).rows
  const history = (rootType: string, rootId: string) =>
    query<Journaled>(
      'select version, kind, topic, data, view, actor, at from "Event" where "rootType" = $1 and "rootId" = $2 ' +
        'order by version',
      [rootType, rootId],
    )

  return { url, psql, query, process, history, onClose: (close: () => unknown) => closing.push(close) }
}

/** The state that a root's history amounts to. */
export function fold<S extends Shape>(aggregate: Aggregate<S>, id: string, history: readonly Journaled[]): S['state'] {
  return history.reduce<S['state']>(
    (state, { version, kind, data, at }) => ({
      ...aggregate.evolve(state, { kind, ...data } as S['event'], at.toISOString()),
      version,
    }),
    aggregate.blank(id),
  )
}

/** What is stored of a root, table by table, in the spelling that `rows` uses, sorted. */
export async function stored<S extends Shape>(
  query: (text: string, values: unknown[]) => Promise<{ row: Record<string, unknown> }[]>,
  aggregate: Aggregate<S>,
  rows: Rows,
  where: Record<string, [column: string, value: string]>,
) {
  const result: Record<string, object[]> = {}
  for (const table of Object.keys(rows)) {
    const [column, value] = where[table]!
    const row = `to_jsonb(t) - array(
      select attname::text from pg_attribute where attrelid = t.tableoid and attgenerated <> '')` // nobody writes those
    result[table] = (await query(`select ${row} as row from "${table}" t where "${column}" = $1`, [value])).map(
      ({ row }) => row,
    )
  }
  return { aggregate: aggregate.root, ...sorted(result as Rows) }
}

/** Rows in an order that doesn't matter, instants in one spelling. */
export function sorted(rows: Rows): Record<string, string[]> {
  const spell = (value: unknown) =>
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value).toISOString() : value
  const line = (row: object) =>
    JSON.stringify(
      Object.fromEntries(
        Object.entries(row)
          .map(([column, value]) => [column, spell(value)] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    )
  return Object.fromEntries(Object.entries(rows).map(([table, all]) => [table, all.map(line).sort()]))
}

/** The answer, or the error that came instead of it. */
export const outcome = <T>(promise: Promise<T>) =>
  promise.then(
    (answer) => answer,
    (error) => error as Error,
  )

/** All at once, released by one barrier. */
export async function race<T>(times: number, run: (i: number) => Promise<T>): Promise<T[]> {
  let open = () => {}
  const barrier = new Promise<void>((resolve) => (open = resolve))
  const runners = Array.from({ length: times }, async (_, i) => {
    await barrier
    return run(i)
  })
  open()
  return Promise.all(runners)
}
