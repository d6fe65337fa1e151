import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GraphQLError } from 'graphql'
import { createSchema, createYoga } from 'graphql-yoga'
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

/** Packages that production runs below what a dependent asks for. The test below covers what it uses of them. */
const COVERED = ['@whatwg-node/disposablestack', '@whatwg-node/promise-helpers']

test('no override gives production a package below what its dependent asks for, but for two that a test covers', () => {
  const wrong = Object.entries(packages)
    .filter(([, { dev, devOptional }]) => !dev && !devOptional)
    .flatMap(([from, { dependencies = {} }]) =>
      Object.entries(dependencies)
        .filter(([name]) => overridden.includes(name))
        .filter(([name, range]) => !satisfies(found(from, name)!.version, range))
        .map(([name, range]) => ({ name, asked: `${from} asks for ${name} ${range}` })),
    )
  expect(wrong.filter(({ name }) => !COVERED.includes(name))).toEqual([])
  expect([...new Set(wrong.map(({ name }) => name))].sort()).toEqual(COVERED)
})

// Yoga's executor asks for newer ones of both; with these it must work as the specification says.
test.each([
  ['now', (value: unknown) => value],
  ['later', async (value: unknown) => value],
  ['each at its own time', (value: unknown, i: number) => (i % 2 ? sleep(5, value) : value)],
])('fields that resolve %s are answered in the order of the selection, with their errors', async (_, resolve) => {
  const yoga = createYoga({
    logging: false,
    maskedErrors: false,
    schema: createSchema({
      typeDefs: 'type Query { a: Int b: [Query] c: Int fails: Int d: Int } type Mutation { first: Int second: Int }',
      resolvers: {
        Query: {
          a: () => resolve(1, 1),
          b: () => resolve([resolve({}, 0), resolve({}, 1)], 0),
          c: () => resolve(3, 0),
          fails: () => {
            const error = resolve(new GraphQLError('it failed'), 1)
            return error instanceof Promise ? error.then((error) => Promise.reject(error)) : error
          },
          d: () => resolve(4, 1),
        },
        Mutation: { first: () => resolve(1, 1), second: () => resolve(2, 0) },
      },
    }),
  })
  const ask = async (query: string) => {
    const body = JSON.stringify({ query })
    const headers = { 'content-type': 'application/json' }
    return (await yoga.fetch('http://localhost/graphql', { method: 'POST', headers, body })).text()
  }
  const data = JSON.stringify({
    a: 1,
    b: [
      { d: 4, a: 1 },
      { d: 4, a: 1 },
    ],
    c: 3,
    fails: null,
    d: 4,
  })
  const answer = await ask('{ a b { d a } c fails d }')
  expect(answer).toContain(`"data":${data}`)
  expect(JSON.parse(answer)).toMatchObject({ errors: [{ message: 'it failed', path: ['fails'] }] })
  expect(await ask('mutation { second first }')).toBe('{"data":{"second":2,"first":1}}')
})

test('each override is explained', () => {
  const text = read('docs/architecture.md')
  expect(overridden.filter((name) => !text.includes(`\`${name}\``))).toEqual([])
})
