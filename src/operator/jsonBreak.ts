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
  let at = 0
  let next: Next = 'value'
  const open: ('{' | '[')[] = []
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    const found = pattern.test(text)
    if (found) at = pattern.lastIndex
    return found
  }
  const string = () => {
    at++
    do take(plain)
    while (take(escaped))
    return text[at++] === '"'
  }
  const after = (): Next => (open.length ? 'comma' : 'nothing')

  for (;;) {
    take(space)
    const char = text[at]
    if (char === undefined) return next === 'nothing' ? undefined : at
    const inside = open.at(-1)
    const ends =
      (char === '}' && inside === '{' && next !== 'name') || (char === ']' && inside === '[' && next !== 'value')
    if (ends && (next === 'comma' || next === 'field' || next === 'item')) {
      at++
      open.pop()
      next = after()
    } else if (next === 'comma' && char === ',') {
      at++
      next = inside === '{' ? 'name' : 'value'
    } else if (next === 'colon' && char === ':') {
      at++
      next = 'value'
    } else if ((next === 'name' || next === 'field') && char === '"') {
      if (!string()) return at - 1
      next = 'colon'
    } else if (next === 'value' || next === 'item') {
      if (char === '{' || char === '[') {
        at++
        open.push(char)
        next = char === '{' ? 'field' : 'item'
      } else if (char === '"') {
        if (!string()) return at - 1
        next = after()
      } else if (take(word)) next = after()
      else return at
    } else return at
  }
}
