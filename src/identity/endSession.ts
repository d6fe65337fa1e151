import type { Verb } from '../commit/aggregate.ts'
import { Forbidden } from '../commit/errors.ts'
import { type Users, users } from './userAggregate.ts'

/** Ends a session at once. For the user, and for admins. If there is no such session, nothing changes. */
export const endSession: Verb<Users, { userId: string; sessionId: string }> = {
  name: 'endSession',
  aggregate: users,
  root: ({ userId }) => userId,

  may({ id }, _, actor) {
    if (actor.id !== id && actor.role !== 'ADMIN' && actor.role !== 'SYSTEM')
      throw new Forbidden('This session is not yours.')
  },

  decide: ({ sessions }, { sessionId }) => (sessions[sessionId] ? [{ kind: 'sessionEnded', sessionId }] : []),
}
