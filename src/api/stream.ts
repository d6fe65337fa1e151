import type { ArgBuilder, InputFieldMap, InputShapeFromFields, ObjectRef } from '@pothos/core'
import { builder, type SchemaTypes } from './builder.ts'
import type { Context } from './context.ts'
import { DomainError, InvalidInput, Unauthenticated } from '../commit/errors.ts'
import type { Cursor } from '../journal/cursor.ts'
import type { ChangeItem, Item, SnapshotItem, Source } from '../journal/follow.ts'

/** There is nothing of that name to follow, or not for this viewer. */
export class NotFound extends DomainError {}

/** What a subscription follows, and who may. */
export interface Stream {
  readonly source: Source<object>
  /**
   * The roots (as the tail's channels) whose changes may change who may see this; besides the viewer's own, of course.
   */
  readonly guards: readonly string[]
  /** Throws a domain error for those who may not see this. */
  authorize(context: Context): Promise<void> | void
}

/** That a reader was too slow, and is let go. */
export interface LaggingItem {
  readonly is: 'lagging'
  readonly cursor: string
}

/**
 * What a subscription field's `subscribe` returns: a stream, opened. It is read by `subscriptions`, which all
 * transports go through; nothing comes of iterating it.
 */
export class Opened implements AsyncIterable<never> {
  readonly stream: Stream
  readonly after: Cursor | undefined
  constructor(stream: Stream, after: Cursor | undefined) {
    this.stream = stream
    this.after = after
  }
  [Symbol.asyncIterator](): never {
    throw new Error('A stream is read by `subscriptions`.')
  }
}

interface StreamOptions<Args extends InputFieldMap, Present extends object> {
  readonly description: string
  readonly args: (t: ArgBuilder<SchemaTypes>) => Args
  readonly snapshot: ObjectRef<SchemaTypes, SnapshotItem<Present>>
  readonly change: ObjectRef<SchemaTypes, ChangeItem>
  /** Which stream; throws InvalidInput. */
  open(args: InputShapeFromFields<Args>): Stream
}

/**
 * A subscription field: `nameUpdates(…, after: Cursor): NameUpdate!`, a union of a snapshot, a change, and
 * StreamLagging.
 */
export function stream<Args extends InputFieldMap, Present extends object>(
  name: string,
  options: StreamOptions<Args, Present>,
): void {
  const { description, snapshot, change } = options
  const Name = name[0]!.toUpperCase() + name.slice(1).replace(/s$/, '')
  const union = builder.unionType(Name, {
    description: `What ${name} tells: first how things are, or what was missed; then each change, in the order in which they were committed.`,
    types: [snapshot, change, StreamLagging],
    resolveType: (item) =>
      ({ snapshot, change, lagging: StreamLagging })[(item as unknown as Item | LaggingItem).is] as never,
  })
  builder.subscriptionField(name, (t) =>
    t.field({
      type: union,
      description,
      args: {
        ...options.args(t.arg as never),
        after: t.arg({
          type: 'Cursor',
          required: false,
          description:
            'Only what came after this: the cursor of the last item that you have, or of a mutation’s payload. Left out: the present comes first.',
        }),
      } as never,
      subscribe: async (_, args, context) => {
        if (!context.viewer) throw new Unauthenticated()
        const { after, ...own } = args as { after?: Cursor | null }
        const opened = options.open(own as never)
        if (after && !isOf(after, opened.source.subject))
          throw new InvalidInput(
            'after',
            `after is a cursor of something else. Wanted is one that ${name} gave you for the same arguments.`,
          )
        await opened.authorize(context)
        return new Opened(opened, after ?? undefined) as never
      },
      resolve: (item) => item as never,
    }),
  )
}

function isOf(cursor: Cursor, subject: Source<object>['subject']): boolean {
  if ('topic' in cursor) return 'topic' in subject && cursor.topic === subject.topic
  return !('topic' in subject) && cursor.rootType === subject.rootType && cursor.rootId === subject.rootId
}

builder.subscriptionType({
  description:
    'What is told as it happens, over WebSocket (graphql-transport-ws) or server-sent events: each committed change once, in order, and none missed. Whoever comes back with the cursor of the last item that they have goes on from there.',
})

/** Why a stream begins with how things are. */
export const Why = builder.enumType('SnapshotReason', {
  description: 'Why a stream tells how things are, instead of what changed.',
  values: {
    FIRST: { description: 'No cursor was given: it is the beginning.' },
    RESUMED_TOO_LATE: {
      description:
        'What came after the cursor is no longer kept. Changes may have been missed; this is what they led to.',
    },
    OTHER_EPOCH: {
      description:
        'The cursor is of another history: the database was restored or failed over, or this was deleted and made again. Forget what you knew.',
    },
  } as const,
})

const StreamLagging = builder.objectRef<LaggingItem>('StreamLagging').implement({
  description:
    'You read more slowly than things change, and too much was waiting for you: this stream ends here. Nothing is lost; subscribe again after `cursor`.',
  fields: (t) => ({
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'Behind the last item that you were sent: what to give as `after`.',
    }),
    message: t.string({
      description: 'The same, for a person.',
      resolve: () =>
        'You read more slowly than things change. Subscribe again with this cursor as `after`, and you go on where you were.',
    }),
  }),
})
