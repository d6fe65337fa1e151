import type { Verb } from '../commit/aggregate.ts'
import { mayAdminister, type Users, users } from './userAggregate.ts'

export interface RemoveExpiredSessionsAnswer {
  /** How many sessions were removed. */
  readonly removed: number
}

/** Removes all expired sessions of a user. If there are none, nothing changes. */
export const removeExpiredSessions: Verb<Users, { userId: string }, RemoveExpiredSessionsAnswer> = {
  name: 'removeExpiredSessions',
  aggregate: users,
  root: ({ userId }) => userId,
  may: (_, __, actor) => mayAdminister(actor),

  decide: ({ sessions }, _, { now }) =>
    Object.entries(sessions).flatMap(([sessionId, { expiresAt }]) =>
      expiresAt < now ? [{ kind: 'sessionEnded', sessionId }] : [],
    ),

  answer: (_, __, events) => ({ removed: events.length }),
}
