import type { Row, Rows } from './aggregate.ts'
import type { Tx } from '../database/transaction.ts'

/** A root's rows before and after; before is empty where the root is new. */
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
  /** Columns that have not changed and are not to be named in an update. */
  readonly unnamed?: readonly string[]
}

/**
 * All of it in one statement, the last of its transaction: one round trip, whatever there is to write. Each write's
 * rows travel as one JSON parameter, so that the statement's text, and its plan, is the same however many they are.
 * False: there was nothing to write. Throws if not every row was there to write.
 */
export async function save(tx: Tx, writes: readonly Write[]): Promise<boolean> {
  const some = writes.filter(({ rows }) => rows.length)
  if (!some.length) return false
  const counts = JSON.stringify(some.map(({ rows }) => rows.length))
  const written = await tx.execute(textOf(some), [...some.map(({ rows }) => JSON.stringify(rows)), counts])
  if (written !== 1)
    throw new Error(
      `Integrity: not every row was there to write, of ${some.map(({ operation, table, rows }) => `${operation} "${table}" ${rows.length}`).join(', ')}`,
    )
  return true
}

const texts = new Map<string, string>()

function textOf(writes: readonly Write[]): string {
  const name = writes.map(({ operation, table, unnamed = [] }) => `${operation} ${table} ${unnamed.join(' ')}`).join()
  const known = texts.get(name)
  if (known) return known
  const parts = writes.map((write, i) => `w${i} as (${partOf(write, i + 1)} returning 1)`)
  const counts = writes.map((_, i) => `(select count(*) from w${i})`)
  // one row if all was written
  const text = `with ${parts.join(', ')} select where jsonb_build_array(${counts.join(', ')}) = $${writes.length + 1}::jsonb`
  texts.set(name, text)
  return text
}

function partOf({ operation, table, key, rows, unnamed = [] }: Write, parameter: number): string {
  const names = Object.keys(rows[0]!)
  const columns = list(names)
  const from = `from jsonb_populate_recordset(null::"${table}", $${parameter}::jsonb)`
  if (operation === 'delete') return `delete from "${table}" where (${list(key)}) in (select ${list(key)} ${from})`
  const insert = `insert into "${table}" (${columns}) select ${columns} ${from}`
  if (operation === 'insert') return insert
  // Met by the primary key: UPDATE … FROM would join, and PostgreSQL, which guesses that a recordset has 100 rows,
  // might scan a small table for it. Without keys among what is set: naming one would lock FOR UPDATE, and every insert
  // of a child would wait.
  const others = names.filter((name) => !key.includes(name) && !unnamed.includes(name))
  return `${insert} on conflict (${list(key)}) do update set ${others.map((name) => `"${name}" = excluded."${name}"`).join(', ')}`
}

const list = (columns: readonly string[]) => columns.map((column) => `"${column}"`).join(', ')

/** What differs in one table between before and after, over all roots of a batch. */
export function changed(
  table: string,
  key: readonly string[],
  changes: readonly Change[],
  alternateKeys: readonly string[] = [],
): Write[] {
  const [added, altered, gone]: [Row[], Row[], Row[]] = [[], [], []]
  let unnamed = alternateKeys
  for (const { before, after } of changes) {
    const was = before[table] ?? []
    const is = after[table] ?? []
    const find = finder(is.length > 8 ? was : [], key)
    const met = new Set<Row>()
    for (const row of is) {
      const old = is.length > 8 ? find(row) : was.find((other) => key.every((column) => other[column] === row[column]))
      if (!old) added.push(row)
      else {
        met.add(old)
        if (!differs(old, row)) continue
        altered.push(row)
        if (unnamed.some((column) => row[column] !== old[column]))
          unnamed = unnamed.filter((column) => row[column] === old[column])
      }
    }
    if (met.size < was.length) gone.push(...was.filter((row) => !met.has(row)))
  }
  return [
    { operation: 'insert', table, key, rows: added },
    { operation: 'update', table, key, rows: altered, unnamed },
    { operation: 'delete', table, key, rows: gone },
  ]
}

/** Rows by their key, for where there are too many to look through. */
function finder(rows: readonly Row[], key: readonly string[]) {
  const keyOf = (row: Row) => key.map((column) => row[column]).join('\0')
  const byKey = new Map(rows.map((row) => [keyOf(row), row]))
  return (row: Row) => byKey.get(keyOf(row))
}

function differs(one: Row, other: Row): boolean {
  for (const column in one) if (one[column] !== other[column]) return true
  return false
}
