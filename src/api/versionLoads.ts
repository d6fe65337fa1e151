import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { type Sql, sql } from '../database/client.ts'
import { fold } from '../journal/fold.ts'
import {
  countVersions,
  type FoundVersion,
  readShown,
  readVersionPages,
  readVersions,
  type VersionName,
  type VersionPage,
  type VersionRange,
} from '../journal/history.ts'
import { type PageArguments, pageOf } from './connection.ts'
import type { Load } from './context.ts'
import { inTurn, spendingOf } from './historyLimit.ts'

/** How the history of one kind of root is loaded, for many roots at a time. */
export interface Loads {
  readonly page: Load<VersionRange, VersionPage>
  readonly version: Load<VersionName, FoundVersion>
  readonly count: Load<string, number>
}

/** A page of what hung below a root at a version. */
export interface PageBelow extends VersionName {
  readonly args: PageArguments
}
type Page<Node extends object> = ReturnType<typeof pageOf<Node>>

const loadsByRoot = new Map<string, Loads>()

/** One for each kind of root, so that an operation loads a version once, wherever it asks for it. */
export function loadsOf({ root }: Pick<Aggregate<Shape>, 'root'>): Loads {
  const known = loadsByRoot.get(root)
  if (known) return known
  const loads: Loads = {
    page: (ranges, { db }) => readVersionPages(db, root, ranges),
    version: (names, { db }) => readVersions(db, root, names),
    count: (rootIds, { db }) => countVersions(db, root, rootIds),
  }
  loadsByRoot.set(root, loads)
  return loads
}

/** Loads what versions show besides their heads: `shown` is its SQL. Null: it is no longer there. */
export const shownOf =
  <View>({ root }: Pick<Aggregate<Shape>, 'root'>, shown: Sql = sql`e.view`): Load<VersionName, View | null> =>
  async (names, context) =>
    // the module that wrote the SQL says what it returns
    (await readShown(context.db, { rootType: root, shown, names }, spendingOf(context).shown)) as (View | null)[]

/**
 * Loads pages of what hung below roots at versions; undefined: it is not known, since the journal doesn't have the
 * beginning. Only the pages are kept, because the lists may be long and a history has one for each version.
 */
export const belowOf =
  <S extends Shape, Node extends object>(
    aggregate: Aggregate<S>,
    list: (state: S['state']) => readonly Node[],
  ): Load<PageBelow, Page<Node> | undefined> =>
  (pages, context) =>
    inTurn(context, async () => {
      const place = ({ rootId, version }: VersionName) => `${rootId} ${version}`
      const wanted = new Map<string, PageBelow[]>()
      const upTo = new Map<string, number>()
      for (const page of pages) {
        const at = place(page)
        wanted.set(at, [...(wanted.get(at) ?? []), page])
        upTo.set(page.rootId, Math.max(page.version, upTo.get(page.rootId) ?? 0))
      }
      const found = new Map<PageBelow, Page<Node> | Error>()
      await fold(context.db, aggregate, upTo, {
        spent: spendingOf(context).folded,
        passed(state) {
          const here = wanted.get(place({ rootId: state.id, version: state.version }))
          if (!here) return
          const items = list(state)
          for (const page of here)
            found.set(
              page,
              attempt(() => pageOf(page.args, items)),
            )
        },
      })
      return pages.map((page) => found.get(page)) as (Page<Node> | undefined)[] // an error is that of its page alone
    })

function attempt<T>(work: () => T): T | Error {
  try {
    return work()
  } catch (error) {
    return error as Error
  }
}
