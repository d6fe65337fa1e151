import { system, type Verb } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'
import { mayAdminister, type UserState, type Users, users } from './userAggregate.ts'

/** Registers a user. Registering the same id again changes nothing. Throws InvalidInput. */
export const registerUser: Verb<Users, { userId: string; name: string; role: UserState['role'] }> = {
  name: 'registerUser',
  aggregate: users,
  creates: true,
  root: ({ userId }) => userId,
  may: (_, __, actor) => mayAdminister(actor),

  decide({ version }, { userId, name, role }) {
    // A dot ends the user's part of other ids, such as an enrollment's. An id with a dot could name another user there.
    if (!/^[\w-]{1,100}$/.test(userId))
      throw new InvalidInput('userId', 'userId must be 1 to 100 letters, digits, - and _.')
    // The journal would record the user's requests as the operator's.
    if (userId === system.id)
      throw new InvalidInput('userId', `userId must not be ${system.id}: the journal uses it for the operator.`)
    if (!/^[^\p{C}]{1,200}$/u.test(name) || !name.trim())
      throw new InvalidInput('name', 'name must be 1 to 200 printable characters.')
    return version ? [] : [{ kind: 'userRegistered', name, role }]
  },
}
