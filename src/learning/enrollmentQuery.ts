import { EVERYTHING, instant, type Wanted } from '../commit/aggregate.ts'
import { join, sql, type Sql } from '../database/client.ts'
import {
  type Completion,
  enrollmentColumns,
  type EnrollmentState,
  type Progress,
  progressColumns,
} from './enrollmentState.ts'
import { courseIn, lessonOf } from './id.ts'

/**
 * Reads each root with the slices that are asked for:
 *
 * | slice | what it reads |
 * |---|---|
 * | `<lesson>` | the lesson, the lessons that it requires, and what the learner did in all of them |
 * | `<lesson>.` | the lesson, likewise, and all content completed in it |
 * | `<content item>` | the item and its lesson, likewise |
 * | EVERYTHING | all that the learner did |
 *
 * The course is counted only where its lessons have another version than the one that the enrollment was counted at.
 * The rows are of five kinds, told apart by their first field. LATERAL … OFFSET 0: one look-up by the whole key for
 * each, whatever number of rows the planner expects.
 */
export function readEnrollments(wanted: Wanted): Sql {
  const { lessons, items, emptied, wholes } = sorted(wanted)
  return join(
    [
      readRoots(wanted.ids),
      ...(lessons.size ? [readLessons(lessons)] : []),
      ...(wholes.length ? readWholes(wholes) : []),
      ...(items.size ? [readItems(items)] : []),
      ...(emptied.size ? [readContents(emptied)] : []),
    ],
    ' union all ',
  )
}

/** The slices by their kind. */
function sorted({ ids, slices }: Wanted) {
  const found = { lessons: new Pairs(), items: new Pairs(), emptied: new Pairs(), wholes: [] as string[] }
  for (const id of ids) {
    const seen = new Set<string>()
    for (const part of slices.get(id) ?? []) {
      if (part === EVERYTHING) {
        found.wholes.push(id)
        continue
      }
      const lesson = lessonOf(part)
      if (!seen.has(lesson)) found.lessons.add(id, lesson)
      seen.add(lesson)
      if (part.endsWith('.')) found.emptied.add(id, lesson)
      else if (part !== lesson) found.items.add(id, part)
    }
  }
  return found
}

const readRoots = (ids: readonly string[]) => sql`
  select json_build_array(0, w.id, coalesce(e.version, 0), ${enrollmentColumns.select('e')}, c."lessonsVersion",
    case when e.version is null or e."lessonsVersion" <> c."lessonsVersion" then (
      select json_build_array(count(*), count(p."completedAt"))
      from "Lesson" l left join "LessonProgress" p on p."enrollmentId" = w.id and p."lessonId" = l.id
      where l."courseId" = w."courseId" and l.active) end) as row
  from unnest(${ids}::text[], ${ids.map(courseIn)}::text[]) as w (id, "courseId")
  left join lateral (select * from "Enrollment" e where e.id = w.id offset 0) e on true
  left join lateral (select "lessonsVersion" from "Course" c where c.id = w."courseId" offset 0) c on true`

const readLessons = (lessons: Pairs) => sql`
  select json_build_array(1, x.e, l.id, l.active, ${progressColumns.select('p')},
    q."requiresId", r.active, ${progressColumns.select('d')})
  from ${lessons.sql} as x (e, l)
  cross join lateral (select * from "Lesson" l where l.id = x.l offset 0) l
  left join lateral (
    select * from "LessonProgress" p where p."enrollmentId" = x.e and p."lessonId" = x.l offset 0) p on true
  left join lateral (select * from "LessonPrerequisite" q where q."lessonId" = x.l offset 0) q on true
  left join lateral (select * from "Lesson" r where r.id = q."requiresId" offset 0) r on true
  left join lateral (
    select * from "LessonProgress" d where d."enrollmentId" = x.e and d."lessonId" = q."requiresId" offset 0) d on true`

const readWholes = (ids: readonly string[]) => [
  sql`
  select json_build_array(1, p."enrollmentId", l.id, l.active, ${progressColumns.select('p')})
  from "LessonProgress" p join "Lesson" l on l.id = p."lessonId" where p."enrollmentId" = any(${ids}::text[])`,
  sql`
  select json_build_array(3, d."enrollmentId", d."contentItemId", d."completedAt")
  from "ContentCompletion" d where d."enrollmentId" = any(${ids}::text[])`,
  sql`
  select json_build_array(4, c."enrollmentId", c.attempt, c."lessonsVersion", c."completedAt")
  from "CourseCompletion" c where c."enrollmentId" = any(${ids}::text[])`,
]

const readItems = (items: Pairs) => sql`
  select json_build_array(2, x.e, i.id, i.active, d."completedAt")
  from ${items.sql} as x (e, i) join "ContentItem" i on i.id = x.i
  left join "ContentCompletion" d on d."enrollmentId" = x.e and d."contentItemId" = x.i`

const readContents = (lessons: Pairs) => sql`
  select json_build_array(3, x.e, d."contentItemId", d."completedAt")
  from ${lessons.sql} as x (e, l) join "ContentItem" i on i."lessonId" = x.l
  join "ContentCompletion" d on d."enrollmentId" = x.e and d."contentItemId" = i.id`

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

type Found = readonly unknown[]
type RootRow = readonly [
  0,
  id: string,
  version: number,
  own: Found,
  lessonsNow: number | null,
  counts: readonly [total: number, completed: number] | null,
]
type LessonRow = readonly [
  1,
  enrollmentId: string,
  id: string,
  active: boolean,
  progress: Found,
  requires?: string | null,
  requiredActive?: boolean,
  done?: Found,
]
type ItemRow = readonly [2, enrollmentId: string, id: string, active: boolean, completedAt: string | null]
type ContentRow = readonly [3, enrollmentId: string, id: string, completedAt: string]
type CompletionRow = readonly [4, enrollmentId: string, attempt: number, lessonsVersion: number, completedAt: string]

/** What hangs below an enrollment of which nothing is read yet, to be filled in. */
export const nothingBelow = () => ({
  course: null as EnrollmentState['course'],
  lessons: {} as Record<string, { readonly active: boolean; readonly requires: string[] }>,
  progress: {} as Record<string, Progress>,
  items: {} as Record<string, { readonly active: boolean }>,
  contents: {} as Record<string, string>,
  completions: [] as Completion[],
})
interface Filling
  extends Omit<EnrollmentState, keyof ReturnType<typeof nothingBelow>>,
    ReturnType<typeof nothingBelow> {}

/** The rows of roots come first, since UNION ALL keeps its order; the others fill in what those have. */
export function loadEnrollments(
  rows: readonly (RootRow | LessonRow | ItemRow | ContentRow | CompletionRow)[],
): EnrollmentState[] {
  const states = new Map<string, Filling>()
  for (const row of rows) {
    if (row[0] === 0) states.set(row[1], root(row))
    else fill(states.get(row[1])!, row)
  }
  return [...states.values()]
}

function root([, id, version, found, lessonsNow, counts]: RootRow): Filling {
  const own = version ? enrollmentColumns.load(found) : enrollmentColumns.blank
  const state = { id, version, ...own, ...nothingBelow() }
  if (counts && lessonsNow !== null)
    state.course = { lessonsVersion: lessonsNow, total: counts[0], completed: counts[1] }
  return state
}

function fill(state: Filling, row: LessonRow | ItemRow | ContentRow | CompletionRow): void {
  switch (row[0]) {
    case 1:
      fillLesson(state, row)
      return
    case 2:
      state.items[row[2]] = { active: row[3] }
      if (row[4]) state.contents[row[2]] = instant(row[4])
      return
    case 3:
      state.contents[row[2]] = instant(row[3])
      return
    case 4:
      state.completions.push({ attempt: row[2], lessonsVersion: row[3], completedAt: instant(row[4]) })
  }
}

function fillLesson(
  { lessons, progress }: Filling,
  [, , id, active, own, required, requiredActive, done]: LessonRow,
): void {
  lessons[id] ??= { active, requires: [] }
  if (isThere(own)) progress[id] ??= progressColumns.load(own)
  if (!required) return
  lessons[id].requires.push(required)
  lessons[required] ??= { active: requiredActive!, requires: [] }
  if (isThere(done)) progress[required] ??= progressColumns.load(done)
}

/** Whether there was such a row: its status, the first of its columns, is never null. */
const isThere = (found: Found | undefined): found is Found => found !== undefined && found[0] !== null
