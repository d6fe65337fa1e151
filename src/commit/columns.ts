import { raw, type Sql } from '../database/client.ts'
import { instant, type Row } from './aggregate.ts'

type Scalar = string | number | boolean | null

/** A column as a state has it. */
interface Column<Value extends Scalar> {
  /** Its value while there is no row. */
  readonly blank: Value
  /** Where PostgreSQL's JSON spells the value in another way. */
  readonly read?: (found: never) => Value
}

/** A text; with the values of an enum as its type, a value of it. */
export const text = <Value extends string = string>(blank: NoInfer<Value>): Column<Value> => ({ blank })
/** A number. */
export const number = (blank = 0): Column<number> => ({ blank })
/** An instant: ISO 8601 in UTC; empty while there is no row. */
export const moment = (): Column<string> => ({ blank: '', read: (found: string) => instant(found) })
/** An instant, or null. */
export const momentOrNull = (): Column<string | null> => ({
  blank: null,
  read: (found: string | null) => instant(found),
})

/** The scalar columns of a table, without its id and version. What states, rows and views have of them follows. */
export interface Columns<Values> {
  /** The values while there is no row. */
  readonly blank: Values
  /** SQL: the values of the row `alias` as a JSON array, which `load` reads. */
  select(alias: string): Sql
  load(found: readonly unknown[]): Values
  /** The values of a state, without what else it has. */
  of(state: Values): Values
  /** A row of the table: the id, the version of a root, the values, and the columns that follow from the id. */
  row(state: Values & { readonly id: string; readonly version?: number }): Row
}

/** What columns hold: `interface UserState extends Values<typeof columns>`. */
export type Values<Of> = Of extends Columns<infer Found> ? Found : never

/**
 * Names the columns of a table once. `derived` names those that follow from the id: they are written, and neither read
 * nor shown.
 */
export function columns<V extends Readonly<Record<string, Scalar>>>(
  definition: { readonly [Name in keyof V]: Column<V[Name]> },
  derived: Readonly<Record<string, (id: string) => string>> = {},
): Columns<V> {
  const names = Object.keys(definition) as (keyof V & string)[] // Object.keys forgets the names
  const following = Object.entries(derived)
  const selects = new Map<string, Sql>()
  const each = (valueAt: (name: keyof V & string, at: number) => unknown): V => {
    const values: Record<string, unknown> = {}
    for (let at = 0; at < names.length; at++) values[names[at]!] = valueAt(names[at]!, at)
    return values as V // filled name by name
  }
  return {
    blank: each((name) => definition[name].blank),
    select(alias) {
      let found = selects.get(alias)
      if (!found) {
        found = raw(`json_build_array(${names.map((name) => `${alias}."${name}"`).join(', ')})`)
        selects.set(alias, found)
      }
      return found
    },
    load: (found) => each((name, at) => (definition[name].read ?? same)(found[at] as never)), // as `select` wrote it
    of: (state) => each((name) => state[name]),
    row(state) {
      const row: Record<string, Scalar> = { id: state.id }
      if (state.version !== undefined) row.version = state.version
      for (const [name, of] of following) row[name] = of(state.id)
      for (const name of names) row[name] = state[name]
      return row
    },
  }
}

const same = <T>(found: T) => found
