import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

/** The pages that people read, as paths from the project's folder. */
export const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

const fence = /^(`{3,})(\w*)\n([\s\S]*?)^\1$/gm

/** A page without its fenced blocks. */
export const prose = (text: string): string => text.replaceAll(fence, '')

export interface Block {
  readonly language: string
  readonly code: string
  /** The HTML comment right above it; empty if there is none. */
  readonly comment: string
}

/** The fenced blocks of a page, in order. */
export const blocks = (text: string): Block[] =>
  [...text.matchAll(fence)].map(({ 2: language = '', 3: code = '', index }) => ({
    language,
    code,
    comment: /<!-- ([^>]*) -->\n$/.exec(text.slice(0, index))?.[1] ?? '',
  }))

/** The anchors of a page's headings, as GitHub makes them. */
export function anchors(text: string): string[] {
  const seen = new Map<string, number>()
  return [...prose(text).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '')
    const anchor = plain
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times ? `${anchor}-${times}` : anchor
  })
}
