import { InvalidInput } from '../commit/errors.ts'

/** How long a title may be, and what is said of a workout, in characters. */
export const [LONGEST_TITLE, LONGEST_DETAILS] = [200, 10_000]

/** Why a text can't be a title; undefined: it can, once it is trimmed. */
export function titleFault(text: string): string | undefined {
  const control = /\p{Cc}/u.exec(text.trim())
  if (control) return `has a control character, ${codePoint(control[0])}, and a title is one line`
  return !text.trim() ? 'is blank' : fault(text.trim(), LONGEST_TITLE)
}

/** Why a text can't be the details of a workout; undefined: it can. */
export function detailsFault(text: string): string | undefined {
  const control = /(?![\n\t])\p{Cc}/u.exec(text.replaceAll('\r\n', '\n'))
  return control ? `has a control character, ${codePoint(control[0])}` : fault(text, LONGEST_DETAILS)
}

/** A title that somebody has given, trimmed; throws InvalidInput. */
export function titleIn(text: string, field: string): string {
  refuse(field, titleFault(text), `1 to ${LONGEST_TITLE} characters on one line`)
  return text.trim()
}

/** Details that somebody has given, their lines ended as here; throws InvalidInput. */
export function detailsIn(text: string, field: string): string {
  refuse(field, detailsFault(text), `text of ${LONGEST_DETAILS} characters at most, with line breaks and tabs`)
  return text.replaceAll('\r\n', '\n')
}

function refuse(field: string, why: string | undefined, wanted: string): void {
  if (why) throw new InvalidInput(field, `${field} ${why}. Wanted is ${wanted}.`)
}

function fault(text: string, longest: number): string | undefined {
  if (/\p{Surrogate}/u.test(text)) return 'has a character that is none: half of a surrogate pair'
  const { length } = [...text]
  return length > longest ? `has ${length} characters` : undefined
}

const codePoint = (character: string) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
