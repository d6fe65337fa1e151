import type { Db } from './client.ts'

interface Unique {
  readonly where: Record<string, unknown>
}

/** Whose look-ups go together in this turn of the event loop. */
const turns = new WeakMap<Db, object>()

/**
 * The database as one operation reads it. Prisma puts the look-ups by id that are asked for in one turn together,
 * whoever asks, so that one that fails takes the others with it: here only those of one operation go together, and
 * those of any other go by themselves.
 */
export function apart(db: Db): Db {
  const owner = {}
  const own = () => {
    if (!turns.has(db)) {
      turns.set(db, owner)
      setImmediate(() => turns.delete(db))
    }
    return turns.get(db) === owner
  }
  const models = new Map<string | symbol, object>()
  const model = (delegate: Record<string, (asked: object) => unknown>) =>
    new Proxy(delegate, {
      get(_, method: string) {
        const alone = { findUnique: 'findFirst', findUniqueOrThrow: 'findFirstOrThrow' }[method]
        if (!alone) return Reflect.get(delegate, method)
        return (asked: Unique) =>
          own() ? delegate[method]!(asked) : delegate[alone]!({ ...asked, where: flat(asked.where) })
      },
    })
  return new Proxy(db, {
    get(_, name) {
      const value = Reflect.get(db, name)
      if (typeof name !== 'string' || typeof value !== 'object' || value === null || !('findUnique' in value))
        return value
      if (!models.has(name)) models.set(name, model(value as never))
      return models.get(name)
    },
  })
}

/** What is unique together, such as `enrollmentId_lessonId`, as its columns. */
const flat = (where: Unique['where']) =>
  Object.fromEntries(
    Object.entries(where).flatMap(([name, value]) =>
      name.includes('_') ? Object.entries(value as object) : [[name, value]],
    ),
  )
