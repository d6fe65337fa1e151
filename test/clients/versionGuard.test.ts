import { buildSchema, type GraphQLObjectType, isObjectType } from 'graphql'
import { expect, test } from 'vitest'
import { VersionGuard } from '../../examples/versionGuard.mjs'
import { textOf } from '../docs/markdown.ts'

const enrollment = (version: number, percent: number) => ({ __typename: 'Enrollment', id: 'e', version, percent })
const lesson = (id: string, status: string) => ({ __typename: 'LessonProgress', id, status })
const change = (version: number, lessonProgress: object) => ({
  enrollmentUpdates: { __typename: 'EnrollmentChange', version, enrollment: enrollment(version, 0), lessonProgress },
})

test('what was seen at a newer version is older, field by field', () => {
  const guard = new VersionGuard()
  expect(guard.olderIn({ enrollment: enrollment(5, 50) }).size).toBe(0)
  const late = { ...enrollment(4, 40), attempt: 1 }
  expect([...guard.olderIn({ enrollment: late })]).toEqual([[late, ['version', 'percent']]])
  expect(guard.olderIn({ enrollment: { ...enrollment(5, 50), attempt: 2 } }).size).toBe(0)
  expect(guard.olderIn({ enrollment: enrollment(6, 60) }).size).toBe(0)
})

test('what hangs below a root is compared by the version of its root, each object for itself', () => {
  const guard = new VersionGuard()
  const answer = { __typename: 'CompleteLessonPayload', version: 5, replayed: false }
  guard.olderIn({
    completeLesson: { ...answer, enrollment: enrollment(5, 50), lessonProgress: lesson('a', 'COMPLETED') },
  })
  const older = guard.olderIn(change(4, lesson('b', 'COMPLETED')))
  expect([...older.keys()]).toMatchObject([{ id: 'e' }]) // and not b, which the stream brings only now
  expect([...guard.olderIn(change(3, lesson('a', 'IN_PROGRESS'))).keys()]).toMatchObject([{ id: 'e' }, { id: 'a' }])
})

test('a list is older only than what was seen with the same arguments', () => {
  const guard = new VersionGuard()
  const plan = (version: number) => ({
    plan: { __typename: 'Plan', id: 'p', version, workouts: { __typename: 'WorkoutConnection', nodes: [] } },
  })
  guard.olderIn(plan(5), 'ten')
  expect([...guard.olderIn(plan(4), 'twenty').values()]).toEqual([['version']])
  expect([...guard.olderIn(plan(4), 'ten').values()]).toEqual([['version', 'workouts']])
})

test('a link is older whether it leads somewhere or nowhere', () => {
  const guard = new VersionGuard()
  const change = (version: number, selection: object | null) => {
    const plan = { __typename: 'Plan', id: 'p', version }
    const workouts = [{ __typename: 'Workout', id: 'w', selection }]
    return { planUpdates: { __typename: 'PlanChange', version, plan, workouts } }
  }
  const selection = { __typename: 'WorkoutSelection', id: 's', currentPlanDay: null }
  guard.olderIn(change(3, selection), 'one')
  expect([...guard.olderIn(change(2, null), 'other').values()]).toContainEqual(['selection'])
  guard.olderIn(change(5, null), 'one')
  expect([...guard.olderIn(change(4, selection), 'other').values()]).toContainEqual(['selection'])
})

test('after a replaced history, versions begin anew', () => {
  const guard = new VersionGuard()
  guard.olderIn({ enrollment: enrollment(5, 50) })
  const snapshot = { __typename: 'EnrollmentSnapshot', reason: 'HISTORY_REPLACED', enrollment: enrollment(2, 20) }
  expect(guard.olderIn({ enrollmentUpdates: snapshot }).size).toBe(0)
  expect(guard.olderIn({ enrollment: enrollment(2, 20) }).size).toBe(0)
})

/** What has a version and never changes. */
const isOfThePast = (type: GraphQLObjectType) =>
  type.name === 'LicenseProgression' || type.getInterfaces().some(({ name }) => name === 'HistoryVersion')

test('the guard knows every root, and what hangs below it', () => {
  const text = textOf('examples/versionGuard.mjs')
  const objects = Object.values(buildSchema(textOf('schema.graphql')).getTypeMap()).filter(isObjectType)
  const nodes = objects.filter((type) => type.getInterfaces().some(({ name }) => name === 'Node'))
  const versioned = nodes.filter((type) => type.getFields().version && !isOfThePast(type))
  expect(versioned.map(({ name }) => name).sort()).toEqual(text.match(/^ {2}\w+(?=: \[)/gm)?.map((name) => name.trim()))
  const below = [...text.matchAll(/^ {2}\w+: \[(.*)\],$/gm)].flatMap(([, names]) => names!.match(/\w+/g) ?? [])
  expect(nodes.map(({ name }) => name)).toEqual(expect.arrayContaining(below))
  const guarded = nodes.filter(({ name }) => below.includes(name) || versioned.some((type) => type.name === name))
  const withArguments = guarded.flatMap((type) => Object.values(type.getFields()).filter(({ args }) => args.length))
  for (const { type } of withArguments) expect(String(type)).toMatch(/^\[|Connection!?$|AsOfResult$/)
})

test('urql is told of every type without an id that is kept below another', () => {
  const schema = buildSchema(textOf('schema.graphql'))
  const found = new Set<string>()
  const visit = (name: string) => {
    const type = schema.getType(name)
    if (found.has(name) || !isObjectType(type)) return
    found.add(name)
    for (const field of Object.values(type.getFields())) visit(String(field.type).replaceAll(/[[\]!]/g, ''))
  }
  visit('Query')
  for (const { name } of schema.getPossibleTypes(schema.getType('Node') as never)) visit(name)
  const hasId = (name: string) => 'id' in (schema.getType(name) as GraphQLObjectType).getFields()
  const embedded = [...found].filter((name) => !hasId(name) && !/^Query$|PageInfo$|(Connection|Edge)$/.test(name))
  const [, names] = /withoutId = \[([^\]]*)\]/.exec(textOf('examples/urql.mjs'))!
  expect(embedded.sort()).toEqual(names!.match(/\w+/g))
})
