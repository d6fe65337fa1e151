import path from 'node:path'
import { expect, test } from 'vitest'
import { textOf } from '../docs/markdown.ts'

/** The packages that a module of the examples imports, and those that its own modules do. */
function packagesOf(file: string): string[] {
  const imported = [...textOf(file).matchAll(/^import .* from '([^']+)'/gm)].map(([, name]) => name!)
  return imported.flatMap((name) => {
    if (name.startsWith('./')) return packagesOf(path.posix.join('examples', name))
    return name.startsWith('.') ? [] : /^(@[^/]+\/)?[^/]+/.exec(name)![0]
  })
}

test.each(['apollo', 'network', 'relay', 'urql'])('the head of examples/%s.mjs names the packages it needs', (name) => {
  const file = `examples/${name}.mjs`
  const [head] = textOf(file).split(/^import/m)
  const [, named] = /npm install ([^,\n]+)/.exec(head!)!
  expect(named!.split(' ')).toEqual(expect.arrayContaining(packagesOf(file)))
})

test.each(['apollo', 'urql'])('the head of examples/%s.mjs says that it runs until Ctrl-C', (name) => {
  expect(textOf(`examples/${name}.mjs`).split(/^import/m)[0]).toContain('runs until Ctrl-C')
})

test('the head of examples/relay.mjs says what to import', () => {
  expect(textOf('examples/relay.mjs').split(/^import/m)[0]).toContain("import { environmentOf } from './relay.mjs'")
})
