/** A place in a text, counted from 1 as editors do. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** The place of a character. */
export function placeOf(text: string, at: number): Place {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  return { line, column: at - before.lastIndexOf('\n') }
}

/**
 * What may come next: a value; a value or the list's end; a field's name; a field's name or the object's end; a colon;
 * a comma or an end; nothing.
 */
type Next = 'value' | 'item' | 'name' | 'field' | 'colon' | 'comma' | 'nothing'

const space = /[ \t\n\r]*/y
const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings
const plain = /[^"\\\u0000-\u001f]*/y
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/**
 * Where a text stops being JSON: at the first character that can't be there, or at its end, where there should be more;
 * undefined if it is JSON. `JSON.parse` says only that it isn't, or says where in words that differ from one version of
 * Node to the next.
 */
export function jsonBreak(text: string): number | undefined {
  const scanner = new Scanner(text)
  let next: Next = 'value'
  const open: ('{' | '[')[] = []
  const after = (): Next => (open.length ? 'comma' : 'nothing')

  for (;;) {
    scanner.take(space)
    const { at, char } = scanner
    if (char === undefined) return next === 'nothing' ? undefined : at
    const inside = open.at(-1)
    const ends =
      (char === '}' && inside === '{' && next !== 'name') || (char === ']' && inside === '[' && next !== 'value')
    if (ends && (next === 'comma' || next === 'field' || next === 'item')) {
      scanner.at++
      open.pop()
      next = after()
    } else if (next === 'comma' && char === ',') {
      scanner.at++
      next = inside === '{' ? 'name' : 'value'
    } else if (next === 'colon' && char === ':') {
      scanner.at++
      next = 'value'
    } else if ((next === 'name' || next === 'field') && char === '"') {
      if (!scanner.string()) return scanner.at - 1
      next = 'colon'
    } else if ((next === 'value' || next === 'item') && (char === '{' || char === '[')) {
      scanner.at++
      open.push(char)
      next = char === '{' ? 'field' : 'item'
    } else if ((next === 'value' || next === 'item') && char === '"') {
      if (!scanner.string()) return scanner.at - 1
      next = after()
    } else if ((next === 'value' || next === 'item') && scanner.take(word)) next = after()
    else return at
  }
}

/** A place in a text, moved forward by what it takes. */
class Scanner {
  at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get char(): string | undefined {
    return this.#text[this.at]
  }

  /** Takes what matches here, if anything does. */
  take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    const isFound = pattern.test(this.#text)
    if (isFound) this.at = pattern.lastIndex
    return isFound
  }

  /** Takes a string, from its quote to what ends it. False: something else ended it. */
  string(): boolean {
    this.at++
    do this.take(plain)
    while (this.take(escaped))
    return this.#text[this.at++] === '"'
  }
}
