import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { catchUp } from '../../src/learning/catchUp.ts'
import { academy, system } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`The seed of the filters is ${seed}.`)

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)
const [admin, viewer, other, teacher] = [
  await person('ADMIN'),
  await person(),
  await person(),
  await person('INSTRUCTOR'),
]

const CoursePages = graphql(`
  query CoursePages($filter: CourseFilterInput, $orderBy: CourseOrderInput, $first: Int, $after: String, $last: Int,
    $before: String) {
    courses(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
      totalCount nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
    }
  }
`)
const ClassPages = graphql(`
  query ClassPages($id: ID!, $filter: EnrollmentFilterInput, $orderBy: EnrollmentOrderInput, $first: Int,
    $after: String, $last: Int, $before: String) {
    course(id: $id) {
      enrollments(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { id status percent lastActivityAt }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
      }
    }
  }
`)
const OwnPages = graphql(`
  query OwnPages($filter: EnrollmentFilterInput, $orderBy: EnrollmentOrderInput, $first: Int, $after: String,
    $last: Int, $before: String) {
    viewer {
      enrollments(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
      }
    }
  }
`)
const PlanPages = graphql(`
  query PlanPages($id: ID!, $filter: PlanFilterInput, $orderBy: PlanOrderInput, $first: Int, $after: String,
    $last: Int, $before: String) {
    user(id: $id) {
      plans(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
      }
    }
  }
`)
const LessonCounts = graphql(`
  query LessonCounts($id: ID!) {
    course(id: $id) { active: lessons { totalCount } all: lessons(includeInactive: true) { totalCount } }
  }
`)
const TwoLists = graphql(`
  query TwoLists($id: ID!) {
    course(id: $id) {
      done: enrollments(filter: { status: [COMPLETED] }, first: 100) { totalCount nodes { id status } }
      open: enrollments(filter: { status: [NOT_STARTED, IN_PROGRESS] }, first: 2) { totalCount nodes { id status } }
      all: enrollments(first: 1) { totalCount }
    }
  }
`)

const day = (n: number) => new Date(Date.UTC(2026, 0, n)).toISOString()
const TEXTS = [
  'Ada',
  'ada',
  'ADA L',
  '50%_off',
  '50 off',
  'a_b',
  'a%b',
  'axb',
  'back\\slash',
  'Éva',
  'éva',
  'Zoë',
  'Bo',
]
const NEEDLES = ['a', 'A', '%', '_', '\\', 'é', 'É', 'ada', 'AX', '50%', 'a_', 'o', 'nobody', '\\%']

const text = fc.constantFrom(...TEXTS)
const needle = fc.constantFrom(...NEEDLES)
const date = fc.integer({ min: 2, max: 6 }).map(day)
/** Something to list, as far as its kind has it. Few values, so that many are equal. */
const anything = fc.record({
  ...{ text, createdAt: date, lastActivityAt: date, enrolled: fc.boolean(), done: fc.boolean() },
  ...{ total: fc.constantFrom(0, 3, 4), part: fc.integer({ min: 0, max: 4 }) },
})
type Anything = typeof anything extends fc.Arbitrary<infer T> ? T : never
const sample = (count: number, more: number) => fc.sample(anything, { seed: seed + more, numRuns: count })

interface Enrolled extends Omit<Anything, 'part' | 'enrolled'> {
  readonly id: string
  readonly completed: number
  readonly percent: number
  readonly status: 'NOT_STARTED' | 'IN_PROGRESS' | 'COMPLETED'
}
interface Titled extends Anything {
  readonly id: string
  readonly slug: string
}

const CLASS = 'class'
const addUser = (id: string, name: string) =>
  w.query(`insert into "User" (id, version, name, role, "createdAt") values ($1, 1, $2, 'LEARNER', now())`, [id, name])
const addCourse = (id: string, slug: string, title: string, createdAt: string) =>
  w.query(
    `insert into "Course" (id, version, "lessonsVersion", slug, title, description, "createdAt")
      values ($1, 1, 1, $2, $3, '', $4)`,
    [id, slug, title, createdAt],
  )

async function addEnrollment(learnerId: string, courseId: string, { part, enrolled: _, ...made }: Anything) {
  const { createdAt, lastActivityAt, total, done } = made
  const [id, completed] = [`${learnerId}.${courseId}`, Math.min(total, part)]
  await w.query(
    `insert into "Enrollment" (id, version, "learnerId", "courseId", "lessonsVersion", completed, total, attempt,
        "enrolledAt", "completedAt", "lastActivityAt")
      values ($1, 1, $2, $3, 1, $4, $5, 1, $6, $7, $8)`,
    [id, learnerId, courseId, completed, total, createdAt, done ? createdAt : null, lastActivityAt],
  )
  const percent = total ? Math.floor((completed * 100) / total) : 0
  const status = done ? 'COMPLETED' : completed ? 'IN_PROGRESS' : 'NOT_STARTED'
  return { ...made, id, completed, percent, status } satisfies Enrolled
}

/** What is listed, as the model has it; the same is in the database. */
const [classmates, own, courses, plans]: [Enrolled[], Enrolled[], Titled[], Titled[]] = [[], [], [], []]

await addCourse(CLASS, 'class', 'Class', day(1))
await teach(CLASS, teacher)
for (const [i, each] of sample(50, 1).entries()) {
  await addUser(`learner${i}`, each.text)
  classmates.push(await addEnrollment(`learner${i}`, CLASS, each))
}
courses.push({ ...sample(1, 0)[0]!, id: CLASS, slug: 'class', text: 'Class', createdAt: day(1), enrolled: false })
for (const [i, each] of sample(30, 2).entries()) {
  const [id, slug] = [`c${i}`, `slug-${(i * 7) % 30}`]
  await addCourse(id, slug, each.text, each.createdAt)
  courses.push({ ...each, id, slug })
  if (each.enrolled) own.push({ ...(await addEnrollment(viewer.id, id, each)), text: 'learner' })
  await addEnrollment(other.id, id, each)
}
for (const [i, each] of sample(30, 3).entries()) {
  const id = `p${i}`
  await w.query(
    `insert into "Plan" (id, version, "ownerId", title, "lastPosition", "createdAt") values ($1, 1, $2, $3, 0, $4)`,
    [id, viewer.id, each.text, each.createdAt],
  )
  plans.push({ ...each, id, slug: id })
}

interface Page {
  readonly totalCount: number
  readonly nodes: readonly { readonly id: string }[]
  readonly pageInfo: {
    readonly startCursor?: string | null
    readonly endCursor?: string | null
    readonly hasNextPage: boolean
    readonly hasPreviousPage: boolean
  }
}
interface PageArguments {
  readonly first?: number
  readonly after?: string | null
  readonly last?: number
  readonly before?: string | null
}
const sizes = fc.record({ size: fc.integer({ min: 3, max: 17 }), backward: fc.boolean() })
type Sizes = typeof sizes extends fc.Arbitrary<infer T> ? T : never

/** The ids of a list in its order, read page by page; fails unless each page has the count of all. */
async function walk({ size, backward }: Sizes, read: (page: PageArguments) => Promise<Page>) {
  const found: string[] = []
  const totals = new Set<number>()
  for (let cursor: string | null | undefined; ; ) {
    const page = await read(backward ? { last: size, before: cursor } : { first: size, after: cursor })
    const ids = page.nodes.map(({ id }) => localIdOf(id))
    if (backward) found.unshift(...ids)
    else found.push(...ids)
    totals.add(page.totalCount)
    const { startCursor, endCursor, hasNextPage, hasPreviousPage } = page.pageInfo
    cursor = backward ? startCursor : endCursor
    if (!(backward ? hasPreviousPage : hasNextPage)) return { found, totals: [...totals] }
  }
}

/** PostgreSQL compares texts byte by byte here. */
const compare = (a: string | number, b: string | number) =>
  typeof a === 'string' ? Buffer.compare(Buffer.from(a), Buffer.from(String(b))) : a - Number(b)

/** The ids of what a model lets through, in the order of a key. */
function modelled<T extends { readonly id: string }>(
  all: readonly T[],
  isListed: (each: T) => boolean,
  key: (each: T) => string | number,
  direction: 'ASC' | 'DESC' = 'ASC',
) {
  const listed = all.filter(isListed).sort((a, b) => compare(key(a), key(b)) || compare(a.id, b.id))
  const found = (direction === 'ASC' ? listed : listed.reverse()).map(({ id }) => id)
  return { found, totals: [found.length] }
}

const contains = (text: string, part: string | null | undefined) =>
  !part || text.toLowerCase().includes(part.toLowerCase())
const direction = fc.constantFrom('ASC', 'DESC')
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { freq: 2 })
const runs = { numRuns: 40, seed, endOnFailure: true }

const status = fc.constantFrom('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED')
const asked = fc
  .record({
    ...{
      status: maybe(fc.array(status, { minLength: 1, maxLength: 2 })),
      learnerName: maybe(needle),
    },
    ...{ percents: fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })), min: fc.boolean() },
    ...{
      max: fc.boolean(),
      activeSince: maybe(fc.integer({ min: 1, max: 4 }).map(day)),
      inactiveSince: maybe(fc.integer({ min: 5, max: 7 }).map(day)),
    },
    field: fc.constantFrom('PERCENT', 'LAST_ACTIVITY', 'LEARNER_NAME', 'ENROLLED_AT', null),
    direction,
  })
  .map(({ percents, min, max, field, direction, ...filter }) => ({
    filter: {
      ...filter,
      minPercent: min ? Math.min(...percents) : null,
      maxPercent: max ? Math.max(...percents) : null,
    },
    orderBy: field && { field, direction },
  }))
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

function enrollmentsModelled(all: readonly Enrolled[], { filter, orderBy }: Asked) {
  const { status, minPercent, maxPercent, activeSince, inactiveSince, learnerName } = filter
  const keys: Record<string, (each: Enrolled) => string | number> = {
    PERCENT: ({ percent }) => percent,
    LAST_ACTIVITY: ({ lastActivityAt }) => lastActivityAt,
    LEARNER_NAME: ({ text }) => text,
    ENROLLED_AT: ({ createdAt }) => createdAt,
  }
  return modelled(
    all,
    (each) =>
      (!status || status.includes(each.status)) &&
      each.percent >= (minPercent ?? 0) &&
      each.percent <= (maxPercent ?? 100) &&
      (!activeSince || each.lastActivityAt >= activeSince) &&
      (!inactiveSince || each.lastActivityAt < inactiveSince) &&
      contains(each.text, learnerName),
    orderBy ? keys[orderBy.field]! : ({ id }) => id,
    orderBy?.direction,
  )
}

const readClass = (variables: object) => async (page: PageArguments) =>
  (await api.get(ClassPages, { id: globalId('Course', CLASS), ...variables, ...page }, teacher.token)).course!
    .enrollments!

describe('a list is what its filter lets through, in its order, whatever the size of its pages', () => {
  test('of the enrollments of a course', async () => {
    await fc.assert(
      fc.asyncProperty(asked, sizes, async (asked, size) => {
        expect(await walk(size, readClass(asked))).toEqual(enrollmentsModelled(classmates, asked))
      }),
      runs,
    )
  })

  test('of a user’s enrollments', async () => {
    await fc.assert(
      fc.asyncProperty(asked, sizes, async (asked, size) => {
        const read = async (page: PageArguments) =>
          (await api.get(OwnPages, { ...asked, ...page }, viewer.token)).viewer!.enrollments!
        expect(await walk(size, read)).toEqual(enrollmentsModelled(own, asked))
      }),
      runs,
    )
  })

  test('of courses', async () => {
    const filter = maybe(fc.record({ title: maybe(needle), enrolled: maybe(fc.boolean()) }))
    const orderBy = maybe(fc.record({ field: fc.constantFrom('SLUG', 'TITLE', 'CREATED_AT'), direction }))
    const keys = {
      SLUG: ({ slug }: Titled) => slug,
      TITLE: ({ text }: Titled) => text,
      CREATED_AT: ({ createdAt }: Titled) => createdAt,
    }
    await fc.assert(
      fc.asyncProperty(filter, orderBy, sizes, async (filter, orderBy, size) => {
        const read = async (page: PageArguments) =>
          (await api.get(CoursePages, { filter, orderBy, ...page }, viewer.token)).courses!
        const isListed = ({ text, enrolled }: Titled) =>
          contains(text, filter?.title) && (filter?.enrolled ?? enrolled) === enrolled
        expect(await walk(size, read)).toEqual(
          modelled(courses, isListed, keys[orderBy?.field ?? 'SLUG'], orderBy?.direction),
        )
      }),
      runs,
    )
  })

  test('of a user’s plans', async () => {
    const filter = maybe(fc.record({ title: maybe(needle) }))
    const orderBy = maybe(fc.record({ field: fc.constantFrom('TITLE', 'CREATED_AT'), direction }))
    const keys = { TITLE: ({ text }: Titled) => text, CREATED_AT: ({ createdAt }: Titled) => createdAt }
    await fc.assert(
      fc.asyncProperty(filter, orderBy, sizes, async (filter, orderBy, size) => {
        const id = globalId('User', viewer.id)
        const read = async (page: PageArguments) =>
          (await api.get(PlanPages, { id, filter, orderBy, ...page }, viewer.token)).user!.plans!
        const isListed = ({ text }: Titled) => contains(text, filter?.title)
        const { field, direction } = orderBy ?? { field: 'CREATED_AT', direction: 'DESC' }
        expect(await walk(size, read)).toEqual(modelled(plans, isListed, keys[field], direction))
      }),
      runs,
    )
  })
})

test('wildcards of LIKE, capitals and accents in a text to search for are what they are', async () => {
  for (const title of NEEDLES) {
    const found = (list: { readonly nodes: readonly { readonly id: string }[] }) =>
      new Set(list.nodes.map(({ id }) => localIdOf(id)))
    const holds = (all: readonly (Titled | Enrolled)[]) =>
      new Set(all.filter(({ text }) => contains(text, title)).map(({ id }) => id))
    const page = { filter: { title }, first: 100 }
    expect(found(await readClass({ filter: { learnerName: title } })({ first: 100 })), title).toEqual(holds(classmates))
    expect(found((await api.get(CoursePages, page, viewer.token)).courses!), title).toEqual(holds(courses))
    const id = globalId('User', viewer.id)
    expect(found((await api.get(PlanPages, { id, ...page }, viewer.token)).user!.plans!), title).toEqual(holds(plans))
  }
})

test('an enrollment shows what it is filtered and ordered by', async () => {
  const { nodes } = await readClass({})({ first: 100 })
  for (const { id, percent, status, lastActivityAt } of classmates)
    expect(nodes).toContainEqual({ id: globalId('Enrollment', id), percent, status, lastActivityAt })
})

test('a list under two names has each name’s own items and counts', async () => {
  const { done, open, all } = (await api.get(TwoLists, { id: globalId('Course', CLASS) }, admin.token)).course!
  const isDone = ({ status }: { readonly status: string }) => status === 'COMPLETED'
  expect(done!.totalCount).toBe(classmates.filter(isDone).length)
  expect(done!.nodes.every(isDone)).toBe(true)
  expect(done!.nodes).toHaveLength(done!.totalCount)
  expect(open!.totalCount).toBe(classmates.length - done!.totalCount)
  expect(open!.nodes.some(isDone)).toBe(false)
  expect(all!.totalCount).toBe(classmates.length)
})

test('a page goes on behind an item that has changed since and no longer passes the filter', async () => {
  const filter = { maxPercent: 99 }
  const orderBy = { field: 'LEARNER_NAME', direction: 'DESC' }
  const expected = enrollmentsModelled(classmates, { filter, orderBy } as never).found
  const first = await readClass({ filter, orderBy })({ first: 5 })
  await w.query(`update "Enrollment" set total = 4, completed = 4 where id = $1`, [expected[4]])
  const second = await readClass({ filter, orderBy })({ first: 100, after: first.pageInfo.endCursor })
  expect([...first.nodes, ...second.nodes].map(({ id }) => localIdOf(id))).toEqual(expected)

  const learner = await person()
  const begin = (page: PageArguments) =>
    api.get(CoursePages, { filter: { enrolled: false }, ...page }, learner.token).then(({ courses }) => courses!)
  const all = (await begin({ first: 100 })).nodes
  const three = await begin({ first: 3 })
  await addEnrollment(learner.id, localIdOf(all[2]!.id), sample(1, 4)[0]!)
  const rest = await begin({ first: 100, after: three.pageInfo.endCursor })
  expect([...three.nodes, ...rest.nodes]).toEqual(all)
})

test('a count is that of the items on all pages, of lists that leave something out by themselves too', async () => {
  const taken = await course(5)
  await taken.revise(5, {}, [2, 4])
  const variables = { id: globalId('Course', taken.id) }
  const { active, all } = (await api.get(LessonCounts, variables, viewer.token)).course!
  expect([active!.totalCount, all!.totalCount]).toEqual([3, 5])
})

test('the last activity is what the learner did last, and no change of the course', async () => {
  const taken = await course(3)
  const learner = await person()
  const id = `${learner.id}.${taken.id}`
  const acts: unknown[] = []
  /** The time of the last event, which must be an act and have moved the last activity to itself. */
  const expectActive = async () => {
    const { at, view } = (await w.history('Enrollment', id)).at(-1)!
    acts.push(at.toJSON())
    expect(view.lastActivityAt).toBe(at.toJSON())
    expect((await w.query(`select "lastActivityAt" as at from "Enrollment" where id = $1`, [id]))[0]).toEqual({ at })
  }
  payload(await api.enroll(learner.token, taken.id))
  await expectActive()
  payload(await api.open(learner.token, taken.lesson(1)))
  await expectActive()
  payload(await api.content(learner.token, taken.item(1)))
  await expectActive()
  payload(await api.reset(learner.token, id))
  await expectActive()
  payload(await api.complete(learner.token, taken.lesson(1)))
  await expectActive()
  expect(new Set(acts).size).toBe(acts.length)

  await taken.revise(3, {}, [2, 3]) // what is left is completed
  await commit(catchUp, { actor: system, input: { enrollmentId: id } })
  const history = await w.history('Enrollment', id)
  expect(history.slice(-2).map(({ kind, view }) => [kind, view.lastActivityAt])).toEqual([
    ['courseChanged', acts.at(-1)],
    ['courseCompleted', acts.at(-1)],
  ])
})

describe('is refused, in a sentence that says what was found and what is wanted', () => {
  const refusals: [string, object, string][] = [
    ['a percent below 0', { minPercent: -1 }, 'filter.minPercent is -1. Wanted is a number from 0 to 100.'],
    ['a percent above 100', { maxPercent: 101 }, 'filter.maxPercent is 101. Wanted is a number from 0 to 100.'],
    [
      'a least percent above the greatest',
      { minPercent: 60, maxPercent: 40 },
      'filter.minPercent is 60, and filter.maxPercent is 40. Wanted is a minPercent that is not higher than ' +
        'maxPercent.',
    ],
    ['no status at all', { status: [] }, 'filter.status is empty. Wanted is at least one; leave it out to see all.'],
    [
      'a blank name',
      { learnerName: ' \t' },
      'filter.learnerName is blank. Wanted are 1 to 200 characters; leave it out to search for nothing.',
    ],
    [
      'a name that is too long',
      { learnerName: '🏊'.repeat(201) },
      'filter.learnerName has 201 characters. Wanted are 1 to 200 characters; leave it out to search for nothing.',
    ],
    [
      'a time that no activity can have',
      { activeSince: '0000-01-01T00:00:00Z' },
      'filter.activeSince is in no year from 1 to 9999. Wanted is such a time.',
    ],
    [
      'a span that ends before it begins',
      { activeSince: day(3), inactiveSince: day(3) },
      `filter.activeSince is ${day(3)}, and filter.inactiveSince is ${day(3)}. Wanted is an activeSince that is ` +
        'earlier than inactiveSince.',
    ],
  ]

  test.each(refusals)('%s', async (_, filter, message) => {
    const { errors } = await api.ask(ClassPages, { id: globalId('Course', CLASS), filter }, teacher.token)
    expect(errors).toMatchObject([{ message, extensions: { code: 'INVALID_INPUT' } }])
  })

  test('a blank title, of courses and of plans', async () => {
    const filter = { title: ' ' }
    const refused = [
      { message: expect.stringMatching(/^filter\.title is blank\. /), extensions: { code: 'INVALID_INPUT' } },
    ]
    expect((await api.ask(CoursePages, { filter }, viewer.token)).errors).toMatchObject(refused)
    const id = globalId('User', viewer.id)
    expect((await api.ask(PlanPages, { id, filter }, viewer.token)).errors).toMatchObject(refused)
  })
})

describe('nobody sees more by a filter', () => {
  test('a learner sees no class, and nobody else’s plans', async () => {
    const filter = { learnerName: 'ada' }
    const seen = await api.ask(ClassPages, { id: globalId('Course', CLASS), filter }, viewer.token)
    expect(seen).toMatchObject({
      data: { course: { enrollments: null } },
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    })
    const id = globalId('User', viewer.id)
    expect((await api.get(PlanPages, { id, filter: { title: 'a' } }, other.token)).user).toBeNull()
  })

  test('another user’s enrollments are no courses that the viewer is enrolled in', async () => {
    const enrolled = async (token: string) =>
      (await api.get(CoursePages, { filter: { enrolled: true } }, token)).courses!.totalCount
    expect(await enrolled(viewer.token)).toBe(own.length)
    expect(await enrolled(other.token)).toBe(courses.length - 1)
    expect(await enrolled(admin.token)).toBe(0)
  })
})
