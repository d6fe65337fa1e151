import { expect } from 'vitest'
import type { EnrollmentEvent } from '../src/learning/enrollmentState.ts'
import { enrollments } from '../src/learning/enrollmentAggregate.ts'
import { type Journaled, sorted, stored, type world } from './world.ts'

type World = Pick<Awaited<ReturnType<typeof world>>, 'query' | 'history'>

/**
 * Fails unless all holds that must hold of an enrollment, whatever happened to it: its versions are dense, its history
 * folds to its rows, each event shows what it then was, its counters count, each attempt was completed once at most,
 * and a lesson went back only by being reset. Answers with its history.
 */
export async function expectWhole(w: World, id: string): Promise<Journaled[]> {
  const history = await w.history('Enrollment', id)
  expect(
    history.map(({ version }) => version),
    'versions are dense',
  ).toEqual(history.map((_, i) => i + 1))

  let state = enrollments.blank(id)
  const rank = { NOT_STARTED: 0, IN_PROGRESS: 1, COMPLETED: 2 }
  for (const { version, kind, data, view, at } of history) {
    const event = { kind, ...data } as EnrollmentEvent
    const before = state
    state = { ...enrollments.evolve(state, event, at.toISOString()), version }
    expect(JSON.parse(JSON.stringify(enrollments.view(state, event))), `the view of version ${version}`).toEqual(view)
    expect(state.completed).toBeLessThanOrEqual(state.total)
    if (kind === 'lessonReset' || kind === 'enrollmentReset') continue
    for (const [lesson, { status }] of Object.entries(before.progress))
      expect(rank[state.progress[lesson]!.status]).toBeGreaterThanOrEqual(rank[status])
  }

  const rows = enrollments.rows(state)
  const where = Object.fromEntries(
    Object.keys(rows).map((table) => [table, [table === 'Enrollment' ? 'id' : 'enrollmentId', id] as [string, string]]),
  )
  const { aggregate: _, ...now } = await stored((text, values) => w.query(text, values), enrollments, rows, where)
  expect(now, 'history folds to the rows').toEqual(
    history.length ? sorted(rows) : { Enrollment: [], LessonProgress: [], ContentCompletion: [], CourseCompletion: [] },
  )

  const [counted] = await w.query<
    Record<'completed' | 'total' | 'countedCompleted' | 'countedTotal', number> & { behind: boolean; done: boolean }
  >(
    `select e.completed, e.total, e."lessonsVersion" < c."lessonsVersion" as behind,
      e."completedAt" is not null as done,
      (select count(*)::int from "Lesson" l where l."courseId" = c.id and l.active) as "countedTotal",
      (select count(*)::int from "Lesson" l join "LessonProgress" p on p."lessonId" = l.id and p."enrollmentId" = e.id
      where l."courseId" = c.id and l.active and p.status = 'COMPLETED') as "countedCompleted"
    from "Enrollment" e join "Course" c on c.id = e."courseId" where e.id = $1`,
    [id],
  )
  if (counted && !counted.behind) {
    expect(counted, 'counters count').toMatchObject({
      completed: counted.countedCompleted,
      total: counted.countedTotal,
    })
    if (counted.total > 0 && counted.completed === counted.total)
      expect(counted.done, 'all lessons make a completed course').toBe(true)
  }
  const attempts = history
    .filter(({ kind }) => kind === 'courseCompleted')
    .map(({ data }) => (data as { attempt: number }).attempt)
  expect(attempts, 'an attempt is completed once').toEqual([...new Set(attempts)])
  return history
}
