import { EVERYTHING, instant, type Wanted } from '../commit/aggregate.ts'
import { join, sql } from '../database/client.ts'
import type { EnrollmentState, Progress } from './enrollmentState.ts'
import { courseIn, learnerOf, lessonOf } from './id.ts'

/**
 * The roots with, of each, the slice that is looked at: a lesson's id stands for the lesson, those that it requires,
 * and what the learner did in them; a content item's id for the item and its lesson; a lesson's id with a dot behind it
 * for the lesson and all content completed in it; EVERYTHING for all that the learner did. The course is counted only
 * where it is another than the one that the enrollment was counted at. Rows of four kinds, told apart by their first
 * field. LATERAL … OFFSET 0: one look-up by the whole key for each, whatever the planner believes of how many rows
 * there are.
 */
export function readEnrollments({ ids, slices }: Wanted) {
  const lessons = new Pairs()
  const items = new Pairs()
  const emptied = new Pairs()
  const wholes: string[] = []
  for (const id of ids) {
    const seen = new Set<string>()
    for (const part of slices.get(id) ?? []) {
      if (part === EVERYTHING) {
        wholes.push(id)
        continue
      }
      const lesson = lessonOf(part)
      if (!seen.has(lesson)) lessons.add(id, lesson)
      seen.add(lesson)
      if (part.endsWith('.')) emptied.add(id, lesson)
      else if (part !== lesson) items.add(id, part)
    }
  }
  const progressed = sql`p.status, p."openedAt", p."completedAt", p.resets`
  const parts = [
    sql`select json_build_array(0, w.id, coalesce(e.version, 0), e."courseVersion", e.completed, e.total, e.attempt, e."enrolledAt", e."completedAt", c."lessonsVersion",
      case when e.version is null or e."courseVersion" <> c."lessonsVersion" then (select json_build_array(count(*), count(p."completedAt"))
        from "Lesson" l left join "LessonProgress" p on p."enrollmentId" = w.id and p."lessonId" = l.id where l."courseId" = w."courseId" and l.active) end) as row
      from unnest(${ids}::text[], ${ids.map(courseIn)}::text[]) as w (id, "courseId") 
      left join lateral (select * from "Enrollment" e where e.id = w.id offset 0) e on true left join lateral (select "lessonsVersion" from "Course" c where c.id = w."courseId" offset 0) c on true`,
  ]
  if (lessons.size) {
    parts.push(
      sql`select json_build_array(1, x.e, l.id, l.active, ${progressed}, q."requiresId", r.active, d.status, d."openedAt", d."completedAt", d.resets)
      from ${lessons.sql} as x (e, l) cross join lateral (select * from "Lesson" l where l.id = x.l offset 0) l
      left join lateral (select * from "LessonProgress" p where p."enrollmentId" = x.e and p."lessonId" = x.l offset 0) p on true
      left join lateral (select * from "LessonPrerequisite" q where q."lessonId" = x.l offset 0) q on true
      left join lateral (select * from "Lesson" r where r.id = q."requiresId" offset 0) r on true
      left join lateral (select * from "LessonProgress" d where d."enrollmentId" = x.e and d."lessonId" = q."requiresId" offset 0) d on true`,
    )
  }
  if (wholes.length) {
    parts.push(
      sql`select json_build_array(1, p."enrollmentId", l.id, l.active, ${progressed}) from "LessonProgress" p join "Lesson" l on l.id = p."lessonId" where p."enrollmentId" = any(${wholes}::text[])`,
      sql`select json_build_array(3, d."enrollmentId", d."contentItemId", d."completedAt") from "ContentCompletion" d where d."enrollmentId" = any(${wholes}::text[])`,
      sql`select json_build_array(4, c."enrollmentId", c.attempt, c."courseVersion", c."completedAt") from "CourseCompletion" c where c."enrollmentId" = any(${wholes}::text[])`,
    )
  }
  if (items.size) {
    parts.push(
      sql`select json_build_array(2, x.e, i.id, i.active, d."completedAt")
      from ${items.sql} as x (e, i) join "ContentItem" i on i.id = x.i left join "ContentCompletion" d on d."enrollmentId" = x.e and d."contentItemId" = x.i`,
    )
  }
  if (emptied.size) {
    parts.push(
      sql`select json_build_array(3, x.e, d."contentItemId", d."completedAt")
      from ${emptied.sql} as x (e, l) join "ContentItem" i on i."lessonId" = x.l join "ContentCompletion" d on d."enrollmentId" = x.e and d."contentItemId" = i.id`,
    )
  }
  return join(parts, ' union all ')
}

/** Pairs of an enrollment and something in its course, as a table. */
class Pairs {
  readonly #enrollments: string[] = []
  readonly #others: string[] = []
  add(enrollment: string, other: string) {
    this.#enrollments.push(enrollment)
    this.#others.push(other)
  }
  get size() {
    return this.#others.length
  }
  get sql() {
    return sql`unnest(${this.#enrollments}::text[], ${this.#others}::text[])`
  }
}

type Progressed = readonly [
  status: Progress['status'] | null,
  openedAt: string | null,
  completedAt: string | null,
  resets: number | null,
]
type RootRow = readonly [
  0,
  id: string,
  version: number,
  courseVersion: number,
  completed: number,
  total: number,
  attempt: number,
  enrolledAt: string,
  completedAt: string | null,
  courseNow: number | null,
  counts: readonly [total: number, completed: number] | null,
]
type LessonRow = readonly [
  1,
  e: string,
  id: string,
  active: boolean,
  ...Progressed,
  requires?: string | null,
  requiredActive?: boolean,
  ...done: Partial<Progressed>,
]
type ItemRow = readonly [2, e: string, id: string, active: boolean, completedAt: string | null]
type ContentRow = readonly [3, e: string, id: string, completedAt: string]
type CompletionRow = readonly [4, e: string, attempt: number, courseVersion: number, completedAt: string]

interface Filling extends EnrollmentState {
  readonly lessons: Record<string, { readonly active: boolean; readonly requires: string[] }>
  readonly progress: Record<string, Progress>
  readonly items: Record<string, { readonly active: boolean }>
  readonly contents: Record<string, string>
  readonly completions: { readonly attempt: number; readonly courseVersion: number; readonly completedAt: string }[]
}

/** The rows of roots come first, as UNION ALL keeps its order; the others fill in what those have. */
export function loadEnrollments(
  rows: readonly (RootRow | LessonRow | ItemRow | ContentRow | CompletionRow)[],
): EnrollmentState[] {
  const states = new Map<string, Filling>()
  for (const row of rows) {
    const state = states.get(row[1])
    if (row[0] === 0) states.set(row[1], root(row))
    else if (row[0] === 1) fillLesson(state!, row)
    else if (row[0] === 2) {
      state!.items[row[2]] = { active: row[3] }
      if (row[4]) state!.contents[row[2]] = instant(row[4])
    } else if (row[0] === 3) state!.contents[row[2]] = instant(row[3])
    else state!.completions.push({ attempt: row[2], courseVersion: row[3], completedAt: instant(row[4]) })
  }
  return [...states.values()]
}

function root(row: RootRow): Filling {
  const id = row[1]
  const version = row[2]
  const counts = row[10]
  return {
    id,
    version,
    learnerId: learnerOf(id),
    courseId: courseIn(id),
    courseVersion: version ? row[3] : 0,
    completed: version ? row[4] : 0,
    total: version ? row[5] : 0,
    attempt: version ? row[6] : 1,
    enrolledAt: version ? instant(row[7]) : '',
    completedAt: version ? instant(row[8]) : null,
    course: counts && row[9] !== null ? { version: row[9], total: counts[0], completed: counts[1] } : null,
    lessons: {},
    progress: {},
    items: {},
    contents: {},
    completions: [],
  }
}

function fillLesson({ lessons, progress }: Filling, row: LessonRow) {
  const id = row[2]
  lessons[id] ??= { active: row[3], requires: [] }
  if (row[4])
    progress[id] ??= { status: row[4], openedAt: instant(row[5]), completedAt: instant(row[6]), resets: row[7]! }
  const required = row[8]
  if (!required) return
  lessons[id].requires.push(required)
  lessons[required] ??= { active: row[9]!, requires: [] }
  if (row[10])
    progress[required] ??= {
      status: row[10],
      openedAt: instant(row[11]!),
      completedAt: instant(row[12]!),
      resets: row[13]!,
    }
}
