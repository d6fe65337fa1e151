import { getNamedType, type GraphQLObjectType, isCompositeType, isObjectType, isRequiredArgument } from 'graphql'
import { expect, test, vi } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { toSchema } from '../../src/server/schema.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { ENROLLMENT, type Problem, range, type Result, type Stream, type Told, versions, watching } from './client.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w, { LIVE_SUBSCRIPTIONS_PER_CONNECTION: '5000', LIVE_SUBSCRIPTIONS_PER_USER: '5000' })
const { connect, results, enrollment, course: watchCourse, metric } = watching(api.url)

/** How often items were rendered since. */
async function rendered() {
  const now = () => Promise.all(['shared', 'apart'].map((how) => metric(`lockstep_live_executed_total{how="${how}"}`)))
  const before = await now()
  return async () => (await now()).map((count, i) => count - before[i]!)
}

async function school(lessons = 6) {
  const [learner, instructor, admin, taken] = await Promise.all([
    person(),
    person('INSTRUCTOR'),
    person('ADMIN'),
    course(lessons, { 3: [1] }),
  ])
  await teach(taken.id, instructor)
  payload(await api.enroll(learner.token, taken.id))
  payload(await api.enroll((await person()).token, taken.id)) // another, of whom the learner is told nothing
  return { learner, instructor, admin, taken, id: enrollmentOf(learner.id, taken.id) }
}

test(
  'what fifty who ask for the same are told is rendered once, whoever they are: learner, instructor ' + 'and admin',
  async () => {
    const { learner, instructor, admin, taken, id } = await school()
    const streams = range(1, 50).map((n) => enrollment(id, { by: [learner, instructor, admin][n % 3]! }))
    await Promise.all(streams.map((stream) => stream.until(1)))
    const since = await rendered()
    const delivered = await metric('lockstep_live_delivered_total')
    for (const n of [1, 2, 4, 5]) payload(await api.complete(learner.token, taken.lesson(n)))
    const told = await Promise.all(streams.map((stream) => stream.until(5)))
    expect(await since()).toEqual([4, 0])
    expect((await metric('lockstep_live_delivered_total')) - delivered).toBe(200)
    for (const items of told) expect(items.slice(1)).toEqual(told[0]!.slice(1))
  },
)

test('a class that many watch is rendered once, too', async () => {
  const { learner, instructor, admin, taken } = await school()
  const streams = range(1, 20).map((n) => watchCourse(taken.id, { by: n % 2 ? instructor : admin }))
  await Promise.all(streams.map((stream) => stream.until(1)))
  payload(await api.complete(learner.token, taken.lesson(4))) // all have gone on from their snapshots
  await Promise.all(streams.map((stream) => stream.until(2)))
  const since = await rendered()
  for (const n of [1, 2]) payload(await api.complete(learner.token, taken.lesson(n)))
  await Promise.all(streams.map((stream) => stream.until(4)))
  expect(await since()).toEqual([2, 0])
})

test(
  'whoever comes back with another cursor shares with the others; whoever asks for something else ' + 'does not',
  async () => {
    const { learner, taken, id } = await school()
    const first = enrollment(id, { by: learner })
    await first.until(1)
    for (const n of [1, 2]) payload(await api.complete(learner.token, taken.lesson(n)))
    const cursors = (await first.until(3)).map(({ cursor }) => cursor)
    const resumed = cursors.map((after) => enrollment(id, { by: learner, after }))
    await resumed[0]!.until(2)
    await resumed[1]!.until(1)
    await vi.waitUntil(async () => (await metric('lockstep_live_subscriptions')) === 4, { timeout: 10_000 })
    payload(await api.complete(learner.token, taken.lesson(4))) // who has heard it has caught up
    await Promise.all([first.until(4), ...resumed.map((stream, i) => stream.until(3 - i))])
    let since = await rendered()
    payload(await api.complete(learner.token, taken.lesson(5)))
    await Promise.all([first.until(5), ...resumed.map((stream, i) => stream.until(4 - i))])
    expect(await since()).toEqual([1, 0])

    // another document, another operation of the same document, another variable: each is its own, however alike
    const alias = ENROLLMENT.replace('enrollmentUpdates(', 'x: enrollmentUpdates(')
    const skipped = ENROLLMENT.replace('$after: Cursor', '$after: Cursor, $skip: Boolean = false').replace(
      'cursor version kind',
      'cursor version kind @skip(if: $skip)',
    )
    const others = [
      enrollment(id, { by: learner, query: alias }),
      enrollment(id, { by: learner, query: skipped, variables: { skip: true } }),
      enrollment(id, { by: learner, query: skipped, variables: { skip: false } }),
      enrollment(id, { by: learner, query: skipped, variables: { skip: false } }),
    ]
    await Promise.all(others.map((stream) => stream.until(1)))
    since = await rendered()
    payload(await api.complete(learner.token, taken.lesson(6)))
    await Promise.all([first.until(6), ...others.map((stream) => stream.until(2))])
    expect(await since()).toEqual([4, 0])
    expect(others.map(({ items }) => items[1]!.kind)).toEqual([
      'LESSON_COMPLETED',
      undefined,
      'LESSON_COMPLETED',
      'LESSON_COMPLETED',
    ])
  },
)

/** Selections that are another thing to each viewer, and what of it the learner and the instructor are told. */
const own: [what: string, selection: string, told: { learner: unknown; instructor: unknown }][] = [
  [
    'who takes the course',
    'enrollment { course { enrollments { totalCount } } }',
    { learner: { course: { enrollments: null } }, instructor: { course: { enrollments: { totalCount: 2 } } } },
  ],
  [
    'what else the learner takes',
    'enrollment { learner { enrollments { totalCount } } }',
    { learner: { learner: { enrollments: { totalCount: 1 } } }, instructor: { learner: { enrollments: null } } },
  ],
  [
    'what the viewer did in the lessons that can be done',
    'enrollment { availableLessons { nodes { title progress { status } contents { nodes { completedAt } } } } }',
    {
      learner: {
        availableLessons: {
          nodes: expect.arrayContaining([
            {
              title: 'Lesson 2',
              progress: { status: 'IN_PROGRESS' },
              contents: { nodes: [{ completedAt: expect.any(String) }, { completedAt: null }] },
            },
          ]),
        },
      },
      instructor: {
        availableLessons: {
          nodes: expect.arrayContaining([
            { title: 'Lesson 2', progress: null, contents: { nodes: [{ completedAt: null }, { completedAt: null }] } },
          ]),
        },
      },
    },
  ],
]
test.each(own)(
  '%s: two who ask the same over the same document are told each their own',
  async (_, selection, expected) => {
    const { learner, instructor, taken, id } = await school()
    payload(await api.content(learner.token, taken.item(2)))
    const query = `subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { __typename ... on
      EnrollmentSnapshot { version ${selection} } ... on EnrollmentChange { version ${selection} } } }`
    const viewers = [learner, instructor, learner, instructor]
    const streams = viewers.map((by) =>
      results<{ enrollmentUpdates: Told }>(query, { id: globalId('Enrollment', id) }, { by }),
    )
    await Promise.all(streams.map((stream) => stream.until(1)))
    const since = await rendered()
    const inVain = await metric('lockstep_live_executed_total{how="in vain"}')
    payload(await api.complete(learner.token, taken.lesson(1)))
    for (const [i, stream] of streams.entries()) {
      const told = viewers[i] === learner ? expected.learner : expected.instructor
      for (const { data, errors } of await stream.until(2)) {
        expect(data?.enrollmentUpdates.enrollment).toEqual(told)
        expect(errors?.map(({ extensions }) => extensions.code) ?? []).toEqual(
          JSON.stringify(told).includes('"enrollments":null') ? ['FORBIDDEN'] : [],
        )
      }
    }
    expect(await since()).toEqual([0, 4])
    // found out once, and not for each
    expect((await metric('lockstep_live_executed_total{how="in vain"}')) - inVain).toBe(1)
  },
)

test(
  'what the stream itself bears is granted with it; the same kind of thing elsewhere is not: it is looked at as ' +
    'anywhere',
  async () => {
    const { learner, instructor, taken, id } = await school()
    const selection = 'lessonProgress { status enrollment { version learner { name } } }'
    const query = `subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ... on EnrollmentChange { version
    ${selection} } } }`
    const streams = [learner, instructor].map((by) =>
      results<{ enrollmentUpdates: Told }>(query, { id: globalId('Enrollment', id) }, { by }),
    )
    await Promise.all(streams.map((stream) => stream.until(1)))
    const since = await rendered()
    payload(await api.complete(learner.token, taken.lesson(1)))
    for (const stream of streams)
      expect((await stream.until(2))[1]).toEqual({
        data: {
          enrollmentUpdates: {
            version: 2,
            lessonProgress: { status: 'COMPLETED', enrollment: { version: 2, learner: { name: 'learner' } } },
          },
        },
      })
    expect(await since()).toEqual([0, 2])
  },
)

// every field that can be reached

const schema = toSchema()

/**
 * Every selection of all the plain fields of a type, and of each type below it, to a depth; of a connection, what is in
 * it is no deeper.
 */
function selections(type: GraphQLObjectType, depth: number): string[] {
  // `nodes` is `edges` without cursors
  const fields = Object.values(type.getFields()).filter(
    ({ name, args }) => name !== 'nodes' && !args.some(isRequiredArgument),
  )
  const plain = fields.filter(({ type }) => !isCompositeType(getNamedType(type))).map(({ name }) => name)
  const below = fields.flatMap(({ name, type: of }) => {
    const named = getNamedType(of)
    const isPage = /Connection$|Edge$|^PageInfo$/.test(named.name)
    if (!isObjectType(named) || (depth === 0 && !isPage)) return []
    return selections(named, isPage ? depth : depth - 1).map((selection) => `${name} { ${selection} }`)
  })
  return [...(plain.length ? [plain.join(' ')] : []), ...below]
}
const typeNamed = (name: string) => schema.getType(name) as GraphQLObjectType
/** Below a field of a type. */
const of = (type: string, field: string, depth: number) =>
  selections(getNamedType(typeNamed(type).getFields()[field]!.type) as GraphQLObjectType, depth - 1).map(
    (selection) => `${field} { ${selection} }`,
  )

/** What is told, without what stands at another path in another operation. */
const plainly = (data: unknown, errors: readonly Problem[] = []) => ({
  data,
  errors: errors.map(({ message, extensions }) => `${extensions.code} ${message}`).sort(),
})

test('for every field that can be reached from an enrollment’s stream: whoever shares a document is told what they ' +
  'are told alone, and what a query tells them', {
  timeout: 120_000,
}, async () => {
  const { learner, instructor, admin, taken, id } = await school(3)
  payload(await api.content(learner.token, taken.item(2)))
  const viewers = { learner, instructor, admin }
  const clients = Object.fromEntries(Object.entries(viewers).map(([who, by]) => [who, connect(by)]))
  const begin = (who: string, name: string, selection: string) =>
    results<{ enrollmentUpdates: Record<string, object> }>(
      `subscription ${name}($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ... on EnrollmentSnapshot {
        ${selection.replace(/^lessonProgress /, 'progress ')} } ... on
        EnrollmentChange { ${selection} } } }`,
      { id: globalId('Enrollment', id) },
      { client: clients[who]! },
    )
  const asked = [...of('EnrollmentChange', 'enrollment', 3), ...of('EnrollmentChange', 'lessonProgress', 3)]
  expect(asked.length).toBeGreaterThan(50)
  const each = asked.flatMap((selection) =>
    Object.entries(viewers).map(([who, viewer]) => ({
      ...{ selection, who, viewer },
      together: begin(who, 'Together', selection),
      alone: begin(who, `Only_${who}`, selection),
    })),
  )
  const all = each.flatMap(({ together, alone }) => [together, alone])
  await Promise.all(all.map((stream) => stream.until(1, 60_000)))
  payload(await api.complete(learner.token, taken.lesson(1)))
  await Promise.all(all.map((stream) => stream.until(2, 60_000)))

  const progressId = globalId('LessonProgress', `${id}~${taken.lesson(1)}`)
  let secrets = 0
  for (const { selection, who, viewer, together, alone } of each) {
    const told = ({ data, errors }: Result<{ enrollmentUpdates: Record<string, object> }>) =>
      plainly(data?.enrollmentUpdates, errors)
    expect([who, selection, together.items.map(told)]).toEqual([who, selection, alone.items.map(told)])
    const [, change] = together.items
    const [field, type, node] = selection.startsWith('lessonProgress ')
      ? ['lessonProgress', 'LessonProgress', progressId]
      : ['enrollment', 'Enrollment', globalId('Enrollment', id)]
    const query = `query ($id: ID!) { node(id: $id) { ... on ${type} ${selection.slice(field.length)} } }`
    const asked = await api.ask<{ node: object }, object>(query, { id: node }, viewer.token)
    expect([who, selection, told(change!)]).toEqual([
      who,
      selection,
      plainly({ [field]: asked.data.node }, asked.errors as Problem[] | undefined),
    ])
    if (asked.errors) secrets++
  }
  expect(secrets).toBeGreaterThan(5) // or else nothing was asked that not everybody may see
})

test('the same of a class’s stream', { timeout: 120_000 }, async () => {
  const { learner, instructor, admin, taken, id } = await school(3)
  const viewers = { instructor, admin }
  const clients = Object.fromEntries(Object.entries(viewers).map(([who, by]) => [who, connect(by)]))
  const begin = (who: string, name: string, selection: string) =>
    results<{ courseUpdates: Record<string, object> }>(
      `subscription ${name}($id: ID!) { courseUpdates(courseId: $id) { ... on CourseSnapshot {
        ${typeNamed('CourseSnapshot').getFields().learnerCount!.name} } ... on CourseChange { ${selection} } } }`,
      { id: globalId('Course', taken.id) },
      { client: clients[who]! },
    )
  const asked = [...of('CourseChange', 'enrollment', 3), ...of('CourseChange', 'lessonProgress', 3)]
  const each = asked.flatMap((selection) =>
    Object.keys(viewers).map((who) => ({
      ...{ selection, who },
      together: begin(who, 'Together', selection),
      alone: begin(who, `Only_${who}`, selection),
    })),
  )
  const all = each.flatMap(({ together, alone }) => [together, alone])
  await Promise.all(all.map((stream) => stream.until(1, 60_000)))
  payload(await api.complete(learner.token, taken.lesson(1)))
  await Promise.all(all.map((stream) => stream.until(2, 60_000)))
  const progressId = globalId('LessonProgress', `${id}~${taken.lesson(1)}`)
  for (const { selection, who, together, alone } of each) {
    const told = ({ data, errors }: Result<{ courseUpdates: Record<string, object> }>) =>
      plainly(data?.courseUpdates, errors)
    expect([who, selection, together.items.map(told)]).toEqual([who, selection, alone.items.map(told)])
    const [field, type, node] = selection.startsWith('lessonProgress ')
      ? ['lessonProgress', 'LessonProgress', progressId]
      : ['enrollment', 'Enrollment', globalId('Enrollment', id)]
    const query = `query ($id: ID!) { node(id: $id) { ... on ${type} ${selection.slice(field.length)} } }`
    const asked = await api.ask<{ node: object }, object>(
      query,
      { id: node },
      viewers[who as keyof typeof viewers].token,
    )
    expect([who, selection, told(together.items[1]!)]).toEqual([
      who,
      selection,
      plainly({ [field]: asked.data.node }, asked.errors as Problem[] | undefined),
    ])
  }
})

test('the plain fields of a stream’s items are shared, all of them', async () => {
  const { learner, instructor, taken, id } = await school()
  const plain = (type: string) => selections(typeNamed(type), 0).join(' ')
  const below = (type: string, field: string) => of(type, field, 1)[0]!
  const ofEnrollment = `... on EnrollmentSnapshot { ${plain('EnrollmentSnapshot')}
    ${below('EnrollmentSnapshot', 'enrollment')} ${below('EnrollmentSnapshot', 'progress')} }
    ... on EnrollmentChange { ${plain('EnrollmentChange')} ${below('EnrollmentChange', 'enrollment')}
    ${below('EnrollmentChange', 'lessonProgress')} }`
  const ofClass = `... on CourseSnapshot { ${plain('CourseSnapshot')} } ... on CourseChange { ${plain('CourseChange')}
    ${below('CourseChange', 'enrollment')} ${below('CourseChange', 'lessonProgress')} }`
  const since = await rendered()
  const streams: Stream<Told>[] = [
    ...[learner, instructor].map((by) =>
      enrollment(id, {
        by,
        query: `subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { ${ofEnrollment} } }`,
      }),
    ),
    watchCourse(taken.id, {
      by: instructor,
      query: `subscription ($id: ID!) { courseUpdates(courseId: $id) { ${ofClass} } }`,
    }),
  ]
  await Promise.all(streams.map((stream) => stream.until(1)))
  payload(await api.complete(learner.token, taken.lesson(1)))
  const told = await Promise.all(streams.map((stream) => stream.until(2)))
  expect(told.map(([, change]) => versions([change!]))).toEqual([[2], [2], [2]])
  expect((await since())[1]).toBe(0)
})

test('whoever asks the same over another transport shares, too', async () => {
  const { learner, taken, id } = await school()
  const streams = [
    enrollment(id, { by: learner }),
    enrollment(id, { by: learner, over: 'server-sent events' }),
    enrollment(id, { by: learner }),
  ]
  await Promise.all(streams.map((stream) => stream.until(1)))
  const since = await rendered()
  payload(await api.complete(learner.token, taken.lesson(1)))
  await Promise.all(streams.map((stream) => stream.until(2)))
  expect(await since()).toEqual([1, 0])
})
