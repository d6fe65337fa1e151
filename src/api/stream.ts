import type { ArgBuilder, EnumRef, FieldMap, InputFieldMap, InputShapeFromFields } from '@pothos/core'
import { type Aggregate, type Shape, whole } from '../commit/aggregate.ts'
import { DomainError, InvalidInput, Unauthenticated } from '../commit/errors.ts'
import type { Cursor } from '../journal/cursor.ts'
import type { ChangeItem, Item, SnapshotItem, Source } from '../journal/follow.ts'
import { builder, type SchemaTypes } from './builder.ts'
import type { Context } from './context.ts'
import { Change, Snapshot, StreamItem, SubscriberTooSlow, type TooSlowItem } from './streamItem.ts'

/** There is no such thing to follow, or the viewer may not see it. */
export class NotFound extends DomainError {}

/** What a subscription follows, and who may see it. */
export interface Stream<Present = object> {
  readonly source: Source<Present>
  /** The roots, as the tail's channels, whose changes may change who may see this. The viewer's own is always one. */
  readonly guards: readonly string[]
  /** Throws a domain error for viewers who may not see this. */
  authorize(context: Context): Promise<void> | void
}

/**
 * What a subscription field's `subscribe` returns. Class Subscriptions, which all transports use, reads the stream;
 * iterating this object throws.
 */
export class OpenedStream implements AsyncIterable<never> {
  readonly stream: Stream
  readonly after: Cursor | undefined
  constructor(stream: Stream, after: Cursor | undefined) {
    this.stream = stream
    this.after = after
  }
  [Symbol.asyncIterator](): never {
    throw new Error('Only Subscriptions can read a stream.')
  }
}

interface StreamAccess {
  /** The message for viewers who may not see it, and where there is no such thing. */
  readonly missing: string
  may(context: Context): Promise<boolean> | boolean
  readonly guards?: readonly string[]
}

/** Follows one root: its state first, whole, then each change. */
export function followRoot<S extends Shape>(
  aggregate: Aggregate<S>,
  id: string,
  access: StreamAccess,
): Stream<S['state']> {
  return follow<S['state']>(access, {
    subject: { rootType: aggregate.root, rootId: id },
    read: aggregate.read(whole(id)),
    load: (rows) => aggregate.load(rows).find(({ version }) => version > 0),
  })
}

/** Follows a feed over many roots; `read` and `load` are the present that it begins with. */
export function followFeed<Present>(access: StreamAccess, feed: Omit<Source<Present>, 'missing'>): Stream<Present> {
  return follow(access, feed)
}

function follow<Present>(
  { missing, may, guards = [] }: StreamAccess,
  source: Omit<Source<Present>, 'missing'>,
): Stream<Present> {
  const notFound = () => new NotFound(missing)
  return {
    source: { ...source, missing: notFound },
    guards,
    async authorize(context) {
      if (!(await may(context))) throw notFound()
    },
  }
}

/** Builds the fields of a snapshot. */
export type SnapshotBuilder<Present> = PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, SnapshotItem<Present>>
/** Builds the fields of a change. */
export type ChangeBuilder = PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, ChangeItem>

interface StreamOptions<Args extends InputFieldMap, Present extends object> {
  readonly description: string
  readonly args: (t: ArgBuilder<SchemaTypes>) => Args
  /** Which stream; throws InvalidInput. */
  open(args: InputShapeFromFields<Args>): Stream<Present>
  readonly snapshot: {
    readonly description: string
    /** Of one root: the snapshot has its version. */
    readonly ofRoot?: true
    readonly fields: (t: SnapshotBuilder<Present>) => FieldMap
  }
  readonly change: {
    readonly description: string
    /** What can happen, by the names of events. */
    readonly kind: EnumRef<SchemaTypes, string>
    /** Of a feed over many roots: the description of `version`, which says whose version it is. */
    readonly ofMany?: string
    readonly fields: (t: ChangeBuilder) => FieldMap
  }
}

/**
 * A subscription field: `xUpdates(…, after: Cursor): XUpdate!`, a union of XSnapshot, XChange and SubscriberTooSlow.
 * What all snapshots and all changes have is defined here.
 */
export function stream<Args extends InputFieldMap, Present extends object>(
  name: `${string}Updates`,
  options: StreamOptions<Args, Present>,
) {
  const Name = name[0]!.toUpperCase() + name.slice(1).replace(/Updates$/, '')
  const types = {
    snapshot: snapshotOf<Present>(Name, options.snapshot),
    change: changeOf(Name, options.change),
    tooSlow: SubscriberTooSlow,
  }
  const union = builder.unionType(`${Name}Update`, {
    description: `An item of ${name}: first a snapshot or the changes since \`after\`, then changes in commit order.`,
    types: Object.values(types),
    resolveType: (item) => types[(item as Item | TooSlowItem).is],
  })
  builder.subscriptionField(name, (t) =>
    t.field({
      type: union,
      description: options.description,
      args: {
        // Pothos computes the shape of arguments from their fields, which are generic here; hence these casts
        ...options.args(t.arg as never),
        after: t.arg({
          type: 'Cursor',
          required: false,
          description:
            'Receive only what comes after this cursor: of the last item received, or of a mutation’s payload. ' +
            'Without it, a snapshot comes first.',
        }),
      } as never,
      subscribe: (_, args, context) => open(name, options, args, context) as never,
      resolve: (item) => item as never,
    }),
  )
  return union
}

async function open<Args extends InputFieldMap>(
  name: string,
  options: { open(args: InputShapeFromFields<Args>): Stream },
  args: object,
  context: Context,
): Promise<OpenedStream> {
  if (!context.viewer) throw new Unauthenticated()
  const { after, ...own } = args as InputShapeFromFields<Args> & { after?: Cursor | null }
  const stream = options.open(own as InputShapeFromFields<Args>)
  if (after && !isOf(after, stream.source.subject))
    throw new InvalidInput(
      'after',
      `after is a cursor of something else. Wanted is a cursor that ${name} returned for the same arguments.`,
    )
  await stream.authorize(context)
  return new OpenedStream(stream, after ?? undefined)
}

function isOf(cursor: Cursor, subject: Source<object>['subject']): boolean {
  if ('topic' in cursor) return 'topic' in subject && cursor.topic === subject.topic
  return !('topic' in subject) && cursor.rootType === subject.rootType && cursor.rootId === subject.rootId
}

function snapshotOf<Present extends object>(
  Name: string,
  { description, ofRoot, fields }: StreamOptions<InputFieldMap, Present>['snapshot'],
) {
  return builder.objectRef<SnapshotItem<Present>>(`${Name}Snapshot`).implement({
    description,
    interfaces: [StreamItem, Snapshot] as never, // Pothos can't see that a snapshot of a generic present is one
    fields: (t) => ({
      ...(ofRoot && { version: t.exposeInt('version', { description: 'The version of the snapshot.' }) }),
      ...fields(t),
    }),
  })
}

function changeOf(Name: string, { description, kind, ofMany, fields }: StreamOptions<InputFieldMap, object>['change']) {
  return builder.objectRef<ChangeItem>(`${Name}Change`).implement({
    description,
    interfaces: [StreamItem, Change],
    fields: (t) => ({
      kind: t.field({ type: kind, description: 'What happened.', resolve: ({ event }) => event.kind }),
      ...(ofMany && { version: t.exposeInt('version', { description: ofMany }) }),
      ...fields(t),
    }),
  })
}

builder.subscriptionType({
  description:
    'Live changes, over WebSocket (graphql-transport-ws) or server-sent events: each committed change once, in ' +
    'order, with nothing missed. To continue after a lost connection, pass the cursor of the last item received as ' +
    '`after`.',
})
