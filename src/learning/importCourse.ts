import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { type Db, sql } from '../database/client.ts'
import { DomainError, VersionConflict } from '../commit/errors.ts'
import { type CourseEvent, type CourseState, type CourseText, courses, type LessonState } from './courseAggregate.ts'
import { type CourseDefinition, reviseCourse } from './reviseCourse.ts'

/** Another course has the slug already. */
export class CourseSlugTaken extends DomainError {
  readonly slug: string
  readonly courseId: string
  constructor(slug: string, courseId: string) {
    super(`Another course (${courseId}) has the slug ${JSON.stringify(slug)}.`)
    this.slug = slug
    this.courseId = courseId
  }
}

/** A lesson in a difference. */
export interface LessonChange {
  readonly id: string
  readonly slug: string
  /** The fields that changed, where the lesson was there before. */
  readonly fields?: readonly string[]
}

/** What an import changes. Each lesson is in one list: the first that fits. */
export interface CourseDifference {
  readonly state: 'created' | 'changed' | 'unchanged'
  /** The fields of the course itself that changed. */
  readonly fields: readonly string[]
  readonly added: readonly LessonChange[]
  readonly deactivated: readonly LessonChange[]
  readonly reactivated: readonly LessonChange[]
  readonly changed: readonly LessonChange[]
  /** Only their positions changed. */
  readonly moved: readonly LessonChange[]
}

/** The lessons of a course as a graph. */
export interface CourseGraph {
  readonly active: number
  readonly inactive: number
  /** How many prerequisites active lessons have, in all. */
  readonly requirements: number
  /** How many active lessons have no prerequisites. */
  readonly open: number
}

/** What an import would do, or has done. */
export interface CourseImport {
  readonly course: CourseText & { readonly id: string; readonly version: number; readonly lessonsVersion: number }
  readonly difference: CourseDifference
  readonly graph: CourseGraph
  /** How many enrollments are overdue after the import. */
  readonly overdue: number
}

/**
 * Makes a course as its definition says. If it is so already, nothing is committed. The result is exactly what was
 * committed: if the course changes in the meantime, the import is computed again.
 */
export async function importCourse({
  db,
  commit,
  definition,
}: {
  readonly db: Db
  readonly commit: Commit
  readonly definition: CourseDefinition
}): Promise<CourseImport> {
  const key = `import ${randomUUID()}` // with a key, a connection lost at COMMIT leaves no doubt
  for (;;) {
    const done = await previewImport(db, definition)
    if (done.difference.state === 'unchanged') return done
    try {
      await commit(reviseCourse, { actor: system, input: definition, expectedVersion: done.course.version - 1, key })
      return done
    } catch (error) {
      if (!(error instanceof VersionConflict)) throw error
    }
  }
}

/** What importing this definition would do now. Writes nothing. */
export async function previewImport(db: Db, definition: CourseDefinition): Promise<CourseImport> {
  const { courseId, slug } = definition
  const [row] = await db.$queryRaw<{ states: string | null; other: string | null }[]>(sql`
    select (select json_agg(s.row) from (${courses.read({ ids: [courseId], slices: new Map() })}) s)::text as states,
      (select id from "Course" where slug = ${slug} and id <> ${courseId}) as other`)
  if (row!.other) throw new CourseSlugTaken(slug, row!.other)
  const [before] = courses.load(JSON.parse(row!.states ?? '[]') as never)
  const wanted = importInto(before ?? courses.blank(courseId), definition)
  const [found] = await db.$queryRaw<{ count: number }[]>(
    sql`select count(*)::int as count from "Enrollment"
      where "courseId" = ${courseId} and "lessonsVersion" < ${wanted.course.lessonsVersion}`,
  )
  return { ...wanted, overdue: found!.count }
}

/** What importing this definition would do to a course in this state. Pure. */
export function importInto(before: CourseState, definition: CourseDefinition): CourseImport {
  const at = new Date(0).toISOString() // nobody sees it
  const events = reviseCourse.decide(before, definition, { actor: system, now: at })
  const after = events.reduce<CourseState>(
    (state, event: CourseEvent) => ({ ...courses.evolve(state, event, at), version: state.version + 1 }),
    before,
  )
  const { id, version, lessonsVersion, slug, title, description } = after
  return {
    course: { id, version, lessonsVersion, slug, title, description },
    difference: difference(before, after),
    graph: graphOf(after),
    overdue: 0,
  }
}

function difference(before: CourseState, after: CourseState): CourseDifference {
  const found = {
    added: [] as LessonChange[],
    deactivated: [] as LessonChange[],
    reactivated: [] as LessonChange[],
    changed: [] as LessonChange[],
    moved: [] as LessonChange[],
  }
  for (const [id, lesson] of Object.entries(after.lessons).sort(([, a], [, b]) => a.position - b.position)) {
    const { slug } = lesson
    const was = before.lessons[id]
    if (!was) {
      found.added.push({ id, slug })
      continue
    }
    const fields = (Object.keys(lesson) as (keyof LessonState)[]).filter(
      (field) => !isDeepStrictEqual(lesson[field], was[field]),
    )
    if (!fields.length) continue
    const kind = fields.includes('active')
      ? lesson.active
        ? 'reactivated'
        : 'deactivated'
      : fields.length === 1 && fields[0] === 'position'
        ? 'moved'
        : 'changed'
    found[kind].push({ id, slug, fields })
  }
  const fields = (['slug', 'title', 'description'] as const).filter((field) => before[field] !== after[field])
  return {
    state: before.version === 0 ? 'created' : before.version === after.version ? 'unchanged' : 'changed',
    fields: before.version ? fields : [],
    ...found,
  }
}

function graphOf({ lessons }: CourseState): CourseGraph {
  const active = Object.values(lessons).filter(({ active }) => active)
  const counts = active.map(({ requires }) => requires.filter((id) => lessons[id]!.active).length)
  return {
    active: active.length,
    inactive: Object.keys(lessons).length - active.length,
    requirements: counts.reduce((sum, count) => sum + count, 0),
    open: counts.filter((count) => count === 0).length,
  }
}
