import type { Verb } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'
import { mayAdminister, type UserState, type Users, users } from './userAggregate.ts'

/** A user is registered once; registering them again changes nothing. */
export const registerUser: Verb<Users, { userId: string; name: string; role: UserState['role'] }> = {
  name: 'registerUser',
  aggregate: users,
  creates: true,
  root: ({ userId }) => userId,
  may: (_, __, actor) => mayAdminister(actor),

  decide({ version }, { userId, name, role }) {
    // a dot ends the learner's part of an enrollment's id: with one in it, it would say that another user learns
    if (!/^[\w-]{1,100}$/.test(userId))
      throw new InvalidInput('userId', 'userId must be 1 to 100 letters, digits, - and _.')
    // the journal would tell of what they do as if the operator had done it
    if (userId === 'system')
      throw new InvalidInput('userId', 'userId must not be system, which is how the journal calls the operator.')
    if (!/^[^\p{C}]{1,200}$/u.test(name) || !name.trim())
      throw new InvalidInput('name', 'name must be 1 to 200 printable characters.')
    return version ? [] : [{ kind: 'userRegistered', name, role }]
  },
}
