import type { Db } from './client.ts'

type Where = Record<string, unknown>
/** A model of Prisma's client: its methods by name. */
type Model = Record<string, (query: { readonly where: Where }) => unknown>

/** By database: the operation whose look-ups Prisma batches in this turn of the event loop. */
const turns = new WeakMap<Db, object>()

/** The method that looks up the same, and that Prisma never batches. */
const unbatched: Readonly<Record<string, string>> = { findUnique: 'findFirst', findUniqueOrThrow: 'findFirstOrThrow' }

/**
 * The database as one operation reads it: with look-ups by id of its own. Prisma batches all look-ups by id of one turn
 * of the event loop, and one that fails takes the others with it. Here only those of one operation are batched; another
 * operation's in the same turn are sent one by one.
 */
export function ownLookUps(db: Db): Db {
  const operation = {}
  const mayBatch = () => {
    if (!turns.has(db)) {
      turns.set(db, operation)
      setImmediate(() => turns.delete(db))
    }
    return turns.get(db) === operation
  }
  const models = new Map<string | symbol, Model>()
  return new Proxy(db, {
    get(_, name) {
      const value: unknown = Reflect.get(db, name)
      if (typeof name !== 'string' || !isModel(value)) return value
      let model = models.get(name)
      if (!model) models.set(name, (model = withOwnLookUps(value, mayBatch)))
      return model
    },
  })
}

const withOwnLookUps = (model: Model, mayBatch: () => boolean): Model =>
  new Proxy(model, {
    get(_, name) {
      const single = typeof name === 'string' ? unbatched[name] : undefined
      if (typeof name !== 'string' || !single) return Reflect.get(model, name)
      return (query: { readonly where: Where }) =>
        mayBatch() ? model[name]!(query) : model[single]!({ ...query, where: flat(query.where) })
    },
  })

const isModel = (value: unknown): value is Model => typeof value === 'object' && value !== null && 'findUnique' in value

/** A compound key, such as `enrollmentId_lessonId`, as its columns. */
const flat = (where: Where): Where =>
  Object.fromEntries(
    Object.entries(where).flatMap(([name, value]) =>
      name.includes('_') && typeof value === 'object' && value !== null ? Object.entries(value) : [[name, value]],
    ),
  )
