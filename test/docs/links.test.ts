import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { anchors, pages, prose, root, textOf } from './markdown.ts'

const isThere = (path: string) => existsSync(join(root, path))

/** The links of a page, without those to other sites. */
function links(page: string): string[] {
  const text = prose(textOf(page)).replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll('](', '] ('))
  const found = [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)"/g)].map(
    ([, markdown, html]) => markdown ?? html!,
  )
  return found.filter((link) => !/^[a-z]+:/.test(link))
}

/** Why a link of the page leads nowhere; undefined if it leads somewhere. */
function fault(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#')
  const target = path ? posix.join(posix.dirname(page), path) : page
  if (!isThere(target)) return `${link}: there is no ${target}`
  if (anchor !== undefined && !anchors(textOf(target)).includes(anchor)) return `${link}: no heading has that anchor`
  return undefined
}

describe.each(pages)('%s', (page) => {
  test('has links that lead somewhere', () => {
    expect(links(page).flatMap((link) => fault(page, link) ?? [])).toEqual([])
  })

  test('names files and folders that are there', () => {
    const named = [...prose(textOf(page)).matchAll(/(?<![\w./@-])(?:src|test|bench|examples|prisma|docs)\/[\w./-]*\w/g)]
    const made = [...textOf(page).matchAll(/title="([^"]+)"/g)].map(([, path]) => path!) // by who follows the page
    const missing = named.map(([path]) => path).filter((path) => !isThere(path) && !made.includes(path))
    expect(missing).toEqual([])
  })
})

test('each guarantee names its tests', () => {
  const guarantees = prose(textOf('docs/guarantees.md'))
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.startsWith('**'))
  const named = prose(textOf('docs/guarantees.md')).match(/^Tests: /gm) ?? []
  expect(guarantees.length).toBeGreaterThan(30)
  expect(named.length).toBe(guarantees.length + 1) // and those of deleting
})

test('the links are found', () => {
  expect(links('README.md')).toContain('docs/operations.md#the-data-folder')
  expect(pages.flatMap(links).length).toBeGreaterThan(100)
  expect(fault('README.md', 'docs/nowhere.md')).toMatch(/there is no docs\/nowhere\.md/)
  expect(fault('docs/protocol.md', '#nowhere')).toMatch(/no heading/)
  expect(fault('docs/protocol.md', '../README.md#start')).toBeUndefined()
})
