import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { buildSchema } from 'graphql'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { schemaChanges } from '../scripts/schemaChanges.ts'

const BEFORE = `
  type Query { course(slug: String!, first: Int = 20): Course, find(by: By): Found }
  type Course { title: String!, state: State, lessons: [String!]! }
  type Plan { title: String! }
  type User { name: String! }
  union Found = Course | Plan
  enum State { OPEN CLOSED }
  input By { title: String, state: State! = OPEN, limit: Int! = 5 }
`

/** The schema above with one change. */
function changed(from: string, to: string): string {
  expect(BEFORE).toContain(from)
  return BEFORE.replace(from, to)
}

const found = (after: string) =>
  schemaChanges(buildSchema(BEFORE), buildSchema(after)).map(
    ({ isBreaking, text }) => `${isBreaking ? 'breaking' : 'to notice'}: ${text}`,
  )

describe('between two schemas', () => {
  test.each([
    ['title: String!, state', 'state', 'Course.title was removed.'],
    ['lessons: [String!]!', 'lessons: [String]!', 'Course.lessons changed type from [String!]! to [String]!.'],
    ['title: String!, state', 'title: String, state', 'Course.title changed type from String! to String.'],
    ['(by: By)', '(by: By, in: State!)', 'A required arg in on Query.find was added.'],
    ['input By {', 'input By { name: String!', 'A required field name on input type By was added.'],
    ['= Course | Plan', '= Course', 'Plan was removed from union type Found.'],
    ['OPEN CLOSED', 'OPEN', 'CLOSED was removed from enum type State.'],
    ['limit: Int! = 5', 'limit: Int!', 'By.limit became required.'],
    ['input By {', 'input By @oneOf {', 'By became @oneOf.'],
  ])('%j made %j is breaking', (from, to, change) => {
    expect(found(changed(from, to))).toEqual([`breaking: ${change}`])
  })

  test.each([
    ['= Course | Plan', '= Course | Plan | User', 'User was added to union type Found.'],
    ['OPEN CLOSED', 'OPEN CLOSED FULL', 'FULL was added to enum type State.'],
    ['(by: By)', '(by: By, in: State)', 'An optional arg in on Query.find was added.'],
    ['first: Int = 20', 'first: Int = 50', 'Query.course arg first has changed defaultValue from 20 to 50.'],
    ['Int! = 5', 'Int! = 6', 'The default of By.limit changed from 5 to 6.'],
    ['slug: String!', 'slug: String! = "a"', undefined],
    ['title: String, state', 'title: String = "a", state', 'The default of By.title changed from none to "a".'],
    ['first: Int = 20', 'first: Int', 'Query.course arg first defaultValue was removed.'],
  ])('%j made %j breaks nothing, and is mentioned if clients may notice', (from, to, change) => {
    expect(found(changed(from, to))).toEqual(change ? [`to notice: ${change}`] : [])
  })

  test.each([
    ['a nullable field', 'title: String!, state', 'title: String!, level: Int, state'],
    ['a field that is never null any more', 'state: State,', 'state: State!,'],
    ['a type', 'enum State', 'scalar Time enum State'],
    ['an argument that may now be left out', 'slug: String!', 'slug: String'],
    ['a description', 'enum State', '"What it is." enum State'],
  ])('%s more is no change that clients notice', (_, from, to) => {
    expect(found(changed(from, to))).toEqual([])
  })
})

describe('the script', () => {
  const project = path.join(import.meta.dirname, '..')
  const folder = mkdtempSync(path.join(os.tmpdir(), 'lockstep-schema-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(path.join(project, 'node_modules'), path.join(folder, 'node_modules'))

  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text)
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8')
  const allow = (...changes: string[]) =>
    write('released/allowed.json', JSON.stringify(changes.map((change) => ({ change, since: '1.3.0' }))))

  /** Runs it in a folder that has a project of its own, as npm does. */
  function run(...words: string[]) {
    const script = path.join(project, 'scripts/schema.ts')
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, ...words], {
      cwd: folder,
      encoding: 'utf8',
    })
    return { status, output: stdout + stderr }
  }

  beforeEach(() => {
    rmSync(path.join(folder, 'released'), { recursive: true, force: true })
    write('package.json', '{ "version": "1.2.0", "type": "module" }')
    write('schema.graphql', BEFORE)
    expect(run('release')).toMatchObject({ status: 0 })
    write('package.json', '{ "version": "1.3.0", "type": "module" }')
  })

  test('passes a change that breaks no client, and mentions it', () => {
    write('schema.graphql', changed('OPEN CLOSED', 'OPEN CLOSED FULL'))
    const { status, output } = run('check')
    expect(output).toMatch(
      /compared with that of 1\.2\.0:\nnotice {4}FULL was added to enum type State\.\n {10}Clients/,
    )
    expect(status).toBe(0)
  })

  test('fails for a breaking change, and lets those through that are in the list', () => {
    write('schema.graphql', changed('title: String!, state: State, ', ''))
    allow('Course.title was removed.')
    const one = run('check')
    expect(one.output).toContain('allowed   Course.title was removed.\n          Since 1.3.0, on purpose.')
    expect(one.output).toContain('BREAKING  Course.state was removed.\n          Documents that name it are refused.')
    expect(one.status).toBe(1)

    allow('Course.title was removed.', 'Course.state was removed.')
    const both = run('check')
    expect(both.output).toContain('0 breaking, 2 allowed, 0 to notice; 0 stale entries')
    expect(both.status).toBe(0)
  })

  test('fails for an entry of the list that names no breaking change', () => {
    write('schema.graphql', changed('OPEN CLOSED', 'OPEN CLOSED FULL'))
    allow('FULL was added to enum type State.')
    const { status, output } = run('check')
    expect(output).toContain('STALE     FULL was added to enum type State.')
    expect(status).toBe(1)
  })

  test('ends with exit code 2 if it can compare nothing', () => {
    expect(run()).toEqual({ status: 2, output: 'Usage: schema.ts check | release\n' })
    write('released/allowed.json', '[{ "change": "Course.title was removed.", "since": "soon" }]')
    expect(run('check')).toEqual({
      status: 2,
      output: expect.stringMatching(/^released\/allowed\.json can't be read: /),
    })
    allow()
    write('schema.graphql', 'type Query {')
    expect(run('check')).toEqual({ status: 2, output: expect.stringMatching(/^schema\.graphql can't be read: /) })
    rmSync(path.join(folder, 'released/schema.graphql'))
    expect(run('check')).toEqual({
      status: 2,
      output: expect.stringMatching(/^released\/schema\.graphql is missing\./),
    })
  })

  test('takes the schema of a release with its version, and empties the list', () => {
    write('schema.graphql', changed('title: String!, state', 'state'))
    allow('Course.title was removed.')
    expect(run('release')).toMatchObject({ status: 0 })
    expect(read('released/schema.graphql')).toMatch(/^# Lockstep 1\.3\.0: .*\n/)
    expect(read('released/schema.graphql').replace(/^#.*\n/, '')).toBe(read('schema.graphql'))
    expect(read('released/allowed.json')).toBe('[]\n')
    expect(run('check')).toMatchObject({ status: 0, output: expect.stringContaining('compared with that of 1.3.0') })
  })

  test('takes no release that breaks clients without saying so', () => {
    write('schema.graphql', changed('title: String!, state', 'state'))
    expect(run('release')).toMatchObject({ status: 1 })
    expect(read('released/schema.graphql')).toMatch(/^# Lockstep 1\.2\.0: /)
  })
})
