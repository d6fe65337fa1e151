import type { Row, Rows } from './aggregate.ts'
import type { Tx } from '../database/transaction.ts'

/** A root's rows before and after. Without rows of its own before, the root is new. */
export interface Change {
  readonly before: Rows
  readonly after: Rows
}

/** Rows of one table, and what to do with them. */
export interface Write {
  readonly operation: 'insert' | 'update' | 'delete'
  readonly table: string
  /** The primary key's columns. */
  readonly key: readonly string[]
  readonly rows: readonly object[]
  /** Columns that an update must not name, since they have not changed. */
  readonly unnamed?: readonly string[]
}

/**
 * Writes everything in one statement, the last of its transaction. Each write's rows are one JSON parameter, so the
 * text of the statement, and its plan, doesn't depend on how many rows there are. Returns false if there was nothing
 * to write. Throws if not every row was written.
 */
export async function save(tx: Tx, writes: readonly Write[]): Promise<boolean> {
  const some = writes.filter(({ rows }) => rows.length)
  if (!some.length) return false
  const counts = JSON.stringify(some.map(({ rows }) => rows.length))
  const written = await tx.execute(statementOf(some), [...some.map(({ rows }) => JSON.stringify(rows)), counts])
  if (written === 1) return true
  const wanted = some.map(({ operation, table, rows }) => `${operation} "${table}" ${rows.length}`).join(', ')
  throw new Error(`Integrity: not every row was written. To write were: ${wanted}`)
}

/** The statements by what they write, so that each text is built once. */
const statements = new Map<string, string>()

/** A statement that returns one row if it wrote as many rows as its last parameter says. */
function statementOf(writes: readonly Write[]): string {
  const name = writes.map(({ operation, table, unnamed = [] }) => `${operation} ${table} ${unnamed.join(' ')}`).join()
  const known = statements.get(name)
  if (known) return known
  const parts = writes.map((write, i) => `w${i} as (${partOf(write, i + 1)} returning 1)`)
  const counts = writes.map((_, i) => `(select count(*) from w${i})`)
  const areWritten = `jsonb_build_array(${counts.join(', ')}) = $${writes.length + 1}::jsonb`
  const statement = `with ${parts.join(', ')} select where ${areWritten}`
  statements.set(name, statement)
  return statement
}

function partOf({ operation, table, key, rows, unnamed = [] }: Write, parameter: number): string {
  const names = Object.keys(rows[0]!)
  const columns = list(names)
  const from = `from jsonb_populate_recordset(null::"${table}", $${parameter}::jsonb)`
  if (operation === 'delete') return `delete from "${table}" where (${list(key)}) in (select ${list(key)} ${from})`
  const insert = `insert into "${table}" (${columns}) select ${columns} ${from}`
  if (operation === 'insert') return insert
  // An upsert finds its rows by the primary key. UPDATE … FROM would join, and PostgreSQL, which assumes that a
  // recordset has 100 rows, might scan a small table for it. No keys in SET: an update that names one locks FOR UPDATE,
  // and then every insert of a child waits.
  const others = names.filter((name) => !key.includes(name) && !unnamed.includes(name))
  const set = others.map((name) => `"${name}" = excluded."${name}"`).join(', ')
  return `${insert} on conflict (${list(key)}) do update set ${set}`
}

const list = (columns: readonly string[]) => columns.map((column) => `"${column}"`).join(', ')

/** The writes to one table that turn before into after, for all roots of a batch. */
export function changed(
  table: string,
  key: readonly string[],
  changes: readonly Change[],
  alternateKeys: readonly string[] = [],
): Write[] {
  const [added, altered, removed]: [Row[], Row[], Row[]] = [[], [], []]
  let unnamed = alternateKeys
  for (const { before, after } of changes) {
    const old = before[table] ?? []
    const rows = after[table] ?? []
    const find = finderOf(old, rows.length, key)
    const kept = new Set<Row>()
    for (const row of rows) {
      const was = find(row)
      if (!was) added.push(row)
      else {
        kept.add(was)
        if (!differs(was, row)) continue
        altered.push(row)
        if (unnamed.some((column) => row[column] !== was[column]))
          unnamed = unnamed.filter((column) => row[column] === was[column])
      }
    }
    if (kept.size < old.length) removed.push(...old.filter((row) => !kept.has(row)))
  }
  return [
    { operation: 'insert', table, key, rows: added },
    { operation: 'update', table, key, rows: altered, unnamed },
    { operation: 'delete', table, key, rows: removed },
  ]
}

/** Finds a row by the key of another: in an index if that is done often, otherwise by looking through all. */
function finderOf(rows: readonly Row[], times: number, key: readonly string[]): (row: Row) => Row | undefined {
  if (times <= 8) return (row) => rows.find((other) => key.every((column) => other[column] === row[column]))
  const keyOf = (row: Row) => key.map((column) => row[column]).join('\0')
  const byKey = new Map(rows.map((row) => [keyOf(row), row]))
  return (row) => byKey.get(keyOf(row))
}

function differs(one: Row, other: Row): boolean {
  for (const column in one) if (one[column] !== other[column]) return true
  return false
}
