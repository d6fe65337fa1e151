import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const project = path.join(import.meta.dirname, '..')
const read = (name: string) => readFileSync(path.join(project, name), 'utf8')

interface Installed {
  readonly version: string
  readonly dev?: true
  /** Needed for development, or by an optional peer. */
  readonly devOptional?: true
  readonly dependencies?: Readonly<Record<string, string>>
}
type Overrides = { readonly [name: string]: string | Overrides }

const { overrides } = JSON.parse(read('package.json')) as { overrides: Overrides }
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Readonly<Record<string, Installed>> }
const overridden = [...new Set(namesIn(overrides))]

function namesIn(overrides: Overrides): string[] {
  return Object.entries(overrides).flatMap(([name, value]) => [
    ...(name === '.' ? [] : [name]),
    ...(typeof value === 'string' ? [] : namesIn(value)),
  ])
}

/** The package that Node finds from there. */
function found(from: string, name: string): Installed | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const installed = packages[`${folder ? `${folder}/` : ''}node_modules/${name}`]
    if (installed || !folder) return installed
  }
}

/** Whether a version is what a range such as ^1.3.2 or 1.3.2 asks for. */
function satisfies(version: string, range: string): boolean {
  if (!range.startsWith('^')) return version === range
  const [has, wants] = [version, range.slice(1)].map((text) => text.split('.').map(Number))
  const fixed = wants!.findIndex((part) => part > 0)
  const differs = has!.findIndex((part, i) => part !== wants![i])
  return differs === -1 || (differs > fixed && has![differs]! > wants![differs]!)
}

test.each([
  ['1.3.2', '^1.3.2', true],
  ['1.4.0', '^1.3.2', true],
  ['1.3.1', '^1.3.2', false],
  ['1.3.2', '^2.0.0', false],
  ['0.10.13', '^0.10.6', true],
  ['0.10.13', '^0.12.0', false],
  ['0.0.6', '^0.0.5', false],
  ['0.20.0', '0.24.17', false],
])('that %s satisfies %s is %j', (version, range, is) => expect(satisfies(version, range)).toBe(is))

test('no override gives a package that runs in production a version which its dependent does not ask for', () => {
  const wrong = Object.entries(packages)
    .filter(([, { dev, devOptional }]) => !dev && !devOptional)
    .flatMap(([from, { dependencies = {} }]) =>
      Object.entries(dependencies)
        .filter(([name]) => overridden.includes(name))
        .filter(([name, range]) => !satisfies(found(from, name)!.version, range))
        .map(([name, range]) => `${from} asks for ${name} ${range}`),
    )
  expect(wrong).toEqual([])
})

test('each override is explained', () => {
  const text = read('docs/architecture-dependencies.md')
  expect(overridden.filter((name) => !text.includes(`\`${name}\``))).toEqual([])
})
