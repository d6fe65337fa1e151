import type { ArgBuilder } from '@pothos/core'
import type { SchemaTypes } from '../api/builder.ts'
import { alone, localId, oneOf } from '../api/globalId.ts'
import { InvalidInput } from '../commit/errors.ts'

/** The id of a user's standing in a specialization: of its progress, and of its license. */
export const standingOf = (userId: string, code: string) => `${userId}.${code}`
/** The id of the user. */
export const userOf = (standingId: string) => standingId.slice(0, standingId.lastIndexOf('.'))
/** The code of the specialization. Codes have no dot, so the last dot separates it. */
export const codeOf = (standingId: string) => standingId.slice(standingId.lastIndexOf('.') + 1)

const WANTED =
  'Wanted is the code of a specialization, such as PLAYER: 1 to 40 capitals, digits and _, beginning with a capital.'

/** Returns the code if it can be the code of a specialization; throws InvalidInput otherwise. `field` is its path. */
export function codeIn(code: string, field: string): string {
  if (/^[A-Z][A-Z0-9_]{0,39}$/.test(code)) return code
  throw new InvalidInput(field, `${field} is ${JSON.stringify(code.slice(0, 60))}. ${WANTED}`)
}

/** The arguments of fields about one standing. */
export const standingArgs = (t: ArgBuilder<SchemaTypes>) => ({
  userId: t.id({ required: true, description: 'A `User.id`.' }),
  specialization: t.string({ required: true, description: 'A `Specialization.code`.' }),
})

/** The arguments of queries for one of the records of a standing: by its id, or by user and specialization. */
export const recordArgs = (t: ArgBuilder<SchemaTypes>, typename: string) => ({
  id: t.id({ required: false, description: `A \`${typename}.id\`.` }),
  specialization: t.string({ required: false, description: 'A `Specialization.code`.' }),
  userId: t.id({ required: false, description: 'With `specialization`: a `User.id`. Without it, the viewer.' }),
})

/** The id of the record that the arguments name; throws InvalidInput. */
export function recordIn(
  { id, userId, specialization }: RecordName,
  typename: string,
  viewer: { readonly id: string },
): string {
  if (oneOf({ id, specialization }) === 'id') {
    alone('id', { userId })
    return localId(typename, id!, 'id')
  }
  const user = userId ? localId('User', userId, 'userId') : viewer.id
  return standingOf(user, codeIn(specialization!, 'specialization'))
}

interface RecordName {
  readonly id?: string | null
  readonly userId?: string | null
  readonly specialization?: string | null
}

/** The id of the standing that the arguments name; throws InvalidInput. */
export const standingIn = ({ userId, specialization }: { readonly userId: string; readonly specialization: string }) =>
  standingOf(localId('User', userId, 'userId'), codeIn(specialization, 'specialization'))
