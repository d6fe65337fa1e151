import { isUtf8 } from 'node:buffer'
import type { z } from 'zod'
import { jsonBreak, placeOf } from './jsonBreak.ts'

/** A problem of an input file. */
export interface FileProblem {
  /**
   * A path into its JSON, as `exercises.concept[3].slug`; `line 5, column 12` if the file is not JSON; empty for the
   * file as a whole.
   */
  readonly where: string
  /** A sentence without its full stop. */
  readonly why: string
}

/** The file cannot be imported. */
export class InvalidFile extends Error {
  /** Everything that is wrong with the file. */
  readonly problems: readonly FileProblem[]
  constructor(problems: readonly FileProblem[]) {
    super(problems.map(({ where, why }) => `${where && `${where}: `}${why}.`).join('\n'))
    this.problems = problems
  }
  /** With a single problem. */
  static because(where: string, why: string): InvalidFile {
    return new InvalidFile([{ where, why }])
  }
}

/**
 * Parses a file of JSON. Throws InvalidFile with the place where it stops being JSON. `kind` names what the file should
 * be, for the errors.
 */
export function readJson(bytes: Uint8Array, largest: number, kind: string): unknown {
  if (bytes.length > largest)
    throw InvalidFile.because('', `The file is larger than ${largest / 2 ** 20} MiB, and no ${kind} is`)
  const text = decode(bytes)
  if (!text.trim()) throw InvalidFile.because('', 'The file is empty')
  try {
    return JSON.parse(text)
  } catch {
    const at = jsonBreak(text) ?? text.length
    const { line, column } = placeOf(text, at)
    const found =
      text[at] === undefined
        ? 'The file ends in the middle: it was cut short'
        : `The file is not JSON: ${quoted(text[at])} cannot be here`
    throw InvalidFile.because(`line ${line}, column ${column}`, found)
  }
}

function decode(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) {
    // what can't be decoded becomes U+FFFD, so that the first byte that differs when encoded again is the first that is
    // wrong
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
    const at = new TextEncoder().encode(text).findIndex((byte, index) => byte !== bytes[index])
    const { line, column } = placeOf(
      text,
      new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, at)).length,
    )
    throw InvalidFile.because(`line ${line}, column ${column}`, 'The file is not UTF-8')
  }
  return new TextDecoder().decode(bytes)
}

/** The problem that zod found, as words that fit after a path. */
export function why(issue: z.core.$ZodRawIssue): string {
  const found = issue.input === undefined ? 'is missing' : `is ${shown(issue.input)}`
  if (issue.code === 'invalid_type')
    return issue.input === undefined
      ? 'is missing'
      : `must be ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}, and ${found}`
  if (issue.code === 'too_big') return `must have at most ${issue.maximum} characters`
  if (issue.code === 'invalid_value')
    return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}, and ${found}`
  if (issue.code === 'invalid_format' && 'pattern' in issue) {
    if (issue.pattern === '/\\S/') return 'must not be blank'
    if (issue.pattern?.startsWith('/^[0-9a-f]')) return `must be a UUID in lower case, and ${found}`
    if (issue.pattern?.startsWith('/^[a-z0-9]')) return `must be in kebab-case, and ${found}`
    if (issue.pattern?.includes('{Cc}'))
      return `has a control character, ${codePoint(/\p{Cc}/u.exec(String(issue.input))![0])}`
    return 'has a character that is none: half of a surrogate pair'
  }
  return 'cannot be like this'
}

const codePoint = (character: string) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`

/** As JSON, with all control characters escaped; JSON may leave some as they are. */
const quoted = (value: unknown) =>
  JSON.stringify(value).replace(
    /\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** A value as it is shown to people: as JSON, 60 characters at most. */
export function shown(value: unknown): string {
  const text = quoted(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** A path into JSON, in JavaScript's notation. */
export const spelled = (path: readonly PropertyKey[]) =>
  path.reduce<string>(
    (before, part) =>
      typeof part === 'number' ? `${before}[${part}]` : before ? `${before}.${String(part)}` : String(part),
    '',
  )
