import { beforeAll, describe, expect, test } from 'vitest'
import { completeContent } from '../../src/learning/completeContent.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { enrollmentColumns } from '../../src/learning/enrollmentState.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person, type TestCourse } from '../academy.ts'
import { outcome, world } from '../world.ts'
import { replays } from './replay.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)

/** A learner who has completed a course. */
async function graduate(taken: TestCourse, lessons: number): Promise<Person & { readonly enrollmentId: string }> {
  const learner = await person()
  const { id: learnerId, actor } = learner
  await commit(enroll, { actor, input: { learnerId, courseId: taken.id }, key: 'enroll' })
  await commit(completeContent, { actor, input: { learnerId, contentItemId: taken.item(1) } })
  for (let n = 1; n <= lessons; n++)
    await commit(completeLesson, { actor, input: { learnerId, lessonId: taken.lesson(n) }, key: `complete ${n}` })
  return { ...learner, enrollmentId: enrollmentOf(learnerId, taken.id) }
}

/** What PostgreSQL says to a statement: the SQLSTATE and the constraint, or nothing. */
async function refusal(statement: string, values: unknown[] = []) {
  const error = (await outcome(w.query(statement, values))) as { code?: string; constraint?: string }
  return error.code ? { code: error.code, constraint: error.constraint } : undefined
}
/** PostgreSQL 18 tells a refused deletion apart from other violations of a foreign key; before, it did not. */
const restricted = expect.stringMatching(/^(23001|23503)$/)
const copyOf = (table: string, where: string, changes = '{}') => {
  // its percent is generated, and can't be inserted
  const names =
    table === 'Enrollment' ? Object.keys(enrollmentColumns.row({ id: '', version: 1, ...enrollmentColumns.blank })) : []
  const columns = names.map((name) => `"${name}"`).join()
  return `insert into "${table}" ${columns && `(${columns})`} select ${columns || '*'} from (
    select (jsonb_populate_record(t, '${changes}'::jsonb)).* from "${table}" t where ${where}) copied`
}

describe('the database itself refuses', () => {
  let learner: Awaited<ReturnType<typeof graduate>>
  beforeAll(async () => {
    learner = await graduate(await course(2), 2)
  })

  test.each([
    ['LessonProgress', 'LessonProgress_pkey', '{}'],
    ['CourseCompletion', 'CourseCompletion_pkey', '{}'],
    ['ContentCompletion', 'ContentCompletion_pkey', '{}'],
  ])('a second row of %s for the same thing', async (table, constraint, changes) => {
    expect(await refusal(copyOf(table, `"enrollmentId" = '${learner.enrollmentId}'`, changes))).toEqual({
      code: '23505',
      constraint,
    })
  })

  test('a second enrollment of a learner in a course, whatever its id', async () => {
    const where = `id = '${learner.enrollmentId}'`
    expect(await refusal(copyOf('Enrollment', where))).toEqual({ code: '23505', constraint: 'Enrollment_pkey' })
    expect(await refusal(copyOf('Enrollment', where, '{"id": "another"}'))).toEqual({
      code: '23505',
      constraint: 'Enrollment_learnerId_courseId_key',
    })
  })

  test('a second event of the same version of a root, and one without a version', async () => {
    const where = `"rootId" = '${learner.enrollmentId}' and version = 1`
    expect(await refusal(copyOf('Event', where))).toEqual({ code: '23505', constraint: 'Event_pkey' })
    expect(await refusal(copyOf('Event', where, '{"version": 0}'))).toEqual({
      code: '23514',
      constraint: 'Event_version_check',
    })
  })

  test('a second use of an idempotency key by one person', async () => {
    expect(await refusal(copyOf('IdempotencyKey', `actor = '${learner.id}' and key = 'enroll'`))).toEqual({
      code: '23505',
      constraint: 'IdempotencyKey_pkey',
    })
  })

  test('more lessons completed than there are, and fewer than none', async () => {
    for (const completed of [3, -1])
      expect(
        await refusal('update "Enrollment" set completed = $1 where id = $2', [completed, learner.enrollmentId]),
      ).toEqual({
        code: '23514',
        constraint: 'Enrollment_completed_within_total',
      })
  })

  test('a lesson that is completed without a time, or has a time without being completed', async () => {
    const where = `where "enrollmentId" = '${learner.enrollmentId}'`
    const refused = { code: '23514', constraint: 'LessonProgress_completed_has_a_time' }
    expect(await refusal(`update "LessonProgress" set "completedAt" = null ${where}`)).toEqual(refused)
    expect(await refusal(`update "LessonProgress" set status = 'IN_PROGRESS' ${where}`)).toEqual(refused)
  })

  test(
    'a lesson that requires itself, two lessons of one slug, two courses of one slug, two sessions of ' + 'one token',
    async () => {
      const taken = await course(2)
      expect(await refusal('insert into "LessonPrerequisite" values ($1, $1)', [taken.lesson(1)])).toEqual({
        code: '23514',
        constraint: 'LessonPrerequisite_not_itself',
      })
      expect(await refusal('update "Lesson" set slug = $1 where id = $2', ['lesson-1', taken.lesson(2)])).toEqual({
        code: '23505',
        constraint: 'Lesson_courseId_slug_key',
      })
      expect(await refusal(copyOf('Course', `id = '${taken.id}'`, '{"id": "another"}'))).toEqual({
        code: '23505',
        constraint: 'Course_slug_key',
      })
      expect(await refusal(copyOf('Session', `"userId" = '${learner.id}'`, '{"id": "another"}'))).toEqual({
        code: '23505',
        constraint: 'Session_tokenHash_key',
      })
    },
  )

  test('progress of nobody, in no lesson', async () => {
    const where = `"enrollmentId" = '${learner.enrollmentId}'`
    expect(await refusal(copyOf('LessonProgress', where, '{"enrollmentId": "nobody"}'))).toMatchObject({
      code: expect.stringMatching(/^235/),
    })
    expect(
      await refusal(`insert into "LessonProgress" values ($1, 'none', 'NOT_STARTED', null, null, 0)`, [
        learner.enrollmentId,
      ]),
    ).toEqual({
      code: '23503',
      constraint: 'LessonProgress_lessonId_fkey',
    })
  })
})

/** Every row of the whole database in which a text is found, by table. */
async function mentions(text: string) {
  const tables = await w.query<{ table: string }>(
    `select table_name as table from information_schema.tables where table_schema = 'public'
      and table_type = 'BASE TABLE'`,
  )
  const found: Record<string, number> = {}
  for (const { table } of tables) {
    const [row] = await w.query<{ count: number }>(
      `select count(*)::int as count from "${table}" t where strpos(to_jsonb(t)::text, $1) > 0`,
      [text],
    )
    if (row!.count) found[table] = row!.count
  }
  return found
}

describe('what goes with what', () => {
  test(
    'a user who is deleted takes their enrollments, progress, sessions, keys and history along, and nothing of ' +
      'anybody else',
    async () => {
      const taken = await course(2)
      const [gone, stays] = [await graduate(taken, 2), await graduate(taken, 2)]
      const [before, others] = [await mentions(gone.id), await mentions(stays.id)]
      expect(before).toMatchObject({
        User: 1,
        Session: 1,
        Enrollment: 1,
        LessonProgress: 2,
        ContentCompletion: 1,
        CourseCompletion: 1,
        IdempotencyKey: 3,
      })
      expect(before.Event).toBeGreaterThan(5)

      await w.query('delete from "User" where id = $1', [gone.id])
      expect(await mentions(gone.id)).toEqual({})
      expect(await mentions(stays.id)).toEqual(others)
      expect(await replays(w, stays.enrollmentId)).toHaveLength(6)
    },
  )

  test('an instructor who is deleted leaves the courses and the learners as they were', async () => {
    const taken = await course(1)
    const [instructor, learner] = [await person('INSTRUCTOR'), await graduate(taken, 1)]
    await teach(taken.id, instructor)
    await w.query('delete from "User" where id = $1', [instructor.id])
    expect(await w.query('select id from "Course" where id = $1', [taken.id])).toHaveLength(1)
    expect(await w.query('select * from "CourseInstructor" where "courseId" = $1', [taken.id])).toEqual([])
    await replays(w, learner.enrollmentId)
  })

  test(
    'an enrollment that is deleted takes its progress and history along; made again it begins at ' + 'version 1',
    async () => {
      const taken = await course(1)
      const learner = await graduate(taken, 1)
      await w.query('delete from "Enrollment" where id = $1', [learner.enrollmentId])
      expect(await w.history('Enrollment', learner.enrollmentId)).toEqual([])
      expect(await mentions(learner.enrollmentId)).toEqual({})
      const { version } = await commit(enroll, {
        actor: learner.actor,
        input: { learnerId: learner.id, courseId: taken.id },
      })
      expect(version).toBe(1)
      expect(await replays(w, learner.enrollmentId)).toHaveLength(1)
    },
  )

  test('a course with enrollments is not deleted', async () => {
    const taken = await course(1)
    const learner = await graduate(taken, 1)
    expect(await refusal('delete from "Course" where id = $1', [taken.id])).toEqual({
      code: restricted,
      constraint: 'Enrollment_courseId_fkey',
    })
    expect(await replays(w, learner.enrollmentId)).toHaveLength(5)
  })

  test(
    'a course without enrollments takes its lessons, their content, what they require, its instructors and its ' +
      'history along',
    async () => {
      const [taken, stays] = [await course(3, { 3: [1, 2] }), await course(2, { 2: [1] })]
      await teach(taken.id, await person('INSTRUCTOR'))
      const others = await mentions(stays.id)
      expect(await mentions(taken.id)).toEqual({
        Course: 1,
        Lesson: 3,
        ContentItem: 6,
        LessonPrerequisite: 2,
        CourseInstructor: 1,
        Event: 2,
      })
      await w.query('delete from "Course" where id = $1', [taken.id])
      expect(await mentions(taken.id)).toEqual({})
      expect(await mentions(stays.id)).toEqual(others)
    },
  )

  test('a lesson or content with progress cannot be deleted; one without can', async () => {
    const taken = await course(2)
    await graduate(taken, 1)
    expect(await refusal('delete from "Lesson" where id = $1', [taken.lesson(1)])).toMatchObject({ code: restricted })
    expect(await refusal('delete from "ContentItem" where id = $1', [taken.item(1)])).toEqual({
      code: restricted,
      constraint: 'ContentCompletion_contentItemId_fkey',
    })
    expect(await refusal('delete from "Lesson" where id = $1', [taken.lesson(2)])).toBeUndefined()
  })
})
