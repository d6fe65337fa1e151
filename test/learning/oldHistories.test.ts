import { beforeAll, describe, expect, test } from 'vitest'
import type { Aggregate, Shape } from '../../src/commit/aggregate.ts'
import { migrate, migrateDown } from '../../src/database/migrate.ts'
import { inSession } from '../../src/database/session.ts'
import { beginHistories } from '../../src/journal/beginHistories.ts'
import { evolved } from '../../src/journal/fold.ts'
import { prune } from '../../src/journal/prune.ts'
import { catchUp } from '../../src/learning/catchUp.ts'
import { completeContent } from '../../src/learning/completeContent.ts'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import type { EnrollmentState } from '../../src/learning/enrollmentState.ts'
import { academy, system } from '../academy.ts'
import { type Learner, learners } from '../classroom.ts'
import { ownDatabase } from '../ownDatabase.ts'
import { sorted, stored, world } from '../world.ts'

/** The last migration before the lessons' version got its name. */
const BEFORE = '20261124000001_sessions'
const tables = [
  ...['User', 'Course', 'Lesson', 'ContentItem'],
  ...['Enrollment', 'LessonProgress', 'ContentCompletion', 'CourseCompletion', 'Event'],
]

type Row = Record<string, unknown>
type Dump = Record<string, Row[]>

const w = await world()
const { db, commit } = w.process()
const { course } = academy(commit)
const aggregates = [enrollments] as unknown as readonly Aggregate<Shape>[]

/** Tells the place of a row among those of its table. */
const placeOf = ({ rootType, rootId, enrollmentId, lessonId, contentItemId, attempt, version, id }: Row) =>
  [rootType, rootId, enrollmentId, lessonId, contentItemId, attempt, id, String(version).padStart(3, '0')].join()
const byPlace = (one: Row, other: Row) => (placeOf(one) < placeOf(other) ? -1 : 1)

/** All rows of the tables, in order. */
const dump = (url: string): Promise<Dump> =>
  inSession(url, async (client) => {
    const found: Dump = {}
    for (const table of tables)
      found[table] = (await client.query<{ row: Row }>(`select to_jsonb(t) - 'xid' as row from "${table}" t `)).rows
        .map(({ row }) => row)
        .sort(byPlace)
    return found
  })

const fill = (url: string, rows: Dump): Promise<void> =>
  inSession(url, async (client) => {
    for (const table of tables) {
      const names = Object.keys(rows[table]![0]!)
        .map((name) => `"${name}"`)
        .join(', ')
      await client.query(
        `insert into "${table}" (${names}) select ${names} from jsonb_populate_recordset(null::"${table}", $1)`,
        [JSON.stringify(rows[table])],
      )
    }
  })

/** An object as it was stored before: the lessons' version was called the course's, the last activity was unknown. */
function old({ lessonsVersion, lastActivityAt: _, percent: __, ...row }: Row): Row {
  return lessonsVersion === undefined ? row : { ...row, courseVersion: lessonsVersion }
}

/** The rows as they were stored before. */
function oldDump(now: Dump): Dump {
  const oldData = (kind: unknown, data: Row): Row => {
    if (kind !== 'genesis') return old(data)
    const { lessonsVersion: version, ...counts } = (data.course ?? {}) as Row
    const completions = (data.completions as Row[]).map(old)
    return { ...old(data), completions, course: data.course ? { ...counts, version } : null }
  }
  return {
    ...now,
    Enrollment: now.Enrollment!.map(old),
    CourseCompletion: now.CourseCompletion!.map(old),
    Event: now.Event!.map((event) =>
      event.rootType === 'Enrollment'
        ? { ...event, view: old(event.view as Row), data: oldData(event.kind, event.data as Row) }
        : event,
    ),
  }
}

/** Fails unless each enrollment's history folds to its rows. */
async function expectFolds(url: string, { Event, Enrollment }: Dump) {
  for (const { id } of Enrollment!) {
    const history = Event!.filter(({ rootId }) => rootId === id)
    if (!history.length) continue
    const state = history.reduce<EnrollmentState>(
      (before, event) => evolved(enrollments, before, event as never),
      enrollments.blank(`${id}`),
    )
    const rows = enrollments.rows(state)
    const where = Object.fromEntries(
      Object.keys(rows).map((table) => [
        table,
        [table === 'Enrollment' ? 'id' : 'enrollmentId', String(id)] as [string, string],
      ]),
    )
    const { aggregate: _, ...found } = await inSession(url, (client) =>
      stored(async (text, values) => (await client.query(text, values)).rows, enrollments, rows, where),
    )
    expect(found).toEqual(sorted(rows))
  }
}

describe('histories from before the lessons’ version had its name and the last activity was known', () => {
  let now: Dump
  let url: string

  beforeAll(async () => {
    const taken = await course(2)
    const finish = async (learner: Learner) => {
      await learner.complete(1)
      const item = { learnerId: learner.id, contentItemId: taken.item(2) }
      await commit(completeContent, { actor: learner.actor, input: item })
      await learner.complete(2)
    }
    const [folded] = await learners(w, commit, 1, taken)
    await finish(folded!)
    await prune({ db, aggregates, days: 0 })
    const [whole, begun, bare] = await learners(w, commit, 3, taken)
    for (const learner of [whole!, begun!, bare!]) await finish(learner)
    await taken.revise(3)
    for (const learner of [whole!, folded!]) await learner.reset()
    await whole!.complete(3)
    await w.query(`delete from "Event" where "rootId" = $1`, [begun!.enrollmentId])
    await beginHistories({ db, aggregates })
    await w.query(`delete from "Event" where "rootId" = $1`, [bare!.enrollmentId])
    await folded!.complete(1)
    await taken.revise(3, {}, [2, 3]) // what is left is completed: the course completes, and nobody did anything
    await commit(catchUp, { actor: system, input: { enrollmentId: folded!.enrollmentId } })
    now = await dump(w.url)

    url = await ownDatabase('empty')
    await migrate(url, { to: BEFORE })
    await fill(url, oldDump(now))
  })

  test('have all that there is to be renamed', async () => {
    const before = await dump(url)
    const events = before.Event!.filter(({ rootType }) => rootType === 'Enrollment')
    expect([...new Set(events.map(({ kind }) => kind))].sort()).toEqual([
      ...['contentCompleted', 'courseChanged', 'courseCompleted', 'enrolled', 'enrollmentReset', 'genesis'],
      ...['lessonCompleted', 'lessonOpened'],
    ])
    expect(JSON.stringify([before.Enrollment, before.CourseCompletion, events])).not.toContain('lessonsVersion')
    expect(events.filter(({ kind }) => kind === 'genesis').map(({ data }) => data)).toEqual([
      expect.objectContaining({ courseVersion: 1, completions: [expect.objectContaining({ courseVersion: 1 })] }),
      expect.objectContaining({ courseVersion: 1, completions: [expect.objectContaining({ courseVersion: 1 })] }),
    ])
  })

  test('are migrated to what would be written now, which folds to the rows; and back to what they were', async () => {
    const before = await dump(url)
    await migrate(url)
    const after = await dump(url)
    expect(after).toEqual(now)
    await expectFolds(url, after)
    await migrateDown(url, { to: BEFORE })
    expect(await dump(url)).toEqual(before)
    await migrate(url)
    expect(await dump(url)).toEqual(after)
  })
})
