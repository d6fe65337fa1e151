import DataLoader from 'dataloader'
import type { Commit } from './commit.ts'
import type { Db } from './database/client.ts'
import type { Viewer } from './identity/viewer.ts'

/** What every operation of a process has at hand. */
export interface Surroundings {
  readonly db: Db
  readonly commit: Commit
  readonly log: { warn(detail: object, message: string): void; error(detail: object, message: string): void }
}

/** What a resolver has at hand, made anew for each operation. */
export interface Context extends Surroundings {
  readonly viewer: Viewer | null
  readonly requestId: string
  /** The ids of the courses that the viewer teaches; asked once an operation. */
  teaches(): Promise<ReadonlySet<string>>
  /** One of many that are asked for in the same tick, and then loaded together. */
  load<Key, Value>(many: Load<Key, Value>, key: Key): Promise<Value>
}

/** What loads many at once, in the order of their keys. */
export type Load<Key, Value> = (keys: readonly Key[], context: Context) => Promise<readonly Value[]>

/** A context of one operation's own. Its members are its own too, since Yoga copies them into an object. */
export function createContext(surroundings: Surroundings, viewer: Viewer | null, requestId: string): Context {
  const loaders = new Map<unknown, DataLoader<unknown, unknown, string>>()
  let teaches: Promise<ReadonlySet<string>> | undefined

  const context: Context = {
    ...surroundings,
    viewer,
    requestId,
    teaches: () => (teaches ??= coursesOf(surroundings.db, viewer)),
    load<Key, Value>(many: Load<Key, Value>, key: Key) {
      let loader = loaders.get(many) as DataLoader<Key, Value, string> | undefined
      if (!loader) {
        loader = new DataLoader<Key, Value, string>((keys) => many(keys, context), { cacheKeyFn: (key) => JSON.stringify(key) })
        loaders.set(many, loader as never)
      }
      return loader.load(key)
    },
  }
  return context
}

async function coursesOf(db: Db, viewer: Viewer | null): Promise<ReadonlySet<string>> {
  if (viewer?.role !== 'INSTRUCTOR') return new Set()
  const found = await db.courseInstructor.findMany({ where: { userId: viewer.id }, select: { courseId: true } })
  return new Set(found.map(({ courseId }) => courseId))
}
