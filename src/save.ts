import type { Row, Rows } from './aggregate.ts'
import type { Tx } from './database/client.ts'

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
}

/**
 * All of it in one statement, the last of its transaction: one round trip, whatever there is to write. Each write's rows travel as one JSON
 * parameter, so that the statement's text, and its plan, is the same however many they are. Answers with the transaction's id.
 * Throws if not every row was there to write.
 */
export async function save(tx: Tx, writes: readonly Write[]): Promise<string | undefined> {
  const some = writes.filter(({ rows }) => rows.length)
  if (!some.length) return undefined
  const [done] = await tx.$queryRawUnsafe<{ written: number[]; xid: string }[]>(textOf(some), ...some.map(({ rows }) => JSON.stringify(rows)))
  if (some.some(({ rows }, i) => rows.length !== done!.written[i])) {
    throw new Error(`Integrity: ${some.map(({ operation, table, rows }, i) => `${operation} "${table}" ${done!.written[i]} of ${rows.length}`).join(', ')}`)
  }
  return done!.xid
}

const texts = new Map<string, string>()

function textOf(writes: readonly Write[]): string {
  const name = writes.map(({ operation, table }) => `${operation} ${table}`).join()
  const known = texts.get(name)
  if (known) return known
  const parts = writes.map((write, i) => `w${i} as (${partOf(write, i + 1)} returning 1)`)
  const counts = writes.map((_, i) => `(select count(*)::int from w${i})`)
  const text = `with ${parts.join(', ')} select array[${counts.join(', ')}] as written, pg_current_xact_id()::text as xid`
  texts.set(name, text)
  return text
}

function partOf({ operation, table, key, rows }: Write, parameter: number): string {
  const names = Object.keys(rows[0]!)
  const columns = list(names)
  const from = `from jsonb_populate_recordset(null::"${table}", $${parameter}::jsonb)`
  if (operation === 'delete') return `delete from "${table}" where (${list(key)}) in (select ${list(key)} ${from})`
  const insert = `insert into "${table}" (${columns}) select ${columns} ${from}`
  if (operation === 'insert') return insert
  // Met by the primary key: UPDATE … FROM would join, and PostgreSQL, which guesses that a recordset has 100 rows, might scan a small table for it.
  // Without the key among what is set: naming it would lock FOR UPDATE, and every insert of a child would wait.
  const others = names.filter((name) => !key.includes(name))
  return `${insert} on conflict (${list(key)}) do update set ${others.map((name) => `"${name}" = excluded."${name}"`).join(', ')}`
}

const list = (columns: readonly string[]) => columns.map((column) => `"${column}"`).join(', ')

/** What differs in one table between before and after, over all roots of a batch. */
export function changed(table: string, key: readonly string[], changes: readonly Change[]): Write[] {
  const [added, altered, gone]: [Row[], Row[], Row[]] = [[], [], []]
  const keyOf = key.length === 1 ? (row: Row) => row[key[0]!] : (row: Row) => key.map((column) => row[column]).join('\0')
  for (const { before, after } of changes) {
    const now = after[table] ?? []
    const was = before[table] ?? []
    if (!now.length && !was.length) continue
    const old = new Map(was.map((row) => [keyOf(row), row]))
    for (const row of now) {
      const before = old.get(keyOf(row))
      if (!before) added.push(row)
      else {
        old.delete(keyOf(row))
        for (const column in row) {
          if (row[column] !== before[column]) {
            altered.push(row)
            break
          }
        }
      }
    }
    gone.push(...old.values())
  }
  return [
    { operation: 'insert', table, key, rows: added },
    { operation: 'update', table, key, rows: altered },
    { operation: 'delete', table, key, rows: gone },
  ]
}
