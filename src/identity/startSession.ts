import type { Verb } from '../commit/aggregate.ts'
import { mayAdminister, type Users, users } from './userAggregate.ts'

/** Starts a session of a user with a token, of which only the hash is given. The same token again changes nothing. */
export const startSession: Verb<Users, { userId: string; tokenHash: string; expiresAt: string }> = {
  name: 'startSession',
  aggregate: users,
  root: ({ userId }) => userId,
  may: (_, __, actor) => mayAdminister(actor),

  decide({ sessions }, { tokenHash, expiresAt }) {
    const sessionId = tokenHash.slice(0, 16)
    return sessions[sessionId] ? [] : [{ kind: 'sessionStarted', sessionId, tokenHash, expiresAt }]
  },
}
