import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Aggregate, Rows, Shape } from '../../src/commit/aggregate.ts'
import { users } from '../../src/identity/userAggregate.ts'
import { DomainError } from '../../src/commit/errors.ts'
import { GENESIS } from '../../src/journal/event.ts'
import { evolved } from '../../src/journal/fold.ts'
import { rootCursor } from '../../src/journal/cursor.ts'
import { beginHistories } from '../../src/journal/beginHistories.ts'
import { prune } from '../../src/journal/prune.ts'
import { completeContent } from '../../src/learning/completeContent.ts'
import { courses } from '../../src/learning/courseAggregate.ts'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import { choresOf, Upkeep } from '../../src/server/upkeep.ts'
import { academy, type TestCourse } from '../academy.ts'
import { learners, outsiders, patience, type Learner } from '../classroom.ts'
import { type Journaled, outcome, race, sorted, stored, world } from '../world.ts'
import { classOf, expectExact, process, rootOf, things } from './follower.ts'

const w = await world()
await things(w)
const { outsider } = await outsiders(w)
const { db, commit, tail, follow } = process(w)
const { course } = academy(commit)
const aggregates = [users, courses, enrollments] as unknown as readonly Aggregate<Shape>[]
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => i + from)
const prunes = (days: number, more: Partial<Parameters<typeof prune>[0]> = {}) =>
  prune({ db, aggregates, days, ...more })

/** All that has happened so far, and whatever was written of when it did, is now so many days longer ago. */
async function age(days = 40) {
  const columns: Record<string, string[]> = {
    ...{
      Event: ['at'],
      User: ['createdAt'],
      Session: ['createdAt'],
      Course: ['createdAt'],
      Enrollment: ['enrolledAt', 'completedAt', 'lastActivityAt'],
    },
    ...{
      LessonProgress: ['openedAt', 'completedAt'],
      ContentCompletion: ['completedAt'],
      CourseCompletion: ['completedAt'],
    },
  }
  for (const [table, names] of Object.entries(columns))
    await w.query(
      `update "${table}" set ${names.map((name) => `"${name}" = "${name}" - make_interval(days => ${days})`).join()}`,
    )
}

/** The state that a history amounts to, which may begin with a genesis. */
const folded = <S extends Shape>(aggregate: Aggregate<S>, id: string, history: readonly Journaled[]): S['state'] =>
  history.reduce<S['state']>(
    (state, event) => evolved(aggregate, state, { ...event, rootId: id, at: event.at.toISOString() }),
    aggregate.blank(id),
  )

/** Fails unless an enrollment's history, whatever is left of it, folds to its rows; answers with it. */
async function expectFolds(id: string): Promise<Journaled[]> {
  const history = await w.history('Enrollment', id)
  expect(history.map(({ version }) => version)).toEqual(numbers(history.length, history[0]!.version))
  const rows = enrollments.rows(folded(enrollments, id, history))
  const where = Object.fromEntries(
    Object.keys(rows).map((table) => [table, [table === 'Enrollment' ? 'id' : 'enrollmentId', id] as [string, string]]),
  )
  const { aggregate: _, ...now } = await stored((text, values) => w.query(text, values), enrollments, rows, where)
  expect(now).toEqual(sorted(rows))
  return history
}

/** The same of a root whose rows are all read with it. */
async function expectFoldsToWhatIsRead(aggregate: Aggregate<Shape>, id: string): Promise<void> {
  const read = await db.$queryRaw<{ row: unknown }[]>(aggregate.read({ ids: [id], slices: new Map() }))
  const [state] = aggregate.load(read.map(({ row }) => row) as never)
  const rows = (state: Shape['state']): Rows => aggregate.rows(state)
  expect(sorted(rows(folded(aggregate, id, await w.history(aggregate.root, id))))).toEqual(sorted(rows(state!)))
}

const complete = (pupil: Learner, lessons: TestCourse, lesson: number, item: number) =>
  commit(completeContent, {
    actor: pupil.actor,
    input: { learnerId: pupil.id, contentItemId: lessons.item(lesson, item) },
  })

/** What can be done to an enrollment of a course of three lessons. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 3 }).map((lesson) => ({ is: 'complete' as const, lesson })) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 3 }).map((lesson) => ({ is: 'content' as const, lesson })) },
  { weight: 1, arbitrary: fc.constant({ is: 'reset' as const, lesson: 0 }) },
)
async function take(
  pupil: Learner,
  lessons: TestCourse,
  steps: readonly { is: 'complete' | 'content' | 'reset'; lesson: number }[],
) {
  for (const { is, lesson } of steps) {
    const done =
      is === 'complete'
        ? pupil.complete(lesson)
        : is === 'content'
          ? complete(pupil, lessons, lesson, 1 + (lesson % 2))
          : pupil.reset()
    const told = await outcome<unknown>(done)
    if (told instanceof Error && !(told instanceof DomainError)) throw told // the lesson may be gone
  }
}
const everything = async () => w.query(`select e.*, e.xid::text as xid, e.ctid::text from "Event" e order by 1, 2, 3`)
const journal = async () => (await w.query<{ prunedXid: string | null }>(`select "prunedXid"::text from "Journal"`))[0]!

/**
 * Resolves when whatever begins now is newer than all that is in the journal, and was. A transaction that is open
 * anywhere in the cluster, as other tests have them, puts that off: what was folded while it was open may be missing to
 * whoever saw it open.
 */
const settled = () =>
  vi.waitFor(
    async () => {
      const [row] = await w.query<{
        yes: boolean
      }>(`select not exists (select from "Event" where xid >= pg_snapshot_xmin(pg_current_snapshot()))
        and (select coalesce("prunedXid" < pg_snapshot_xmin(pg_current_snapshot()), true) from "Journal") as yes`)
      expect(row).toEqual({ yes: true })
    },
    { timeout: 25_000, interval: 20 },
  )

describe('folding', () => {
  test(
    'what is left of a history amounts to the rows, whatever happened before and after the cut; a dry run ' +
      'says how ' +
      'much will go, and changes nothing',
    async () => {
      const total = { roots: 0, events: 0, kept: 0 }
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.array(step, { maxLength: 10 }), fc.array(step, { maxLength: 6 })), {
            minLength: 2,
            maxLength: 6,
          }),
          fc.nat(2),
          async (histories, revisions) => {
            const lessons = await course(3)
            const pupils = await learners(w, commit, histories.length, lessons)
            await Promise.all(histories.map(([before], i) => take(pupils[i]!, lessons, before)))
            for (const n of numbers(revisions)) await lessons.revise(3, {}, n === 1 ? [3] : [])
            await age()
            const old = await Promise.all(
              pupils.map(async ({ enrollmentId }) => (await w.history('Enrollment', enrollmentId)).length),
            )
            await Promise.all(histories.map(([, after], i) => take(pupils[i]!, lessons, after)))
            const before = await Promise.all(pupils.map(({ enrollmentId }) => expectFolds(enrollmentId)))

            const all = await everything()
            const pruned = await journal()
            const would = await prunes(30, { dryRun: true })
            expect([await everything(), await journal()]).toEqual([all, pruned])
            const told: number[] = []
            expect(await prunes(30, { progress: ({ roots }) => told.push(roots) })).toEqual(would)
            expect(told).toEqual(numbers(would.roots))
            expect(all.length - (await everything()).length).toBe(would.events)

            for (const [i, { enrollmentId }] of pupils.entries()) {
              const after = await expectFolds(enrollmentId)
              expect(after.slice(1)).toEqual(before[i]!.slice(old[i])) // what is newer stays as it was
              expect(after[0]!.version).toBe(old[i])
              expect(after[0]!.kind).toBe(GENESIS)
              expect(after[0]!.view).toEqual(before[i]![old[i]! - 1]!.view)
              expect(folded(enrollments, enrollmentId, after)).toEqual(folded(enrollments, enrollmentId, before[i]!))
              total.kept += after.length - 1
            }
            await expectFoldsToWhatIsRead(courses as unknown as Aggregate<Shape>, lessons.id)
            total.roots += would.roots
            total.events += would.events
          },
        ),
        { numRuns: 12 },
      )
      console.log(total)
      expect(total.events).toBeGreaterThan(50)
      expect(total.kept).toBeGreaterThan(20)
    },
  )

  test('people and courses are folded, too, with their sessions, lessons and instructors', async () => {
    const { person, course, teach } = academy(commit)
    const lessons = await course(3, { 2: [1] })
    const instructor = await person('INSTRUCTOR')
    await teach(lessons.id, instructor)
    await lessons.revise(4, { 3: [1, 2] }, [1])
    await age()
    await lessons.revise(5, { 3: [1] })
    expect((await prunes(30)).events).toBeGreaterThan(2)
    expect((await w.history('Course', lessons.id)).map(({ version, kind }) => `${version} ${kind}`)).toEqual([
      '3 genesis',
      '4 courseRevised',
    ])
    expect((await w.history('User', instructor.id)).map(({ kind }) => kind)).toEqual([GENESIS])
    await expectFoldsToWhatIsRead(courses as unknown as Aggregate<Shape>, lessons.id)
    await expectFoldsToWhatIsRead(users as unknown as Aggregate<Shape>, instructor.id)
    await teach(lessons.id, await person('INSTRUCTOR')) // and it goes on
    await expectFoldsToWhatIsRead(courses as unknown as Aggregate<Shape>, lessons.id)
  })

  test('a history longer than what is read at a time is folded whole', async () => {
    const lessons = await course(1)
    const [pupil] = await learners(w, commit, 1, lessons)
    const id = pupil!.enrollmentId
    await pupil!.complete(1)
    // what the learner might have done in a year: the same two events, over and over
    await w.query(
      `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
        select 'Enrollment', $1, v, 'none', case v % 3 when 1 then 'enrollmentReset' when 2 then 'lessonCompleted'
        else 'courseCompleted' end,
          case v % 3 when 1 then '{}' when 2 then jsonb_build_object('lessonId', $2::text) else
          jsonb_build_object('attempt', v / 3, 'lessonsVersion', 1) end, '{}', 'x', now()
        from generate_series(4, 2750) v`,
      [id, lessons.lesson(1)],
    )
    const before = folded(enrollments, id, await w.history('Enrollment', id))
    expect(before.completions).toHaveLength(916)
    await w.query(`update "Enrollment" set version = 2750 where id = $1`, [id])
    await prunes(0)
    const history = await w.history('Enrollment', id)
    expect(history.map(({ version, kind }) => `${version} ${kind}`)).toEqual(['2750 genesis'])
    expect(folded(enrollments, id, history)).toEqual(before)
  })

  test('a second time changes nothing', async () => {
    const lessons = await course(3)
    const pupils = await learners(w, commit, 5, lessons)
    for (const pupil of pupils) await pupil.complete(1)
    expect((await prunes(0)).roots).toBeGreaterThanOrEqual(5)
    const all = [await everything(), await journal()]
    expect(await prunes(0)).toEqual({ roots: 0, events: 0 })
    expect([await everything(), await journal()]).toEqual(all)
  })

  test.each(['read-committed', 'repeatable-read'] as const)(
    'two at once do what one does, at %s',
    async (isolation) => {
      const others = numbers(2).map(() => w.process({ isolation }).db)
      const lessons = await course(3)
      const pupils = await learners(w, commit, 60, lessons)
      for (const lesson of [1, 2, 3]) await Promise.all(pupils.map((pupil) => pupil.complete(lesson)))
      const before = await Promise.all(
        pupils.map(async ({ enrollmentId }) =>
          folded(enrollments, enrollmentId, await w.history('Enrollment', enrollmentId)),
        ),
      )
      const would = await prunes(0, { dryRun: true })
      const done = await race(2, (i) => prunes(0, { db: others[i]! }))
      expect(done[0]!.events + done[1]!.events).toBe(would.events)
      for (const [i, { enrollmentId }] of pupils.entries()) {
        const history = await expectFolds(enrollmentId)
        expect(history).toHaveLength(1)
        expect(folded(enrollments, enrollmentId, history)).toEqual(before[i])
      }
    },
  )

  test('interrupted, it leaves each root folded or as it was, and the next time does the rest', async () => {
    const lessons = await course(3)
    const pupils = await learners(w, commit, 30, lessons)
    for (const lesson of [1, 2]) await Promise.all(pupils.map((pupil) => pupil.complete(lesson)))
    const would = await prunes(0, { dryRun: true })
    const stop = new AbortController()
    const done = await prunes(0, { signal: stop.signal, progress: ({ roots }) => roots === 7 && stop.abort() })
    expect(done.roots).toBe(7)
    const left = await prunes(0, { dryRun: true })
    expect({ roots: done.roots + left.roots, events: done.events + left.events }).toEqual(would)
    for (const { enrollmentId } of pupils) await expectFolds(enrollmentId)
    expect(await prunes(0)).toEqual(left)
    for (const { enrollmentId } of pupils) expect(await expectFolds(enrollmentId)).toHaveLength(1)
  })

  test(
    'commits go on beside it, also of the very roots that are being folded, and neither waits for ' + 'the other',
    async () => {
      const lessons = await course(3)
      const pupils = await learners(w, commit, 20, lessons)
      let isOver = false
      onTestFinished(() => void (isOver = true))
      let count = 0
      const committing = race(pupils.length, async (i) => {
        while (!isOver) {
          await pupils[i]!.complete(1)
          await pupils[i]!.reset()
          count += 2
        }
      })
      let events = 0
      for (let passes = 0; passes < 5 || count < 300; passes++) events += (await prunes(0)).events
      const holder = await outsider() // whoever holds the roots, as a commit does, is not in its way
      isOver = true
      await committing
      await holder.query(`select from "Enrollment" where "courseId" = $1 for no key update`, [lessons.id])
      events += (await prunes(0)).events
      await holder.end()
      console.log(`${count} commits, ${events} events folded`)
      expect(events).toBeGreaterThan(200)
      for (const { enrollmentId } of pupils) expect(await expectFolds(enrollmentId)).toHaveLength(1)
    },
  )

  test('it ends, however fast others commit: what grows old while it runs is left to the next run', async () => {
    const lessons = await course(3)
    const [pupil] = await learners(w, commit, 1, lessons)
    let statements = 0
    const busy = new Proxy(db, {
      get: (target, name) =>
        name === '$queryRaw'
          ? async (statement: Parameters<typeof db.$queryRaw>[0]) => {
              await pupil!.complete(1)
              await pupil!.reset()
              if (++statements > 50) throw new Error('It does not end.')
              return db.$queryRaw(statement)
            }
          : Reflect.get(target, name),
    })
    expect((await prunes(0, { db: busy })).events).toBeGreaterThan(0)
    expect((await prunes(0)).events).toBeGreaterThan(0)
    expect(await expectFolds(pupil!.enrollmentId)).toHaveLength(1)
  })

  test('a history whose beginning is missing is left as it is, and keeps no other from being folded', async () => {
    const lessons = await course(3)
    const pupils = await learners(w, commit, 3, lessons)
    for (const pupil of pupils) for (const _ of numbers(2)) await pupil.complete(1).then(() => pupil.reset())
    const [broken] = pupils
    await w.query(`delete from "Event" where "rootId" = $1 and version < 3`, [broken!.enrollmentId])
    const before = await w.history('Enrollment', broken!.enrollmentId)
    await prunes(0)
    expect(await w.history('Enrollment', broken!.enrollmentId)).toEqual(before)
    for (const { enrollmentId } of pupils.slice(1)) expect(await expectFolds(enrollmentId)).toHaveLength(1)
    await w.query(`delete from "Enrollment" where id = $1`, [broken!.enrollmentId])
  })

  test('kept pruned: at once, with a word about it; never, with 0 days', async () => {
    const lessons = await course(3)
    const [pupil] = await learners(w, commit, 1, lessons)
    await pupil!.complete(1)
    await age()
    const logged: unknown[] = []
    const write = (detail: object, message: string) => logged.push([detail, message])
    const log = { debug: write, info: write, warn: write, error: write }
    const upkeep = (journalDays: number) =>
      new Upkeep(choresOf({ idempotencyKeyDays: 30, journalDays, aggregates, modules: [] }), { db, commit, log })
    await upkeep(0).stop()
    expect(await w.history('Enrollment', pupil!.enrollmentId)).toHaveLength(2)
    const kept = upkeep(30)
    await vi.waitFor(async () => expect(await w.history('Enrollment', pupil!.enrollmentId)).toHaveLength(1), patience)
    const line = [{ chore: 'fold old events', done: expect.any(Number) }, 'A chore was done.']
    await vi.waitFor(() => expect(logged).toEqual([line]), patience)
    await kept.stop()
  })
})

describe('whoever comes back after it', () => {
  test(
    'to a root, from before what was folded: the present, marked as too late, and then what comes next; from ' +
      'behind it: exactly what came',
    async () => {
      const lessons = await course(3)
      const [pupil] = await learners(w, commit, 1, lessons)
      const id = pupil!.enrollmentId
      for (const lesson of [1, 2]) await pupil!.complete(lesson)
      await pupil!.reset()
      await age()
      await pupil!.complete(1)
      await pupil!.complete(2) // 6
      const live = follow(rootOf('Enrollment', id))
      await live.until(1)
      await prunes(30)
      expect((await w.history('Enrollment', id)).map(({ version, kind }) => `${version} ${kind}`)).toEqual([
        '4 genesis',
        '5 lessonCompleted',
        '6 lessonCompleted',
      ])
      const epoch = await tail.epoch()
      const followers = numbers(7, 0).map((version) =>
        follow(rootOf('Enrollment', id), rootCursor({ epoch, rootType: 'Enrollment', rootId: id, version })),
      )
      await Promise.all(followers.slice(0, 4).map((each) => each.until(1)))
      await Promise.all(followers.slice(4, 6).map((each, i) => each.until(2 - i)))
      await pupil!.complete(3) // 7, and 8: the course is completed
      for (const [version, each] of followers.entries()) {
        await each.until(() => each.items.at(-1)?.version === 8)
        expect(each.items.map(({ is, version }) => `${is} ${version}`)).toEqual(
          version < 4
            ? ['snapshot 6', 'change 7', 'change 8']
            : numbers(8 - version, version + 1).map((n) => `change ${n}`),
        )
        if (version < 4) expect(each.snapshots[0]!.reason).toBe('CURSOR_EXPIRED')
      }
      await live.until(3)
      // nobody was told of the folding
      expect(live.items.map(({ is, version }) => `${is} ${version}`)).toEqual(['snapshot 6', 'change 7', 'change 8'])
    },
  )

  test(
    'to a root of which all was folded: from its version exactly what comes, from before it ' + 'the present',
    async () => {
      const lessons = await course(3)
      const [pupil] = await learners(w, commit, 1, lessons)
      const id = pupil!.enrollmentId
      for (const lesson of [1, 2]) await pupil!.complete(lesson)
      await prunes(0)
      const epoch = await tail.epoch()
      const followers = numbers(5, 0).map((version) =>
        follow(rootOf('Enrollment', id), rootCursor({ epoch, rootType: 'Enrollment', rootId: id, version })),
      )
      for (const version of [0, 1, 2, 4]) await followers[version]!.until(1)
      await pupil!.complete(3)
      for (const [version, each] of followers.entries()) {
        await each.until(() => each.items.at(-1)?.version === 5)
        expect(each.snapshots.map(({ reason }) => reason)).toEqual([
          ...(version < 3 ? ['CURSOR_EXPIRED'] : []),
          ...(version > 3 ? ['HISTORY_REPLACED'] : []),
        ])
        expectExact(each.items, { [id]: 3 })
      }
    },
  )

  test(
    'to a class, with a cursor older than what was folded: the present, marked as too late, and then what comes ' +
      'next; with a newer one: exactly what came',
    async () => {
      const lessons = await course(3)
      const pupils = await learners(w, commit, 4, lessons)
      const feed = follow(classOf(lessons.id))
      await feed.until(1)
      const { length: first } = await (async () => {
        for (const pupil of pupils) for (const lesson of [1, 2]) await pupil.complete(lesson)
        return feed.until(9).then(() => feed.items)
      })()
      await age()
      await settled()
      const far = feed.items.length
      await pupils[0]!.reset()
      await feed.until(far + 1) // what was read with it may have begun before
      for (const pupil of pupils.slice(1)) await pupil.reset()
      await feed.until(far + 4)
      const cursors = feed.items.map(({ cursor }) => cursor)
      await prunes(30)
      for (const [at, cursor] of cursors.entries()) {
        const back = follow(classOf(lessons.id), cursor)
        if (at < first - 1) {
          await back.until(1)
          expect(back.items).toMatchObject([{ is: 'snapshot', reason: 'CURSOR_EXPIRED' }])
          expect(back.snapshots[0]!.present.versions).toEqual(
            Object.fromEntries(pupils.map(({ enrollmentId }) => [enrollmentId, 4])),
          )
        } else if (at > first) {
          await back.until(cursors.length - 1 - at)
          expect(back.snapshots).toEqual([])
          expectExact([...feed.items.slice(0, at + 1), ...back.items])
        } // what stands right at the cut may be taken for either
        back.stop()
      }
      const [late, early] = [follow(classOf(lessons.id), cursors[0]), follow(classOf(lessons.id), cursors.at(-1))]
      await late.until(1)
      await pupils[0]!.complete(1)
      await Promise.all([late.until(2), early.until(1), feed.until(cursors.length + 1)])
      for (const each of [late, early, feed]) expect(each.items.at(-1)).toMatchObject({ is: 'change', version: 5 })
    },
  )

  test(
    'in the middle of what is being folded, page by page: nothing is told twice or out of order, and a gap is ' +
      'closed by the present',
    async () => {
      const lessons = await course(1)
      const [pupil] = await learners(w, commit, 1, lessons)
      const id = pupil!.enrollmentId
      for (const _ of numbers(15)) await pupil!.complete(1).then(() => pupil!.reset())
      const end = (await w.history('Enrollment', id)).length
      const paged = process(w, {}, { page: 4 })
      const epoch = await paged.tail.epoch()
      let pages = 0
      const reader = paged.follow(
        rootOf('Enrollment', id),
        rootCursor({ epoch, rootType: 'Enrollment', rootId: id, version: 0 }),
        async () => {
          if (++pages === 3) await prunes(0)
        },
      )
      await reader.until(() => reader.items.at(-1)?.version === end)
      expectExact(reader.items)
      expect(reader.versions()).toEqual(numbers(8))
      expect(reader.snapshots.map(({ reason }) => reason)).toEqual(['CURSOR_EXPIRED'])
    },
  )
})

describe('a request sent again after it', () => {
  test(
    'is answered as it was, where its event is still there; otherwise with the root as it is now; and ' +
      'changes nothing',
    async () => {
      const lessons = await course(3)
      const [pupil] = await learners(w, commit, 1, lessons)
      const first = await pupil!.complete(1, { key: 'first' })
      const second = await pupil!.complete(2, { key: 'second' })
      await age()
      const third = await pupil!.complete(3, { key: 'third' })
      await prunes(30)
      expect((await w.history('Enrollment', pupil!.enrollmentId))[0]).toMatchObject({
        version: second.version,
        kind: GENESIS,
      })
      const now = { view: expect.objectContaining({ version: third.version, completed: 3 }), answer: expect.anything() }
      expect(await pupil!.complete(2, { key: 'second' })).toEqual({
        ...second,
        view: expect.objectContaining({ version: second.version, completed: 2 }),
        now,
        changed: false,
        replayed: true,
      })
      expect(await pupil!.complete(3, { key: 'third' })).toMatchObject({
        version: third.version,
        view: { version: third.version },
        changed: false,
        replayed: true,
      })
      const folded = await pupil!.complete(1, { key: 'first' })
      expect(folded).toMatchObject({ version: first.version, answer: first.answer, changed: false, replayed: true })
      expect(folded.view.version).toBe(third.version)
      await expectFolds(pupil!.enrollmentId)
    },
  )
})

describe('rows that came from elsewhere', () => {
  /** An enrollment as another system might have left it: no history. */
  async function elsewhere(lessons: TestCourse, version = 5): Promise<Learner> {
    const [pupil] = await learners(w, commit, 1, lessons, { enroll: false })
    await w.query(
      `insert into "Enrollment" select $1, $2, $3, $4, "lessonsVersion", 1, 3, 1, '2025-01-01', null, '2025-01-03'
        from "Course" where id = $4`,
      [...[pupil!.enrollmentId, version, pupil!.id, lessons.id]],
    )
    await w.query(
      `insert into "LessonProgress" values ($1, $2, 'COMPLETED', '2025-01-02', '2025-01-03', 1), ($1, $3,
        'IN_PROGRESS', '2025-01-02', null, 0)`,
      [...[pupil!.enrollmentId, lessons.lesson(1), lessons.lesson(2)]],
    )
    await w.query(`insert into "ContentCompletion" values ($1, $2, '2025-01-02')`, [
      pupil!.enrollmentId,
      lessons.item(2, 1),
    ])
    return pupil!
  }
  const begin = (more: Partial<Parameters<typeof beginHistories>[0]> = {}) =>
    beginHistories({ db, aggregates, ...more })

  test(
    'begin a history with the state that they are in: it folds to the rows, and can be followed, come back to, ' +
      'continued and folded',
    async () => {
      const lessons = await course(3)
      await begin() // whatever other tests have left
      const pupil = await elsewhere(lessons)
      const id = pupil.enrollmentId
      const told: number[] = []
      const before = [await everything(), await journal()]
      expect(await begin({ dryRun: true })).toBeGreaterThanOrEqual(1)
      expect(await w.history('Enrollment', id)).toEqual([])
      expect([await everything(), await journal()]).toEqual(before) // a dry run writes nothing
      const begun = await begin({ progress: ({ roots }) => told.push(roots) })
      expect(told).toEqual(numbers(begun))
      expect(await begin()).toBe(0)
      expect((await expectFolds(id)).map(({ version, kind, topic, actor }) => [version, kind, topic, actor])).toEqual([
        [5, GENESIS, `Course:${lessons.id}`, 'system'],
      ])

      const epoch = await tail.epoch()
      const from = (version: number) =>
        follow(rootOf('Enrollment', id), rootCursor({ epoch, rootType: 'Enrollment', rootId: id, version }))
      const [first, exact, late, early] = [follow(rootOf('Enrollment', id)), from(5), from(4), from(6)]
      await Promise.all([first, late, early].map((each) => each.until(1)))
      await pupil.complete(2)
      await pupil.complete(3)
      for (const each of [first, exact, late, early]) await each.until(() => each.items.at(-1)?.version === 8)
      expect(exact.items.map(({ is, version }) => `${is} ${version}`)).toEqual(['change 6', 'change 7', 'change 8'])
      expect(late.snapshots.map(({ reason }) => reason)).toEqual(['CURSOR_EXPIRED'])
      expect(early.snapshots.map(({ reason }) => reason)).toEqual(['HISTORY_REPLACED'])
      for (const each of [first, late, early]) expect(each.versions()).toEqual([6, 7, 8])
      await expectFolds(id)
      await prunes(0)
      expect(await expectFolds(id)).toHaveLength(1)
    },
  )

  test(
    'are followed before they have a history, too; who follows them or their class is told no change when it ' +
      'begins, and none is missed after',
    async () => {
      const lessons = await course(3)
      const pupil = await elsewhere(lessons)
      await settled()
      const [root, feed] = [follow(rootOf('Enrollment', pupil.enrollmentId)), follow(classOf(lessons.id))]
      await Promise.all([root.until(1), feed.until(1)])
      expect(root.items[0]).toMatchObject({ is: 'snapshot', version: 5 })
      await begin()
      await pupil.complete(2)
      for (const each of [root, feed]) {
        await each.until(() => each.items.at(-1)?.version === 6)
        expectExact(each.items)
        expect(each.changes.map(({ event }) => event.kind)).toEqual(['lessonCompleted'])
      }
      const back = follow(classOf(lessons.id), feed.items[0]!.cursor)
      await back.until(1)
      expect(back.changes.map(({ event }) => event.kind)).toEqual(['lessonCompleted'])
    },
  )

  test('that are changed at the same time begin with what they then are, and only once', async () => {
    const lessons = await course(3)
    const pupils = await Promise.all(numbers(12).map(() => elsewhere(lessons)))
    await Promise.all([
      begin(),
      begin(),
      ...pupils.map((pupil) => sleep(Math.random() * 30).then(() => pupil.complete(2))),
    ])
    await begin()
    for (const { enrollmentId } of pupils) {
      const history = await w.history('Enrollment', enrollmentId)
      expect(history.at(-1)!.version).toBe(6)
      expect(history.filter(({ kind }) => kind === GENESIS).length).toBeLessThanOrEqual(1)
      if (history[0]!.kind === GENESIS) await expectFolds(enrollmentId)
    }
  })
})
