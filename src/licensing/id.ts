import { InvalidInput } from '../commit/errors.ts'

/** A person has one standing in a specialization, so the two of them name it: its progress, and its license. */
export const standingOf = (userId: string, code: string) => `${userId}.${code}`
/** Whose standing it is. */
export const userOf = (standingId: string) => standingId.slice(0, standingId.lastIndexOf('.'))
/** In which specialization. A code has no dot, so that it ends where the id does. */
export const codeOf = (standingId: string) => standingId.slice(standingId.lastIndexOf('.') + 1)

/** A specialization's code as it was given; throws InvalidInput if it can be none. `field` says where it was found. */
export function codeIn(text: string, field: string): string {
  if (/^[A-Z][A-Z0-9_]{0,39}$/.test(text)) return text
  throw new InvalidInput(
    field,
    `${field} is ${JSON.stringify(text.slice(0, 60))}. Wanted is the code of a specialization, such as PLAYER: 1 to 40 capitals, digits and _.`,
  )
}
