import { expect } from 'vitest'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import type { Learning } from '../../src/learning/enrollmentState.ts'
import { graphql } from '../generated/gql.ts'
import { fold, type Journaled, sorted, stored, type world } from '../world.ts'

type World = Awaited<ReturnType<typeof world>>

/** An enrollment as its learner sees it. */
export const Look = graphql(`
  query Look($id: ID!) {
    enrollment(id: $id) {
      id version completedLessonCount lessonCount percent attempt completedAt newLessonCount
      completions { nodes { attempt lessonsVersion completedAt } }
      availableLessons { nodes { id } }
      progress(first: 100) { totalCount edges { node { status openedAt completedAt resets lesson { id active } } } }
    }
  }
`)

/**
 * Expects that an enrollment's history amounts to its rows and its last view, without a gap, and that its counters are
 * what its rows say; answers with that history.
 */
export async function replays({ query, history }: World, enrollmentId: string): Promise<Journaled[]> {
  const told = await history('Enrollment', enrollmentId)
  expect(told.map(({ version }) => version)).toEqual(told.map((_, i) => i + 1))

  const state = fold<Learning>(enrollments, enrollmentId, told)
  const rows = enrollments.rows(state)
  const where = Object.fromEntries(
    Object.keys(rows).map((table) => [
      table,
      [table === 'Enrollment' ? 'id' : 'enrollmentId', enrollmentId] as [string, string],
    ]),
  )
  expect(await stored(query, enrollments, rows, where)).toEqual({ aggregate: 'Enrollment', ...sorted(rows) })
  if (told.length) expect(told.at(-1)!.view).toMatchObject(enrollments.view(state))

  const [counted] = await query<Counted>(
    `select e.completed, e.total, e."lessonsVersion" = c."lessonsVersion" as "caughtUp", count(l.id)::int as
      "activeLessons", count(p."completedAt")::int as "completedLessons"
     from "Enrollment" e join "Course" c on c.id = e."courseId" left join "Lesson" l on l."courseId" = c.id and l.active
     left join "LessonProgress" p on p."enrollmentId" = e.id and p."lessonId" = l.id where e.id = $1
     group by e.id, c.id`,
    [enrollmentId],
  )
  if (counted?.caughtUp)
    expect(counted).toMatchObject({ completed: counted.completedLessons, total: counted.activeLessons })
  return told
}

interface Counted {
  readonly completed: number
  readonly total: number
  readonly caughtUp: boolean
  readonly activeLessons: number
  readonly completedLessons: number
}

/** The kinds of what happened, in order. */
export const kinds = (history: readonly Journaled[]) => history.map(({ kind }) => kind)
