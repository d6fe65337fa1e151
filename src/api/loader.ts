import DataLoader from 'dataloader'
import type { Db } from '../database/client.ts'
import type { Load } from './context.ts'

/** How many keys one statement looks up at most. */
const MOST_KEYS = 500

interface Finds {
  findMany(asked: { where: object }): Promise<unknown>
}

/**
 * Loads rows of a table by a unique column, the id unless another is named; null where there is none. `of` picks the
 * table: `rowsOf((db) => db.plan)`.
 */
export function rowsOf<Row extends object>(
  of: (db: Db) => unknown,
  column: keyof Row & string = 'id' as keyof Row & string, // every table that is loaded by default has an id
): Load<string, Row | null> {
  return async (keys, { db }) => {
    // Prisma's delegates have no type in common; `Row` says which it is
    const found = (await (of(db) as Finds).findMany({ where: { [column]: { in: [...keys] } } })) as Row[]
    const byKey = new Map(found.map((row) => [row[column] as string, row]))
    return keys.map((key) => byKey.get(key) ?? null)
  }
}

/**
 * Loads for all operations of this process together that ask in the same turn of the event loop. Nothing is remembered:
 * the next turn asks again.
 */
export function acrossOperations<Value>(load: (keys: readonly string[], db: Db) => Promise<readonly Value[]>) {
  const loaders = new WeakMap<Db, DataLoader<string, Value>>()
  return (db: Db, key: string): Promise<Value> => {
    let loader = loaders.get(db)
    if (!loader) {
      loader = new DataLoader((keys) => load(keys, db), { cache: false, maxBatchSize: MOST_KEYS })
      loaders.set(db, loader)
    }
    return loader.load(key)
  }
}
