import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { buildSchema, isUnionType } from 'graphql'
import { expect, test } from 'vitest'
import { root, textOf } from './markdown.ts'

const page = textOf('docs/protocol.md')
const schema = buildSchema(textOf('schema.graphql'))

test('the page has each error code that a client can receive in `errors`', () => {
  const codes = ['api', 'live', 'server'].flatMap((folder) =>
    readdirSync(join(root, 'src', folder))
      .map((name) => textOf(`src/${folder}/${name}`))
      .flatMap((code) => [...code.matchAll(/(?:code: |\bproblem\(\s*|\btold\(\s*|\bfail\([^']*)'([A-Z_]+)'/g)])
      .map(([, code]) => code!),
  )
  expect(new Set(codes).size).toBeGreaterThan(10)
  expect([...new Set(codes)].filter((code) => !page.includes(`\`${code}\``))).toEqual([])
})

test('the page has each error that every mutation can return, and no other in that table', () => {
  const results = Object.values(schema.getMutationType()!.getFields())
    .filter(({ name }) => name !== 'updateLevels')
    .map(({ type }) => schema.getType(String(type).replace('!', '')))
    .map((union) => (isUnionType(union) ? union.getTypes().map(({ name }) => name) : []))
  const common = results.reduce((one, other) => one.filter((name) => other.includes(name)))
  const [, section = ''] = page.split('### Errors that every mutation can return')
  const table = [...section.split('\n#', 1)[0]!.matchAll(/^\| `(\w+)` \| `([A-Z_]+)` \|/gm)]
  expect(table.map(([, name]) => name).sort()).toEqual(common.sort())
  for (const [, name, code] of table) expect(code).toBe(name!.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase())
})

test('the page has each mutation, each subscription, and each reason of a snapshot', () => {
  const named = [
    ...Object.keys(schema.getMutationType()!.getFields()),
    ...Object.keys(schema.getSubscriptionType()!.getFields()),
  ]
  expect(named.filter((name) => !new RegExp(`\`${name}\\b`).test(page))).toEqual([])
  const reasons = textOf('schema.graphql').match(/enum SnapshotReason \{[^}]*\}/)![0]
  const values = [...reasons.matchAll(/^ {2}([A-Z_]+)$/gm)].map(([, value]) => value!)
  expect(values.length).toBe(3)
  expect(values.filter((value) => !page.includes(`| \`${value}\` |`))).toEqual([])
})
