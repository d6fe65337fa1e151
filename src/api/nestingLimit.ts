import { GraphQLError } from 'graphql'
import type { Plugin } from 'graphql-yoga'

/** How deep brackets may nest in a document: far deeper than what the other limits accept. */
const DEEPEST = 100

/**
 * Refuses a document that nests too deep before it is parsed. GraphQL's parser calls itself for each level, and a few
 * hundred levels can exhaust the stack: an error that would look like ours, at a depth that nobody could name.
 */
export const nestingLimit: Plugin = {
  onParse({ params: { source } }) {
    const text = typeof source === 'string' ? source : source.body
    if (nestingOf(text, DEEPEST) <= DEEPEST) return
    throw new GraphQLError(`This document nests its brackets more than ${DEEPEST} levels deep, which is the most.`, {
      extensions: { code: 'QUERY_TOO_DEEP', http: { status: 400, spec: true } },
    })
  },
}

/** How deep brackets nest in a document, or `most + 1` if deeper than `most`. Those in strings don't count. */
export function nestingOf(text: string, most: number): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length && deepest <= most; at++) {
    const character = text[at]!
    if (character === '"') at = endOfString(text, at)
    else if (character === '#') at = endOfLine(text, at)
    else if ('{[('.includes(character)) deepest = Math.max(deepest, ++depth)
    else if ('}])'.includes(character)) depth--
  }
  return deepest
}

/** Where the comment that begins here ends. */
function endOfLine(text: string, at: number): number {
  const end = text.slice(at).search(/[\n\r]/)
  return end < 0 ? text.length : at + end
}

/** Where the string that begins here has its last character; an unfinished one ends with its line, or the document. */
function endOfString(text: string, begin: number): number {
  const isBlock = text.startsWith('"""', begin)
  const end = isBlock ? /\\"""|"""/g : /\\.|["\n\r]/g
  end.lastIndex = begin + (isBlock ? 3 : 1)
  for (let found = end.exec(text); found; found = end.exec(text))
    if (!found[0].startsWith('\\')) return end.lastIndex - 1
  return text.length
}
