/** A place in a text, counted from 1 as editors do. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** The place of the character at this index. */
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
 * The index where a text stops being JSON: of the first character that can't be there, or the text's length if it ends
 * too early; undefined if it is JSON. `JSON.parse` says only that it isn't, or says where in words that differ from one
 * version of Node to the next.
 */
export const jsonBreak = (text: string): number | undefined => new Scanner(text).findBreak()

class Scanner {
  readonly #text: string
  readonly #open: ('{' | '[')[] = []
  #at = 0
  #next: Next = 'value'

  constructor(text: string) {
    this.#text = text
  }

  findBreak(): number | undefined {
    for (;;) {
      this.#take(space)
      const char = this.#text[this.#at]
      if (char === undefined) return this.#next === 'nothing' ? undefined : this.#at
      if (!this.#step(char)) return this.#at
    }
  }

  /** Reads one token. False, at the character that is wrong, if it can't be there. */
  #step(char: string): boolean {
    const inside = this.#open.at(-1)
    switch (this.#next) {
      case 'colon':
        return char === ':' && this.#mark('value')
      case 'comma':
        if (char === ',') return this.#mark(inside === '{' ? 'name' : 'value')
        return this.#isEnd(char) && this.#close()
      case 'name':
        return char === '"' && this.#string('colon')
      case 'field':
        return char === '"' ? this.#string('colon') : this.#isEnd(char) && this.#close()
      case 'item':
        return this.#isEnd(char) ? this.#close() : this.#value(char)
      case 'value':
        return this.#value(char)
      case 'nothing':
        return false
    }
  }

  #value(char: string): boolean {
    if (char === '"') return this.#string(this.#afterValue())
    if (char === '{' || char === '[') {
      this.#open.push(char)
      return this.#mark(char === '{' ? 'field' : 'item')
    }
    if (!this.#take(word)) return false
    this.#next = this.#afterValue()
    return true
  }

  /** A character that stands for itself. */
  #mark(next: Next): true {
    this.#at++
    this.#next = next
    return true
  }

  #isEnd(char: string): boolean {
    const inside = this.#open.at(-1)
    return (char === '}' && inside === '{') || (char === ']' && inside === '[')
  }

  #close(): true {
    this.#open.pop()
    return this.#mark(this.#afterValue())
  }

  #string(next: Next): boolean {
    this.#at++
    do this.#take(plain)
    while (this.#take(escaped))
    return this.#text[this.#at] === '"' && this.#mark(next)
  }

  #afterValue(): Next {
    return this.#open.length ? 'comma' : 'nothing'
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    const found = pattern.test(this.#text)
    if (found) this.#at = pattern.lastIndex
    return found
  }
}
