import type { Verb } from '../aggregate.ts'
import { mayAdminister, type UserState, type Users, users } from './userAggregate.ts'

/** A user is registered once; registering them again changes nothing. */
export const registerUser: Verb<Users, { userId: string; name: string; role: UserState['role'] }> = {
  name: 'registerUser',
  aggregate: users,
  creates: true,
  root: ({ userId }) => userId,
  may: (_, __, actor) => mayAdminister(actor),
  decide: ({ version }, { name, role }) => (version ? [] : [{ kind: 'userRegistered', name, role }]),
}
