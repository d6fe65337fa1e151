import fc from 'fast-check'
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Aggregate, Shape } from '../../src/commit/aggregate.ts'
import { DomainError } from '../../src/commit/errors.ts'
import { prune } from '../../src/journal/prune.ts'
import { completeContent } from '../../src/learning/completeContent.ts'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import type { LessonProgressView } from '../../src/learning/enrollmentState.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person, type TestCourse } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { learners, type Learner } from '../classroom.ts'
import { graphql } from '../generated/gql.ts'
import { about } from '../licensing/standing.ts'
import { watching } from '../live/client.ts'
import { planner } from '../planning/planner.ts'
import { type Journaled, outcome, race, world } from '../world.ts'

const w = await world()
const [{ db, commit }, other] = [w.process(), w.process()]
const { person, course, teach } = academy(commit)
const api = await serve(w)
const admin = await person('ADMIN')

const VersionPages = graphql(`
  query VersionPages($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    enrollment(id: $id) {
      version
      history(first: $first, after: $after, last: $last, before: $before) {
        totalCount oldestVersion
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { id version kind occurredAt actorId } }
        nodes { version }
      }
    }
  }
`)
const Versions = graphql(`
  query Versions($id: ID!, $first: Int = 100, $below: Int = 10) {
    enrollment(id: $id) { id history(first: $first) { totalCount oldestVersion nodes { ...WholeVersion } } }
  }
  fragment WholeVersion on EnrollmentVersion {
    __typename id version kind occurredAt actorId contentItemId
    completedLessonCount lessonCount percent attempt enrolledAt completedAt newLessonCount
    lessonProgress { ...LessonThen }
    progress(first: $below) { totalCount nodes { ...LessonThen } }
  }
  fragment LessonThen on LessonProgressVersion { lessonId status openedAt completedAt resets }
`)
const AsOf = graphql(`
  query AsOf($id: ID!, $version: Int!, $below: Int = 10) {
    enrollment(id: $id) {
      asOf(version: $version) {
        __typename
        ... on EnrollmentVersion { ...WholeVersion }
        ... on DomainError { code message }
        ... on VersionPruned { requestedVersion oldestVersion currentVersion }
        ... on VersionNotFound { requestedVersion currentVersion }
      }
    }
  }
`)
const VersionNodes = graphql(`
  query VersionNodes($ids: [ID!]!, $below: Int = 10) {
    nodes(ids: $ids) { __typename id ... on HistoryVersion { version } ... on EnrollmentVersion { ...WholeVersion } }
  }
`)

const wholes = async (enrollmentId: string) =>
  (await api.get(Versions, { id: globalId('Enrollment', enrollmentId) }, admin.token)).enrollment!.history!
const asOf = async (enrollmentId: string, version: number, { token } = admin) =>
  (await api.get(AsOf, { id: globalId('Enrollment', enrollmentId), version }, token)).enrollment!.asOf!
const versionId = (enrollmentId: string, version: number) => globalId('EnrollmentVersion', `${enrollmentId}~${version}`)

/** What can be done to an enrollment of a course of three lessons. */
const step = fc.record({
  is: fc.constantFrom('complete' as const, 'complete' as const, 'content' as const, 'reset' as const),
  lesson: fc.integer({ min: 1, max: 3 }),
  by: fc.constantFrom(commit, other.commit),
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** All steps at once, through two processes. */
async function raced(pupil: Learner, taken: TestCourse, steps: readonly Step[]) {
  await race(steps.length, async (i) => {
    const { is, lesson, by } = steps[i]!
    const done =
      is === 'complete'
        ? pupil.complete(lesson, { by })
        : is === 'reset'
          ? pupil.reset({ by })
          : by(completeContent, {
              actor: pupil.actor,
              input: { learnerId: pupil.id, contentItemId: taken.item(lesson, 1 + (i % 2)) },
            })
    const told = await outcome<unknown>(done)
    if (told instanceof Error && !(told instanceof DomainError)) throw told
  })
}

/** A learner with a history that was raced for. */
async function pupilOf(taken: TestCourse, steps = 40) {
  const [pupil] = await learners(w, commit, 1, taken)
  await raced(pupil!, taken, fc.sample(step, { numRuns: steps, seed: 7 }))
  return { ...pupil!, journal: await w.history('Enrollment', pupil!.enrollmentId) }
}

const upper = (kind: string) => kind.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
const shown = ({ version, kind, actor, at }: Journaled) => ({
  version,
  kind: upper(kind),
  occurredAt: at.toISOString(),
  actorId: globalId('User', actor),
})

/** What was stored of each enrollment when each of its transactions was committed. */
beforeAll(async () => {
  await w.query('create table seen (id text, version int, enrollment jsonb, progress jsonb, primary key (id, version))')
  await w.query(`
    create function see() returns trigger language plpgsql as $$ begin
      insert into seen select e.id, e.version, to_jsonb(e), (
        select coalesce(jsonb_agg(to_jsonb(p) order by p."lessonId"), '[]') from "LessonProgress" p
        where p."enrollmentId" = e.id)
      from "Enrollment" e where e.id = new."rootId" on conflict do nothing;
      return null;
    end $$`)
  await w.query(`
    create constraint trigger sees after insert on "Event" deferrable initially deferred
    for each row when (new."rootType" = 'Enrollment') execute function see()`)
})

describe('the pages of a history', () => {
  test('have exactly the versions of the journal, newest first, forward and backward', async () => {
    const { journal, enrollmentId } = await pupilOf(await course(3))
    const id = globalId('Enrollment', enrollmentId)
    expect(journal.length).toBeGreaterThan(9)
    const expected = journal.map(shown).reverse()

    const forward: object[] = []
    for (let after: string | null = null, more = true; more; ) {
      const { enrollment } = await api.get(VersionPages, { id, first: 4, after }, admin.token)
      const { edges, nodes, pageInfo, totalCount, oldestVersion } = enrollment!.history!
      expect({ totalCount, oldestVersion }).toEqual({ totalCount: journal.length, oldestVersion: 1 })
      expect(nodes).toEqual(edges.map(({ node: { version } }) => ({ version })))
      expect(pageInfo).toMatchObject({ startCursor: edges[0]!.cursor, endCursor: edges.at(-1)!.cursor })
      expect(pageInfo.hasPreviousPage).toBe(after !== null)
      forward.push(...edges.map(({ node: { id: _, ...node } }) => node))
      ;({ hasNextPage: more, endCursor: after } = pageInfo as { hasNextPage: boolean; endCursor: string })
    }
    expect(forward).toEqual(expected)

    const backward: object[] = []
    for (let before: string | null = null, more = true; more; ) {
      const { enrollment } = await api.get(VersionPages, { id, last: 4, before }, admin.token)
      const { edges, pageInfo } = enrollment!.history!
      expect(pageInfo.hasNextPage).toBe(before !== null)
      backward.unshift(...edges.map(({ node: { id: _, ...node } }) => node))
      ;({ hasPreviousPage: more, startCursor: before } = pageInfo as { hasPreviousPage: boolean; startCursor: string })
    }
    expect(backward).toEqual(expected)
  })

  test('between two cursors have what is between them; beyond the ends there is nothing', async () => {
    const { journal, enrollmentId } = await pupilOf(await course(3))
    const id = globalId('Enrollment', enrollmentId)
    const page = async (args: object) => {
      const { enrollment } = await api.get(VersionPages, { id, ...args }, admin.token)
      const { edges, pageInfo } = enrollment!.history!
      return { versions: edges.map(({ node }) => node.version), edges, pageInfo }
    }
    const { edges } = await page({})
    const newest = journal.length
    const [after, before] = [edges[1]!.cursor, edges[6]!.cursor]
    expect((await page({ after, before })).versions).toEqual([2, 3, 4, 5].map((n) => newest - n))
    expect((await page({ first: 2, after, before })).versions).toEqual([2, 3].map((n) => newest - n))
    expect((await page({ last: 2, after, before })).versions).toEqual([4, 5].map((n) => newest - n))
    const { edges: last } = await page({ last: 1 })
    expect(await page({ after: last[0]!.cursor })).toMatchObject({
      versions: [],
      pageInfo: { hasNextPage: false, startCursor: null, endCursor: null },
    })
    expect((await page({ before: edges[0]!.cursor })).versions).toEqual([])
  })

  test('have 100 versions at most; a cursor that is none and a negative size are refused with a code', async () => {
    const [pupil] = await learners(w, commit, 1, await course(3))
    const id = globalId('Enrollment', pupil!.enrollmentId)
    for (let i = 0; i < 34; i++) {
      await pupil!.complete(1)
      await pupil!.complete(2)
      await pupil!.reset()
    }
    const { enrollment } = await api.get(VersionPages, { id, first: 150 }, admin.token)
    expect(enrollment!.history).toMatchObject({ totalCount: 103, nodes: { length: 100 } })
    for (const args of [{ after: 'none' }, { before: globalId('Version', '1~2') }, { first: -1 }]) {
      const { errors } = await api.ask(VersionPages, { id, ...args }, admin.token)
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }])
    }
  })
})

describe('a version', () => {
  test('is what was committed, whoever raced for it: its numbers and all that hangs below', async () => {
    const taken = await course(3)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), fc.boolean(), async (steps, revise) => {
        const [pupil] = await learners(w, commit, 1, taken)
        const { enrollmentId } = pupil!
        await Promise.all([raced(pupil!, taken, steps), revise && taken.revise(3, {}, [3])])
        await raced(pupil!, taken, steps)
        const { nodes } = await wholes(enrollmentId)
        expect(nodes).toHaveLength((await w.history('Enrollment', enrollmentId)).length)

        const seen = await w.query<{ version: number; enrollment: Stored; progress: (LessonProgressView & Stored)[] }>(
          'select * from seen where id = $1 order by version',
          [enrollmentId],
        )
        expect(seen.at(-1)!.version).toBe(nodes.length)
        for (const { version, enrollment, progress } of seen) {
          const found = await asOf(enrollmentId, version)
          const { completed, total, attempt, completedAt } = enrollment
          expect(found).toMatchObject({
            ...{ __typename: 'EnrollmentVersion', version, attempt },
            ...{ completedLessonCount: completed, lessonCount: total },
            completedAt: instant(completedAt),
            progress: { totalCount: progress.length, nodes: progress.map(lessonThen) },
          })
          expect(nodes.find((node) => node.version === version)).toEqual(found)
        }
        await taken.revise(3)
      }),
      { numRuns: 8 },
    )
  })

  test('has an id of its own, by which it is found again', async () => {
    const { enrollmentId, journal } = await pupilOf(await course(3))
    const { nodes } = await wholes(enrollmentId)
    expect(nodes.map(({ id }) => id)).toEqual(journal.map(({ version }) => versionId(enrollmentId, version)).reverse())
    const ids = [...nodes.map(({ id }) => id), versionId(enrollmentId, journal.length + 1)]
    expect((await api.get(VersionNodes, { ids }, admin.token)).nodes).toEqual([...nodes, null])
    const odd = [`${enrollmentId}~0`, enrollmentId, `${enrollmentId}~x`, `${enrollmentId}~999999999`, '~1']
    const none = odd.map((id) => globalId('EnrollmentVersion', id))
    expect((await api.get(VersionNodes, { ids: none }, admin.token)).nodes).toEqual(odd.map(() => null))
  })

  test('before the first, or beyond the present, is not found', async () => {
    const { enrollmentId, journal } = await pupilOf(await course(3), 5)
    const currentVersion = journal.length
    for (const version of [currentVersion + 1, 2_147_483_647, 0, -1, -2_147_483_648])
      expect(await asOf(enrollmentId, version)).toEqual({
        ...{ __typename: 'VersionNotFound', code: 'VERSION_NOT_FOUND' },
        message: `There is no version ${version}. Wanted is one from 1 to ${currentVersion}.`,
        ...{ requestedVersion: version, currentVersion },
      })
  })
})

describe('what was pruned', () => {
  const aggregates = [enrollments] as unknown as readonly Aggregate<Shape>[]

  test('is said to be; all later versions are the same as before', async () => {
    const { enrollmentId, journal } = await pupilOf(await course(3))
    await w.query(`update "Event" set at = at - interval '40 days' where "rootId" = $1 and version <= 5`, [
      enrollmentId,
    ])
    const before = await wholes(enrollmentId)
    await prune({ db, aggregates, days: 30 })
    const after = await wholes(enrollmentId)
    expect(after).toMatchObject({ totalCount: journal.length - 4, oldestVersion: 5 })
    expect(after.nodes.slice(0, -1)).toEqual(before.nodes.slice(0, -5))
    const [fifth] = before.nodes.slice(-5)
    expect(after.nodes.at(-1)).toEqual({ ...fifth, kind: null, lessonProgress: null, contentItemId: null })
    expect(await asOf(enrollmentId, 5)).toEqual(after.nodes.at(-1))
    for (const version of [1, 4])
      expect(await asOf(enrollmentId, version)).toEqual({
        ...{ __typename: 'VersionPruned', code: 'VERSION_PRUNED' },
        message: `Version ${version} is no longer kept. The oldest one is 5.`,
        ...{ requestedVersion: version, oldestVersion: 5, currentVersion: journal.length },
      })
    const ids = [4, 5].map((version) => versionId(enrollmentId, version))
    const { nodes } = await api.get(VersionNodes, { ids }, admin.token)
    expect(nodes).toEqual([null, after.nodes.at(-1)])
  })

  test('may be all: then the history is empty, and says so', async () => {
    const { enrollmentId, journal } = await pupilOf(await course(3), 5)
    await w.query('delete from "Event" where "rootId" = $1', [enrollmentId])
    expect(await wholes(enrollmentId)).toEqual({ totalCount: 0, oldestVersion: null, nodes: [] })
    expect(await asOf(enrollmentId, 1)).toMatchObject({
      ...{ __typename: 'VersionPruned', message: 'Version 1 is no longer kept. The journal has none of this.' },
      ...{ requestedVersion: 1, oldestVersion: null, currentVersion: journal.length },
    })
  })

  test('may be the beginning: then numbers are shown, and what hangs below is not known', async () => {
    const { enrollmentId, journal } = await pupilOf(await course(3))
    const before = await wholes(enrollmentId)
    await w.query('delete from "Event" where "rootId" = $1 and version < 4', [enrollmentId])
    const after = await wholes(enrollmentId)
    expect(after).toMatchObject({ totalCount: journal.length - 3, oldestVersion: 4 })
    expect(after.nodes).toEqual(before.nodes.slice(0, -3).map((node) => ({ ...node, progress: null })))
  })
})

describe('who may see the history', () => {
  const seen = async ({ token }: Person, id: string) => {
    const { enrollment } = await api.get(Versions, { id: globalId('Enrollment', id) }, token)
    const ids = [1, 2].map((version) => versionId(id, version))
    const { nodes } = await api.get(VersionNodes, { ids }, token)
    return [enrollment?.history?.totalCount, ...nodes!.map((node) => node?.id)].map((found) => found ?? null)
  }

  test('of an enrollment: the learner, the course’s instructors and admins; nobody else', async () => {
    const [learner, another, teaches, teachesAnother] = await Promise.all([
      ...[person(), person(), person('INSTRUCTOR'), person('INSTRUCTOR')],
    ])
    const [taken, foreign] = [await course(2), await course(1)]
    await teach(taken.id, teaches!)
    await teach(foreign.id, teachesAnother!)
    payload(await api.enroll(learner!.token, taken.id))
    payload(await api.complete(learner!.token, taken.lesson(1)))
    const id = enrollmentOf(learner!.id, taken.id)
    for (const viewer of [learner!, teaches!, admin])
      expect(await seen(viewer, id)).toEqual([2, versionId(id, 1), versionId(id, 2)])
    for (const viewer of [another!, teachesAnother!]) expect(await seen(viewer, id)).toEqual([null, null, null])
    const { errors } = await api.ask(VersionNodes, { ids: [versionId(id, 1)] })
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
  })

  test('of a plan: its owner and admins; of a progress: the user, instructors and admins', async () => {
    const [owner, another, instructor] = await Promise.all([person(), person(), person('INSTRUCTOR')])
    const { planLocalId } = await planner(api, owner)
    await about(api, admin, owner.id).up(10)
    const ids = [globalId('PlanVersion', `${planLocalId}~1`), globalId('LevelVersion', `${owner.id}.PLAYER~1`)]
    const found = async ({ token }: Person) =>
      (await api.get(VersionNodes, { ids }, token)).nodes!.map((node) => node?.__typename ?? null)
    for (const viewer of [owner, admin]) expect(await found(viewer)).toEqual(['PlanVersion', 'LevelVersion'])
    expect(await found(instructor)).toEqual([null, 'LevelVersion'])
    expect(await found(another)).toEqual([null, null])
  })
})

test('in a stream, all who may see the stream are shown the history, rendered once', async () => {
  const { items, metric } = watching(api.url)
  const [learner, instructor, taken] = [await person(), await person('INSTRUCTOR'), await course(3)]
  await teach(taken.id, instructor)
  payload(await api.enroll(learner.token, taken.id))
  const id = enrollmentOf(learner.id, taken.id)
  const query = `subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { __typename
    ... on EnrollmentChange { version enrollment { ...Past } }
    ... on EnrollmentSnapshot { version enrollment { ...Past } } } }
    fragment Past on Enrollment {
      history(first: 1) { totalCount nodes { id version kind lessonProgress { status } } }
      asOf(version: 1) { __typename ... on EnrollmentVersion { percent progress { totalCount } } }
    }`
  interface Told {
    readonly version: number
    readonly enrollment: object
  }
  const streams = [learner, instructor, admin].map((by) =>
    items<Told>(query, { id: globalId('Enrollment', id) }, { by }),
  )
  await Promise.all(streams.map((stream) => stream.until(1)))
  const ways = () =>
    Promise.all(['shared', 'apart', 'in vain'].map((how) => metric(`lockstep_live_executed_total{how="${how}"}`)))
  const before = await ways()
  payload(await api.complete(learner.token, taken.lesson(1)))
  const told = await Promise.all(streams.map((stream) => stream.until(2)))
  expect((await ways()).map((count, i) => count - before[i]!)).toEqual([1, 0, 0])
  for (const [snapshot, change] of told) {
    const past = { __typename: 'EnrollmentVersion', percent: 0, progress: { totalCount: 0 } }
    expect(snapshot!.enrollment).toMatchObject({ history: { totalCount: 1 }, asOf: past })
    expect(change!.enrollment).toEqual({
      asOf: past,
      history: {
        totalCount: 2,
        nodes: [
          { id: versionId(id, 2), version: 2, kind: 'LESSON_COMPLETED', lessonProgress: { status: 'COMPLETED' } },
        ],
      },
    })
  }
})

test('what would take too much is refused: too many versions to fold, and too long a history to fold', async () => {
  const [instructor, taken] = [await person('INSTRUCTOR'), await course(1)]
  await teach(taken.id, instructor)
  const Many = graphql(`
    query ManyVersions($slug: String!, $many: Int!, $few: Int!) {
      course(slug: $slug) {
        enrollments(first: $many) { nodes { history(first: $few) { nodes { progress(first: $few) { totalCount } } } } }
      }
    }
  `)
  const ask = (many: number, few: number) => api.ask(Many, { slug: taken.slug, many, few }, instructor.token)
  expect((await ask(100, 20)).errors).toBeUndefined()
  expect((await ask(100, 30)).errors).toMatchObject([{ extensions: { code: 'QUERY_TOO_EXPENSIVE' } }])

  const enrolled = await learners(w, commit, 3, taken)
  const { enrollmentId } = enrolled[0]!
  const others = enrolled.slice(1).map(({ enrollmentId }) => enrollmentId)
  await w.query('alter table "Event" disable trigger user')
  for (const [ids, length] of [
    [[enrollmentId], 50_001],
    [others, 1_700],
  ] as const)
    await w.query(
      `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
       select 'Enrollment', e."rootId", i, 'none', 'lessonOpened', jsonb_build_object('lessonId', 'x.' || i % 3),
         e.view, 'system', now()
       from generate_series(2, $2::int) i, "Event" e where e."rootId" = any($1) and e.version = 1`,
      [ids, length],
    )
  await w.query('alter table "Event" enable trigger user')
  const long = globalId('Enrollment', enrollmentId)
  const { errors } = await api.ask(AsOf, { id: long, version: 50_001 }, admin.token)
  expect(errors).toMatchObject([
    { path: ['enrollment', 'asOf', 'progress'], extensions: { code: 'QUERY_TOO_EXPENSIVE' } },
  ])
  expect(await asOf(enrollmentId, 50_000)).toMatchObject({ version: 50_000, progress: { totalCount: 3 } })
  const places = others.flatMap((id) => [2, 1_001, 1_700].map((version) => ({ id, version })))
  const ids = places.map(({ id, version }) => versionId(id, version))
  expect((await api.get(VersionNodes, { ids }, admin.token)).nodes).toMatchObject(
    places.map(({ version }) => ({ version, progress: { totalCount: version === 2 ? 1 : 3 } })),
  )
})

describe('a large history', () => {
  const NewestOf = graphql(`
    query NewestOf($id: ID!, $first: Int!) { plan(id: $id) { history(first: $first) { nodes { id version kind } } } }
  `)
  const ChangesOf = graphql(`
    query ChangesOf($id: ID!, $first: Int!) {
      plan(id: $id) { history(first: $first) { nodes { version title changedWorkoutIds } } }
    }
  `)
  const WorkoutsAt = graphql(`
    query WorkoutsAt($id: ID!, $version: Int!) {
      plan(id: $id) { asOf(version: $version) { ... on PlanVersion { workouts(first: 1) { totalCount } } } }
    }
  `)
  const Nothing = graphql(`query Nothing { __typename }`)

  /** A plan, and what adds events to its journal that its rows do not have. */
  async function longPlan() {
    const plan = await planner(api, await person(), [])
    let newest = 1
    /** So many events: `data` and `more` of the view are SQL, from the number `i` of the event. */
    async function append(count: number, kind: string, data: string, more = "'{}'") {
      await w.query('alter table "Event" disable trigger user')
      await w.query(
        `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
         select 'Plan', $1, i + $2::int, 'none', $3, ${data}, e.view || ${more}::jsonb, 'system', now()
         from generate_series(1, $4::int) i, "Event" e where e."rootId" = $1 and e.version = 1`,
        [plan.planLocalId, newest, kind, count],
      )
      await w.query('alter table "Event" enable trigger user')
      newest += count
    }
    const add = (count: number, each: number, details: string) => {
      const workout = `'id', 'w' || i || '.' || j, 'title', 'Row', 'details', ${details}`
      const workouts = `jsonb_build_object('workouts', (
        select jsonb_agg(jsonb_build_object(${workout})) from generate_series(1, ${each}) j))`
      return append(count, 'workoutsAdded', workouts, workouts)
    }
    const at = (version: number) => api.ask(WorkoutsAt, { id: plan.planId, version }, plan.token)
    return { ...plan, append, add, at }
  }

  /** The statements about the journal that are sent from now on. */
  function journalStatements() {
    const sent: string[] = []
    const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [asked] = args as [string | { text?: string }]
      const text = typeof asked === 'string' ? asked : (asked.text ?? '')
      if (/from "Event" e\s+where e\."rootType"/.test(text)) sent.push(text)
      return query.apply(this, args)
    } as never
    onTestFinished(() => {
      pg.Client.prototype.query = query as never
    })
    return sent
  }

  test('holds up nobody while it is replayed, and is refused when that takes too long', async () => {
    const { append, add, at } = await longPlan()
    await add(100, 100, `''`)
    await append(5_000, 'workoutRenamed', `jsonb_build_object('workoutId', 'w1.1', 'title', 'New')`)
    let [isOver, answered] = [false, 0]
    const replayed = at(5_101).finally(() => (isOver = true))
    while (!isOver) {
      await api.get(Nothing, {})
      answered++
    }
    expect((await replayed).errors).toMatchObject([
      { path: ['plan', 'asOf', 'workouts'], extensions: { code: 'QUERY_TOO_EXPENSIVE' } },
    ])
    expect(answered).toBeGreaterThan(20)
    expect((await at(101)).data.plan!.asOf).toEqual({ workouts: { totalCount: 10_000 } })
  })

  test('of large changes is replayed up to a number of bytes, read in bounded parts', async () => {
    const { add, at } = await longPlan()
    await add(40, 100, `repeat('abcdefghij', 1000)`) // a megabyte each, and a hundredth of it as stored
    const sent = journalStatements()
    expect((await at(26)).data.plan!.asOf).toEqual({ workouts: { totalCount: 2_500 } })
    expect(sent.filter((text) => text.includes('e.data')).length).toBeGreaterThan(1)
    expect((await at(41)).errors).toMatchObject([
      { message: expect.stringMatching(/32 MiB.*`history`/), extensions: { code: 'QUERY_TOO_EXPENSIVE' } },
    ])
  })

  test('is listed without reading what nobody asked for', async () => {
    const { add, planId: id, token } = await longPlan()
    await add(20, 100, `repeat('abcdefghij', 1000)`)
    const sent = journalStatements()
    const { plan } = await api.get(NewestOf, { id, first: 100 }, token)
    expect(plan!.history!.nodes).toHaveLength(21)
    expect(sent.length).toBeGreaterThan(0)
    for (const text of sent) expect(text).not.toMatch(/\b(view|data)\b|e\.\*/)

    sent.length = 0
    const { nodes } = (await api.get(ChangesOf, { id, first: 100 }, token)).plan!.history!
    const ids = (i: number) => Array.from({ length: 100 }, (_, j) => globalId('Workout', `w${i}.${j + 1}`))
    expect(nodes).toEqual([
      ...Array.from({ length: 20 }, (_, i) => ({
        version: 21 - i,
        title: 'Off-season',
        changedWorkoutIds: ids(20 - i),
      })),
      { version: 1, title: 'Off-season', changedWorkoutIds: [] },
    ])
    expect(sent.filter((text) => text.includes('e.view')).length, 'in bounded parts').toBeGreaterThan(1)
  })

  test('is shown up to a number of bytes; a smaller page is answered', async () => {
    const { add, planId: id, token } = await longPlan()
    await add(90, 10, `(select string_agg(md5(i || '.' || j || '.' || k), '') from generate_series(1, 312) k)`)
    const { errors } = await api.ask(ChangesOf, { id, first: 100 }, token)
    expect(errors!.length).toBeGreaterThan(0)
    for (const error of errors!)
      expect(error).toMatchObject({
        message: expect.stringContaining('smaller pages'),
        extensions: { code: 'QUERY_TOO_EXPENSIVE' },
      })
    expect((await api.get(ChangesOf, { id, first: 50 }, token)).plan!.history!.nodes).toHaveLength(50)
    expect((await api.get(NewestOf, { id, first: 100 }, token)).plan!.history!.nodes).toHaveLength(91)
  })
})

describe('the history of', () => {
  const PlanNow = graphql(`
    query PlanNow($id: ID!) {
      plan(id: $id) {
        version title
        workouts(first: 100) {
          nodes { workoutId: id position title details selection { currentPlanDay timeOfDay updatedAt } }
        }
      }
    }
  `)
  const PlanThen = graphql(`
    query PlanThen($id: ID!, $first: Int = 10) {
      plan(id: $id) {
        history(first: $first) {
          totalCount oldestVersion
          nodes {
            version kind title changedWorkoutIds removedWorkoutIds
            workouts(first: $first) {
              nodes { workoutId position title details selection { currentPlanDay timeOfDay updatedAt } }
            }
          }
        }
        asOf(version: 2) { __typename ... on PlanVersion { version title } }
      }
    }
  `)

  test('a plan has its workouts and selections at each version, and what each change was about', async () => {
    const plan = await planner(api, await person(), [{ title: 'One', details: 'first' }, { title: 'Two' }])
    const id = plan.planId
    const steps = [
      () => plan.select(1, { currentPlanDay: '2030-01-02', timeOfDay: 'EVENING' }),
      () => plan.rename(2, 'Second'),
      () => plan.add([{ title: 'Three' }]),
      () => plan.select(2, { timeOfDay: 'MORNING' }),
      () => plan.clear(1),
      () => plan.remove(2),
    ]
    const now = async () => (await api.get(PlanNow, { id }, plan.token)).plan!
    const states = [await now()]
    for (const step of steps) {
      payload((await step()) as never)
      states.unshift(await now())
    }
    const found = (await api.get(PlanThen, { id }, plan.token)).plan!
    const { nodes, ...list } = found.history!
    expect(list).toEqual({ totalCount: 8, oldestVersion: 1 })
    const state = ({ version, title, workouts }: (typeof nodes)[number]) => ({ version, title, workouts })
    expect(nodes.slice(0, 7).map(state)).toEqual(states)
    expect(nodes[7]!.workouts!.nodes).toEqual([])
    const three = states[0]!.workouts!.nodes.at(-1)!.workoutId
    expect(
      nodes.map(({ kind, changedWorkoutIds, removedWorkoutIds }) => [kind, changedWorkoutIds, removedWorkoutIds]),
    ).toEqual([
      ['WORKOUT_REMOVED', [], [plan.workout(2)]],
      ['SELECTION_CLEARED', [plan.workout(1)], []],
      ['SELECTIONS_UPDATED', [plan.workout(2)], []],
      ['WORKOUTS_ADDED', [three], []],
      ['WORKOUT_RENAMED', [plan.workout(2)], []],
      ['SELECTIONS_UPDATED', [plan.workout(1)], []],
      ['WORKOUTS_ADDED', plan.ids, []],
      ['PLAN_CREATED', [], []],
    ])
    expect(found.asOf).toEqual({ __typename: 'PlanVersion', version: 2, title: 'Off-season' })
  })

  const LevelNow = graphql(`
    query LevelNow($userId: ID!, $specialization: String!) {
      specializationProgress(userId: $userId, specialization: $specialization) {
        version currentLevel totalXp completedSessions theoryHours practiceHours
      }
      license(userId: $userId, specialization: $specialization) { currentLevel maxAchievedLevel issuedAt }
    }
  `)
  const LevelThen = graphql(`
    query LevelThen($userId: ID!, $specialization: String!) {
      specializationProgress(userId: $userId, specialization: $specialization) {
        history {
          nodes {
            kind actorId progressions { from to }
            version currentLevel totalXp completedSessions theoryHours practiceHours
            license { currentLevel maxAchievedLevel issuedAt }
          }
        }
        asOf(version: 3) { ... on LevelVersion { version license { currentLevel } } }
      }
    }
  `)

  test('a progress has the totals and the license at each version, and the changes of level', async () => {
    const { id: userId } = await person()
    const requests = about(api, admin, userId, 'COACH')
    const who = { userId: globalId('User', userId), specialization: 'COACH' }
    const states: object[] = []
    const steps = [
      () => requests.up(1_100, { sessionsCompleted: 2 }),
      () => requests.update({ newLevel: 6, theoryHoursChange: 0.75 }),
      () => requests.update({ newLevel: 2, practiceHoursChange: 1.1 }),
    ]
    for (const step of steps) {
      payload((await step()) as never)
      const { specializationProgress, license } = await api.get(LevelNow, who, admin.token)
      states.unshift({ ...specializationProgress, license })
    }
    const { history, asOf } = (await api.get(LevelThen, who, admin.token)).specializationProgress!
    const last = history!.nodes.slice(0, 3)
    expect(last.map(({ kind: _, actorId: __, progressions: ___, ...state }) => state)).toEqual(states)
    expect(history!.nodes.map(({ kind }) => kind)).toEqual([
      ...['LEVEL_UPDATED', 'LEVEL_UPDATED', 'EXPERIENCE_GAINED', 'RECORDS_CREATED'],
    ])
    expect(last[0]).toMatchObject({ actorId: globalId('User', admin.id), progressions: [{ from: 6, to: 2 }] })
    expect(asOf).toEqual({ version: 3, license: { currentLevel: 6 } })
  })
})

interface Stored {
  readonly completed: number
  readonly total: number
  readonly attempt: number
  readonly completedAt: string | null
}
const instant = (text: string | null) => text && new Date(text).toISOString()
const lessonThen = ({ lessonId, status, openedAt, completedAt, resets }: LessonProgressView) => ({
  ...{ lessonId: globalId('Lesson', lessonId), status, resets },
  ...{ openedAt: instant(openedAt), completedAt: instant(completedAt) },
})
