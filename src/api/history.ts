import type { EnumRef, FieldMap, ObjectRef } from '@pothos/core'
import { resolveCursorConnection } from '@pothos/plugin-relay'
import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { GENESIS } from '../journal/event.ts'
import { fold } from '../journal/fold.ts'
import {
  countVersions,
  type FoundVersion,
  readVersionPages,
  readVersions,
  type VersionName,
  type VersionPage,
  type VersionRange,
} from '../journal/history.ts'
import { builder, LARGEST_PAGE, PAGE, type SchemaTypes } from './builder.ts'
import { connectionOf, type PageArguments, pageOf } from './connection.ts'
import type { Context, Load } from './context.ts'
import type { PayloadBuilder } from './mutation.ts'
import { problem } from './shownError.ts'
import { itemOf, Version, type VersionItem, VersionNotFound, VersionPruned } from './version.ts'

/** A version is below this. */
const BEYOND = 2 ** 31 - 1
/** What folding a history costs, however long it is, beside what is shown of it. See listLimit.ts. */
const FOLD = 20
/** The most events that are folded for the fields that are asked for at the same time. */
const MOST_FOLDED = 50_000

// Pothos computes shapes from fields. Where those are generic, as here, TypeScript can't follow it; hence the casts.

/** Builds the fields of a version. */
export type VersionBuilder<View> = PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, VersionItem<View>>

/** Makes a field of what hangs below a root at a version: a page of a list, which is folded when it is asked for. */
export type Below<State> = <Node extends object>(
  node: ObjectRef<SchemaTypes, Node>,
  name: string,
  description: string,
  list: (state: State) => readonly Node[],
) => FieldMap[string]

interface HistoryOptions<S extends Shape, Root> {
  readonly aggregate: Aggregate<S>
  readonly root: ObjectRef<SchemaTypes, Root>
  /** `Enrollment` makes the type `EnrollmentVersion`. */
  readonly name: string
  readonly description: string
  /** What can happen, by the names of events. */
  readonly kind: EnumRef<SchemaTypes, string>
  /** Those of the roots that the viewer may see: the same as for the root's own type. */
  visible(rootIds: readonly string[], context: Context): Promise<readonly { readonly id: string }[]>
  readonly fields: (t: VersionBuilder<S['view']>, below: Below<S['state']>) => FieldMap
}

/**
 * Gives a root the fields `history` and `asOf`. What they return is of a type of its own, whose ids contain the
 * version, so a client's cache takes no old state for the present one. Whoever may see a root may see its history.
 */
export function history<S extends Shape, Root extends { readonly id: string; readonly version: number }>(
  options: HistoryOptions<S, Root>,
) {
  const { aggregate, name, root } = options
  const loads = loadsOf(aggregate)
  const version = versionOf(options, loads)
  builder.objectField(root, 'history', (t) =>
    t.connection(
      {
        type: version,
        nullable: true,
        description:
          'Its versions in the journal, newest first, each with the change that made it. See `asOf` for one.',
        resolve: ({ id }: { readonly id: string }, args: PageArguments, context: Context) =>
          pageOfVersions(loads, id, args, context),
      } as never,
      connectionOf<VersionItem<S['view']>, Pick<VersionPage, 'oldest'>>(version, `${name}Version`, (t) => ({
        oldestVersion: t.exposeInt('oldest', {
          nullable: true,
          description:
            'The oldest version on any page. If it is greater than 1, those before it are no longer kept: what they ' +
            'led to is in this one. Null: the journal has no version of it.',
        }),
      })),
    ),
  )
  builder.objectField(root, 'asOf', (t) =>
    t.field({
      type: version,
      nullable: true,
      description: 'It at one version, from the journal.',
      args: { version: t.arg.int({ description: 'The version, from 1.' }) },
      errors: {
        types: [VersionPruned, VersionNotFound],
        union: { name: `${name}AsOfResult`, description: 'A version, or why there is none.' },
      },
      resolve: async (root, args, context) => {
        const { id, version: present } = root as unknown as { readonly id: string; readonly version: number }
        const found = await context.load(loads.version, { rootId: id, version: args.version })
        return (found.event ? itemOf(found.event) : missing(args.version, present, found)) as never
      },
    }),
  )
  return version
}

/**
 * The field of payloads with what the request left, as the journal has it. The root itself is shown as it is now, which
 * may be newer.
 */
export const committedField = <S extends Shape, Answer>(
  t: PayloadBuilder<S['view'], Answer>,
  aggregate: Aggregate<S>,
  version: ObjectRef<SchemaTypes, VersionItem<S['view']>>,
) => ({
  committed: t.field({
    type: version,
    nullable: true,
    description: 'The `version` of this payload: what the request left. Null if the journal no longer has it.',
    resolve: async ({ view, version }, _, context) => {
      if (version === 0) return null
      const { event } = await context.load(loadsOf(aggregate).version, { rootId: view.id, version })
      return event && itemOf<S['view']>(event)
    },
  }),
})

/** How the history of one kind of root is loaded, for many roots at a time. */
interface Loads<State> {
  readonly page: Load<VersionRange, VersionPage>
  readonly version: Load<VersionName, FoundVersion>
  readonly count: Load<string, number>
  /** The state at a version; undefined: it can't be folded, since the journal doesn't have the beginning. */
  readonly state: Load<VersionName, State | undefined>
}

const loadsByRoot = new Map<string, Loads<unknown>>()

/** One for each kind of root, so that an operation loads a version once, wherever it asks for it. */
function loadsOf<S extends Shape>(aggregate: Aggregate<S>): Loads<S['state']> {
  const known = loadsByRoot.get(aggregate.root) as Loads<S['state']> | undefined // by the name of its own root
  const loads = known ?? newLoads(aggregate)
  if (!known) loadsByRoot.set(aggregate.root, loads)
  return loads
}

function newLoads<S extends Shape>(aggregate: Aggregate<S>): Loads<S['state']> {
  const { root } = aggregate
  return {
    page: (ranges, { db }) => readVersionPages(db, root, ranges),
    version: (names, { db }) => readVersions(db, root, names),
    count: (rootIds, { db }) => countVersions(db, root, rootIds),
    async state(names, { db }) {
      const place = (rootId: string, version: number) => `${rootId} ${version}`
      const wanted = new Set(names.map(({ rootId, version }) => place(rootId, version)))
      const upTo = new Map<string, number>()
      for (const { rootId, version } of names) upTo.set(rootId, Math.max(version, upTo.get(rootId) ?? 0))
      const found = new Map<string, S['state']>()
      let folded = 0
      await fold(db, aggregate, upTo, (state) => {
        if (++folded > MOST_FOLDED) throw tooLong()
        const at = place(state.id, state.version)
        if (wanted.has(at)) found.set(at, state)
      })
      return names.map(({ rootId, version }) => found.get(place(rootId, version)))
    },
  }
}

const tooLong = () =>
  problem(
    'QUERY_TOO_EXPENSIVE',
    `What this asks for follows from more than ${MOST_FOLDED.toLocaleString('en')} changes. Ask for less at a time.`,
  )

async function pageOfVersions({ page, count }: Loads<unknown>, rootId: string, args: PageArguments, context: Context) {
  let oldest: number | null = null
  const found = await resolveCursorConnection<Promise<VersionItem[]>>(
    { args, defaultSize: PAGE, maxSize: LARGEST_PAGE, toCursor: ({ event }) => cursorOf(event.version) },
    async ({ after, before, limit, inverted }) => {
      const below = after === undefined ? BEYOND : versionIn(after)
      const above = before === undefined ? 0 : versionIn(before)
      const loaded = await context.load(page, { rootId, above, below, limit, oldestFirst: inverted })
      oldest = loaded.oldest
      return loaded.events.map((event) => itemOf(event))
    },
  )
  const [startCursor, endCursor] = [found.edges.at(0)?.cursor ?? null, found.edges.at(-1)?.cursor ?? null]
  return {
    ...found,
    pageInfo: { ...found.pageInfo, startCursor, endCursor },
    oldest,
    totalCount: () => context.load(count, rootId),
  }
}

const cursorOf = (version: number) => Buffer.from(`Version:${version}`).toString('base64')

function versionIn(cursor: string): number {
  const [, version] = /^Version:(\d{1,9})$/.exec(Buffer.from(cursor, 'base64').toString()) ?? []
  if (version !== undefined) return Number(version)
  throw problem('BAD_REQUEST', 'That is no cursor of a history. Wanted is one that this connection returned.')
}

/** The versions of one kind of root, as a type. */
function versionOf<S extends Shape, Root>(
  { name, description, kind, visible, fields }: HistoryOptions<S, Root>,
  loads: Loads<S['state']>,
) {
  const ref = builder.objectRef<VersionItem<S['view']>>(`${name}Version`)
  builder.node(ref, {
    description,
    interfaces: [Version] as never,
    id: { resolve: ({ event }) => `${event.rootId}~${event.version}` },
    async loadMany(ids, context) {
      const names = ids.map((id) => nameIn(id))
      const rootIds = new Set(names.flatMap((name) => (name ? [name.rootId] : [])))
      const shown = new Set((await visible([...rootIds], context)).map(({ id }) => id))
      return Promise.all(
        names.map(async (name) => {
          if (!name || !shown.has(name.rootId)) return null
          const { event } = await context.load(loads.version, name)
          return event && itemOf<S['view']>(event)
        }),
      )
    },
    fields: (t) => ({
      kind: t.field({
        type: kind,
        nullable: true,
        description: `What happened. ${FOLDED}`,
        resolve: ({ event }) => (event.kind === GENESIS ? null : event.kind),
      }),
      ...fields(t as VersionBuilder<S['view']>, belowOf(t as VersionBuilder<S['view']>, loads) as Below<S['state']>),
    }),
  })
  return ref
}

const FOLDED =
  'Null: older changes are no longer kept, and this is what they led to. `occurredAt` and `actorId` are those of the ' +
  'last of them.'

const belowOf =
  <View, State>(t: VersionBuilder<View>, { state }: Loads<State>): Below<State> =>
  (node, name, description, list) =>
    t.connection(
      {
        type: node,
        nullable: true,
        description: `${description} Null: the journal does not have the beginning, so this is not known.`,
        extensions: { cost: FOLD },
        resolve: async ({ event }: VersionItem, args: PageArguments, context: Context) => {
          const found = await context.load(state, { rootId: event.rootId, version: event.version })
          return found === undefined ? null : pageOf(args, list(found))
        },
      } as never,
      connectionOf(node, name),
    )

/** The root and version in the id of a version; null: it is none. */
function nameIn(id: string): VersionName | null {
  const [, rootId, version] = /^([\w.-]{1,200})~(\d{1,9})$/.exec(id) ?? []
  return rootId === undefined ? null : { rootId, version: Number(version) }
}

/** Says why a version is not there. */
function missing(requested: number, present: number, { oldest, newest }: FoundVersion): never {
  const current = Math.max(present, newest ?? 0) // the root was read before, or after
  if (requested < 1 || requested > current) throw new VersionNotFound(requested, current)
  throw new VersionPruned(requested, oldest, current)
}
