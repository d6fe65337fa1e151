import type { ChangeItem, SnapshotItem } from '../journal/follow.ts'
import { builder } from './builder.ts'
import { actorIdOf } from './globalId.ts'

/** That a reader was too slow and is disconnected. */
export interface TooSlowItem {
  readonly is: 'tooSlow'
  readonly cursor: string
}

/** What every item of every stream has. */
export const StreamItem = builder.interfaceRef<{ readonly cursor: string }>('StreamItem').implement({
  description: 'What every item of every stream has.',
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor', description: 'Pass as `after` to continue from here.' }),
  }),
})

/** What every snapshot has. */
export const Snapshot = builder.interfaceRef<SnapshotItem<object>>('Snapshot').implement({
  description: 'The present, sent instead of changes. Replace what you have with it.',
  interfaces: [StreamItem],
  fields: (t) => ({
    reason: t.expose('reason', { type: SnapshotReason, description: 'Why this is a snapshot and not a change.' }),
  }),
})

/** What every change has. */
export const Change = builder.interfaceRef<ChangeItem>('Change').implement({
  description: 'One committed change. Apply it to what you have.',
  interfaces: [StreamItem],
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'The version that the change made. The versions of one thing have no gaps.',
    }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'The commit time: taken under the lock, from the server’s clock.',
      resolve: ({ event }) => event.at,
    }),
    actorId: t.id({
      nullable: true,
      description: 'The id of the user who made the request; null: the change followed from another one.',
      resolve: ({ event }) => actorIdOf(event.actor),
    }),
  }),
})

const SnapshotReason = builder.enumType('SnapshotReason', {
  description: 'Why a stream sends a snapshot instead of changes.',
  values: {
    INITIAL: { description: 'No cursor was given: this is the beginning.' },
    CURSOR_EXPIRED: {
      description: 'The changes after the cursor are no longer kept. The snapshot contains their result.',
    },
    HISTORY_REPLACED: {
      description:
        'The cursor is of another history: the database was restored or failed over, or this was deleted and ' +
        'created again. Discard what you have.',
    },
  } as const,
})

/** The last item of a stream whose reader was too slow. */
export const SubscriberTooSlow = builder.objectRef<TooSlowItem>('SubscriberTooSlow').implement({
  description:
    'The last item of a stream whose reader was too slow: too much was waiting to be sent. Nothing is lost; ' +
    'subscribe again with `cursor` as `after`.',
  interfaces: [StreamItem],
  fields: (t) => ({
    message: t.string({
      description: 'The same for people.',
      resolve: () =>
        'You read more slowly than things change. Subscribe again with this cursor as `after` to continue.',
    }),
  }),
})
