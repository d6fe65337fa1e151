import { type Actor, type Aggregate, instant, type Wanted } from '../aggregate.ts'
import { join, sql } from '../database/client.ts'
import { DomainError, Forbidden } from '../errors.ts'
import { CourseNotFound, lessonOf } from './courseAggregate.ts'

/** There is a course, but the learner isn't in it. */
export class NotEnrolled extends DomainError {
  readonly courseId: string
  constructor(courseId: string) {
    super('You are not enrolled in this course. Enroll first.')
    this.courseId = courseId
  }
}

/** The course has no such lesson, or has it no longer. */
export class LessonNotFound extends DomainError {
  readonly lessonId: string
  constructor(lessonId: string) {
    super('There is no such lesson, or it is no longer part of its course.')
    this.lessonId = lessonId
  }
}

/** Other lessons must be completed first. */
export class PrerequisiteNotMet extends DomainError {
  readonly lessonIds: readonly string[]
  constructor(lessonIds: readonly string[]) {
    super(lessonIds.length === 1 ? 'Another lesson must be completed first.' : `${lessonIds.length} other lessons must be completed first.`)
    this.lessonIds = lessonIds
  }
}

/** One learner in one course. */
export interface EnrollmentState {
  /** `<learner>.<course>` */
  readonly id: string
  /** 0: not enrolled. */
  readonly version: number
  readonly learnerId: string
  readonly courseId: string
  /** The course's `lessonsVersion` that `completed` and `total` were counted at. */
  readonly courseVersion: number
  readonly completed: number
  readonly total: number
  readonly attempt: number
  readonly enrolledAt: string
  readonly completedAt: string | null
  /** The course as it is now, where that is another version than the one counted at, or nobody is enrolled yet. Null: there is none, or nothing to catch up with. */
  readonly course: CourseNow | null
  /** The lessons asked for and those that they require, as the course has them now. */
  readonly lessons: Readonly<Record<string, LessonFacts>>
  /** What the learner did, by lesson, as far as it was asked for. */
  readonly progress: Readonly<Record<string, Progress>>
  /** The content items asked for: whether the course has them now. */
  readonly items: Readonly<Record<string, { readonly active: boolean }>>
  /** When content items were completed, as far as it was asked for. */
  readonly contents: Readonly<Record<string, string>>
  /** The completions of this enrollment that this state has seen happen; earlier ones are not read. */
  readonly completions: readonly { readonly attempt: number; readonly courseVersion: number; readonly completedAt: string }[]
}

interface CourseNow {
  readonly version: number
  readonly total: number
  readonly completed: number
}
interface LessonFacts {
  readonly active: boolean
  readonly requires: readonly string[]
}
export interface Progress {
  readonly status: 'NOT_STARTED' | 'IN_PROGRESS' | 'COMPLETED'
  readonly openedAt: string | null
  readonly completedAt: string | null
  readonly resets: number
}

/** What can happen to an enrollment. */
export type EnrollmentEvent =
  | { readonly kind: 'enrolled'; readonly learnerId: string; readonly courseId: string; readonly courseVersion: number; readonly total: number }
  | { readonly kind: 'courseChanged'; readonly courseVersion: number; readonly total: number; readonly completed: number }
  | { readonly kind: 'lessonOpened'; readonly lessonId: string }
  | { readonly kind: 'contentCompleted'; readonly contentItemId: string }
  | { readonly kind: 'lessonCompleted'; readonly lessonId: string }
  | { readonly kind: 'courseCompleted'; readonly attempt: number; readonly courseVersion: number }
  | { readonly kind: 'lessonReset'; readonly lessonId: string; readonly counted: boolean }
  | { readonly kind: 'enrollmentReset' }

/** An enrollment as answers and subscribers are shown it; the event's view also bears the lesson that it touched. */
export interface EnrollmentView {
  /** `<learner>.<course>`: it says whose it is, and of what. */
  readonly id: string
  readonly version: number
  readonly courseVersion: number
  readonly completed: number
  readonly total: number
  readonly attempt: number
  readonly enrolledAt: string
  readonly completedAt: string | null
  readonly lesson?: LessonProgressView
}
export interface LessonProgressView extends Progress {
  readonly lessonId: string
}

/** The types of the learning module's aggregate. */
export interface Learning {
  readonly state: EnrollmentState
  readonly event: EnrollmentEvent
  readonly view: EnrollmentView
}

/** The slice of all that a learner did. */
export const EVERYTHING = '*'

/** A learner is enrolled in a course once, so the two of them name the enrollment. */
export const enrollmentOf = (learnerId: string, courseId: string) => `${learnerId}.${courseId}`
/** Whose enrollment it is. */
export const learnerOf = (enrollmentId: string) => enrollmentId.slice(0, enrollmentId.indexOf('.'))
/** Of which course it is. */
export const courseIn = (enrollmentId: string) => enrollmentId.slice(enrollmentId.indexOf('.') + 1)

const untouched: Progress = { status: 'NOT_STARTED', openedAt: null, completedAt: null, resets: 0 }

/** What a learner did in a lesson, as it will be committed. */
export function progressIn({ progress }: EnrollmentState, lessonId: string): LessonProgressView {
  const { status, openedAt, completedAt, resets } = progress[lessonId] ?? untouched
  return { lessonId, status, openedAt, completedAt, resets }
}

/** Only the learner touches their progress; an admin may reset it. */
export function mayTouch({ id }: { readonly id: string }, actor: Actor, alsoAdmin = false): void {
  if (actor.id === learnerOf(id) || actor.role === 'SYSTEM' || (alsoAdmin && actor.role === 'ADMIN')) return
  throw new Forbidden('This enrollment is not yours.')
}

/** Throws LessonNotFound if the course hasn't the lesson now. */
export function lessonIn({ lessons }: EnrollmentState, lessonId: string): void {
  if (!lessons[lessonId]?.active) throw new LessonNotFound(lessonId)
}

/** Throws PrerequisiteNotMet if a lesson that this one requires, and that is still in the course, isn't completed. */
export function requirementsMet({ lessons, progress }: EnrollmentState, lessonId: string): void {
  const open = lessons[lessonId]!.requires.filter((required) => lessons[required]?.active && progress[required]?.status !== 'COMPLETED')
  if (open.length) throw new PrerequisiteNotMet(open)
}

/**
 * The roots with, of each, the slice that is looked at: a lesson's id stands for the lesson, those that it requires, and what the learner did in them; a
 * content item's id for the item and its lesson; a lesson's id with a dot behind it for the lesson and all content completed in it; EVERYTHING for all that
 * the learner did. The course is counted only where it is another than the one that the enrollment was counted at. Rows of four kinds, told apart by their first field.
 * LATERAL … OFFSET 0: one look-up by the whole key for each, whatever the planner believes of how many rows there are.
 */
function read({ ids, slices }: Wanted) {
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

type Progressed = readonly [status: Progress['status'] | null, openedAt: string | null, completedAt: string | null, resets: number | null]
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

interface Filling extends EnrollmentState {
  readonly lessons: Record<string, { readonly active: boolean; readonly requires: string[] }>
  readonly progress: Record<string, Progress>
  readonly items: Record<string, { readonly active: boolean }>
  readonly contents: Record<string, string>
}

/** The rows of roots come first, as UNION ALL keeps its order; the others fill in what those have. */
function load(rows: readonly (RootRow | LessonRow | ItemRow | ContentRow)[]): EnrollmentState[] {
  const states = new Map<string, Filling>()
  for (const row of rows) {
    const state = states.get(row[1])
    if (row[0] === 0) states.set(row[1], root(row))
    else if (row[0] === 1) fillLesson(state!, row)
    else if (row[0] === 2) {
      state!.items[row[2]] = { active: row[3] }
      if (row[4]) state!.contents[row[2]] = instant(row[4])
    } else state!.contents[row[2]] = instant(row[3])
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
  if (row[4]) progress[id] ??= { status: row[4], openedAt: instant(row[5]), completedAt: instant(row[6]), resets: row[7]! }
  const required = row[8]
  if (!required) return
  lessons[id].requires.push(required)
  lessons[required] ??= { active: row[9]!, requires: [] }
  if (row[10]) progress[required] ??= { status: row[10], openedAt: instant(row[11]!), completedAt: instant(row[12]!), resets: row[13]! }
}

/** An attempt ends when every active lesson is completed; a course without any is never completed. */
export function completion({
  completed,
  total,
  completedAt,
  attempt,
  courseVersion,
}: Pick<EnrollmentState, 'completed' | 'total' | 'completedAt' | 'attempt' | 'courseVersion'>): EnrollmentEvent[] {
  return total > 0 && completed === total && !completedAt ? [{ kind: 'courseCompleted', attempt, courseVersion }] : []
}

/** Enrollments, as commit() reads, changes and writes them. */
export const enrollments: Aggregate<Learning> = {
  root: 'Enrollment',
  tables: {
    LessonProgress: ['enrollmentId', 'lessonId'],
    ContentCompletion: ['enrollmentId', 'contentItemId'],
    CourseCompletion: ['enrollmentId', 'attempt'],
  },
  alternateKeys: { Enrollment: ['learnerId', 'courseId'] },
  read,
  load,

  blank: (id) => ({
    ...{
      id,
      version: 0,
      learnerId: learnerOf(id),
      courseId: courseIn(id),
      courseVersion: 0,
      completed: 0,
      total: 0,
      attempt: 1,
      enrolledAt: '',
      completedAt: null,
    },
    ...{ course: null, lessons: {}, progress: {}, items: {}, contents: {}, completions: [] },
  }),

  missing: ({ course, courseId }) => (course ? new NotEnrolled(courseId) : new CourseNotFound(courseId)),

  overdue(state) {
    const { course, version } = state
    if (!course || !version) return []
    const { version: courseVersion, total, completed } = course
    return [{ kind: 'courseChanged', courseVersion, total, completed }, ...completion({ ...state, courseVersion, total, completed })]
  },

  evolve(state, event, at) {
    switch (event.kind) {
      case 'enrolled':
        return { ...state, courseVersion: event.courseVersion, total: event.total, enrolledAt: at, course: null }
      case 'courseChanged':
        return { ...state, courseVersion: event.courseVersion, total: event.total, completed: event.completed, course: null }
      case 'lessonOpened':
        return { ...state, progress: { ...state.progress, [event.lessonId]: opened(state.progress[event.lessonId], at) } }
      case 'contentCompleted':
        return { ...state, contents: { ...state.contents, [event.contentItemId]: at } }
      case 'lessonCompleted':
        return {
          ...state,
          completed: state.completed + 1,
          progress: { ...state.progress, [event.lessonId]: { ...opened(state.progress[event.lessonId], at), status: 'COMPLETED', completedAt: at } },
        }
      case 'courseCompleted':
        return {
          ...state,
          completedAt: at,
          completions: [...state.completions, { attempt: event.attempt, courseVersion: event.courseVersion, completedAt: at }],
        }
      case 'lessonReset':
        return {
          ...state,
          ...(event.counted && { completed: state.completed - 1, ...nextAttempt(state) }),
          progress: { ...state.progress, [event.lessonId]: again(state.progress[event.lessonId]!) },
          contents: Object.fromEntries(Object.entries(state.contents).filter(([id]) => lessonOf(id) !== event.lessonId)),
        }
      case 'enrollmentReset':
        return {
          ...state,
          completed: 0,
          ...nextAttempt(state),
          progress: Object.fromEntries(Object.entries(state.progress).map(([id, before]) => [id, again(before)])),
          contents: {},
        }
    }
  },

  rows({ id, version, learnerId, courseId, courseVersion, completed, total, attempt, enrolledAt, completedAt, progress, contents, completions }) {
    return {
      Enrollment: [{ id, version, learnerId, courseId, courseVersion, completed, total, attempt, enrolledAt, completedAt }],
      LessonProgress: Object.entries(progress).map(([lessonId, { status, openedAt, completedAt, resets }]) => ({
        enrollmentId: id,
        lessonId,
        status,
        openedAt,
        completedAt,
        resets,
      })),
      ContentCompletion: Object.entries(contents).map(([contentItemId, completedAt]) => ({ enrollmentId: id, contentItemId, completedAt })),
      CourseCompletion: completions.map((completion) => ({ enrollmentId: id, ...completion })),
    }
  },

  view(state, event) {
    const { id, version, courseVersion, completed, total, attempt, enrolledAt, completedAt } = state
    const view = { id, version, courseVersion, completed, total, attempt, enrolledAt, completedAt }
    const lessonId = !event
      ? undefined
      : 'lessonId' in event
        ? event.lessonId
        : event.kind === 'contentCompleted'
          ? lessonOf(event.contentItemId)
          : undefined
    return lessonId ? { ...view, lesson: progressIn(state, lessonId) } : view
  },

  topic: ({ courseId }) => `Course:${courseId}`,
}

const opened = (before: Progress | undefined, at: string): Progress =>
  before && before.status !== 'NOT_STARTED' ? before : { ...untouched, ...before, status: 'IN_PROGRESS', openedAt: at }

const again = (before: Progress): Progress => (before.status === 'NOT_STARTED' ? before : { ...untouched, resets: before.resets + 1 })

const nextAttempt = ({ attempt, completedAt }: EnrollmentState) => ({ attempt: completedAt ? attempt + 1 : attempt, completedAt: null })
