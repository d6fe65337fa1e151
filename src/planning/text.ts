import { InvalidInput } from '../commit/errors.ts'

/** The most characters in a title, and in the details of a workout. */
export const [LONGEST_TITLE, LONGEST_DETAILS] = [200, 10_000]

/** Why a text is not a valid title, as the rest of a sentence: `is blank`. Undefined: it is valid once trimmed. */
export function titleFault(text: string): string | undefined {
  const control = /\p{Cc}/u.exec(text.trim())
  if (control) return `has a control character, ${codePoint(control[0])}, and a title is one line`
  return !text.trim() ? 'is blank' : fault(text.trim(), LONGEST_TITLE)
}

/** Why a text is not valid as the details of a workout, as the rest of a sentence. Undefined: it is valid. */
export function detailsFault(text: string): string | undefined {
  const control = /(?![\n\t])\p{Cc}/u.exec(text.replaceAll('\r\n', '\n'))
  return control ? `has a control character, ${codePoint(control[0])}` : fault(text, LONGEST_DETAILS)
}

/** Returns the title given at the input path `field`, trimmed. Throws InvalidInput. */
export function parseTitle(text: string, field: string): string {
  refuse(field, titleFault(text), `1 to ${LONGEST_TITLE} characters on one line`)
  return text.trim()
}

/** Returns the details given at the input path `field`, with `\n` for line breaks. Throws InvalidInput. */
export function parseDetails(text: string, field: string): string {
  refuse(field, detailsFault(text), `text of ${LONGEST_DETAILS} characters at most, with line breaks and tabs`)
  return text.replaceAll('\r\n', '\n')
}

function refuse(field: string, why: string | undefined, wanted: string): void {
  if (why) throw new InvalidInput(field, `${field} ${why}. Wanted is ${wanted}.`)
}

function fault(text: string, longest: number): string | undefined {
  if (/\p{Surrogate}/u.test(text)) return 'has half of a surrogate pair, which is not a character'
  const { length } = [...text]
  return length > longest ? `has ${length} characters` : undefined
}

const codePoint = (character: string) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
