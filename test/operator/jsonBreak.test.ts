import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonBreak, placeOf } from '../../src/operator/jsonBreak.ts'

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('where a text stops being JSON', () => {
  const texts = fc
    .tuple(fc.jsonValue(), fc.constantFrom(undefined, 2, '\t\r'))
    .map(([value, indent]) => JSON.stringify(value, null, indent === '\t\r' ? '\t' : indent))

  test('is nowhere, if it is JSON', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(jsonBreak(text)).toBeUndefined()
      }),
    )
  })

  test('is found exactly where JSON.parse fails', () => {
    const broken = fc
      .tuple(texts, fc.nat(), fc.constantFrom('', ...'{}[]:,"\\ 1e-.tn\u0000'))
      .map(([text, at, put]) => text.slice(0, at % text.length) + put + text.slice((at % text.length) + 1))
    fc.assert(
      fc.property(broken, (text) => {
        expect(jsonBreak(text) === undefined).toBe(isJson(text))
      }),
      { numRuns: 2_000 },
    )
  })

  test('is at the end, or in its last word, if it was cut off there', () => {
    fc.assert(
      fc.property(texts, fc.nat(), (text, cut) => {
        const part = text.slice(0, cut % text.length)
        const at = jsonBreak(part)
        if (at !== undefined) expect(part.slice(at)).toMatch(/^(\\u?[\da-fA-F]{0,3}|\w*|-?[\d.eE+-]*)$/)
      }),
    )
  })

  test.each([
    ['', 0],
    ['{"a": 1,\n "b"; 2}', 13],
    ['{"a": 1}}', 8],
    ['[1, 2,]', 6],
    ['{"a": 1,}', 8],
    ["{'a': 1}", 1],
    ['{"a": tru', 6],
    ['{"a": "b', 8],
    ['["\\x"]', 2],
    ['["a\nb"]', 3],
    ['{"a" 1}', 5],
    ['01', 1],
    ['nope', 0],
  ])('%j: %i', (text, at) => expect(jsonBreak(text)).toBe(at))

  test('is told as editors count', () => {
    expect(placeOf('ab\ncd', 0)).toEqual({ line: 1, column: 1 })
    expect(placeOf('ab\ncd', 4)).toEqual({ line: 2, column: 2 })
    expect(placeOf('ab\n', 3)).toEqual({ line: 2, column: 1 })
  })

  test('is found however deep it is', () => {
    expect(jsonBreak('['.repeat(1_000_000))).toBe(1_000_000)
  })
})
