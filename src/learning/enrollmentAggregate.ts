import type { Actor, Aggregate } from '../commit/aggregate.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { loadEnrollments, nothingBelow, readEnrollments } from './enrollmentQuery.ts'
import {
  enrollmentColumns,
  type EnrollmentEvent,
  type EnrollmentState,
  type Learning,
  type LessonProgressView,
  type Progress,
  progressColumns,
} from './enrollmentState.ts'
import { courseIn, learnerOf, lessonOf } from './id.ts'

/** The learner is not enrolled in the course. */
export class NotEnrolled extends DomainError {
  readonly courseId: string
  constructor(courseId: string) {
    super('You are not enrolled in this course. Enroll first.')
    this.courseId = courseId
  }
}

/** The lesson does not exist, or is no longer part of its course. */
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
    super(
      lessonIds.length === 1
        ? 'Another lesson must be completed first.'
        : `${lessonIds.length} other lessons must be completed first.`,
    )
    this.lessonIds = lessonIds
  }
}

/** What a learner did in a lesson, as it will be committed. */
export function progressIn({ progress }: EnrollmentState, lessonId: string): LessonProgressView {
  return { lessonId, ...(progress[lessonId] ?? progressColumns.blank) }
}

/** Only the learner changes their progress; an admin may reset it. */
export function mayTouch({ id }: { readonly id: string }, actor: Actor, alsoAdmin = false): void {
  if (actor.id === learnerOf(id) || actor.role === 'SYSTEM' || (alsoAdmin && actor.role === 'ADMIN')) return
  throw new Forbidden('This enrollment is not yours.')
}

/** Throws LessonNotFound if the lesson is not an active one of the course. */
export function activeLesson({ lessons }: EnrollmentState, lessonId: string): void {
  if (!lessons[lessonId]?.active) throw new LessonNotFound(lessonId)
}

/** Throws PrerequisiteNotMet if an active lesson that this one requires is not completed. */
export function requirementsMet({ lessons, progress }: EnrollmentState, lessonId: string): void {
  const open = lessons[lessonId]!.requires.filter(
    (required) => lessons[required]?.active && progress[required]?.status !== 'COMPLETED',
  )
  if (open.length) throw new PrerequisiteNotMet(open)
}

/** An attempt ends when every active lesson is completed. A course without active lessons is never completed. */
export function completion(
  state: Pick<EnrollmentState, 'completed' | 'total' | 'completedAt' | 'attempt' | 'lessonsVersion'>,
): EnrollmentEvent[] {
  const { completed, total, completedAt, attempt, lessonsVersion } = state
  return total > 0 && completed === total && !completedAt ? [{ kind: 'courseCompleted', attempt, lessonsVersion }] : []
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
  read: readEnrollments,
  load: loadEnrollments,
  blank: (id) => ({ id, version: 0, ...enrollmentColumns.blank, ...nothingBelow() }),

  missing: ({ id, course }) => (course ? new NotEnrolled(courseIn(id)) : new CourseNotFound(courseIn(id))),

  overdue(state) {
    const { course, version } = state
    if (!course || !version) return []
    const { lessonsVersion, total, completed } = course
    return [
      { kind: 'courseChanged', lessonsVersion, total, completed },
      ...completion({ ...state, lessonsVersion, total, completed }),
    ]
  },

  evolve(before, event, at) {
    const state = isAct(event) ? { ...before, lastActivityAt: at } : before
    switch (event.kind) {
      case 'enrolled':
        return { ...state, lessonsVersion: event.lessonsVersion, total: event.total, enrolledAt: at, course: null }
      case 'courseChanged': {
        const { lessonsVersion, total, completed } = event
        return { ...state, lessonsVersion, total, completed, course: null }
      }
      case 'lessonOpened':
        return withProgress(state, event.lessonId, opened(state.progress[event.lessonId], at))
      case 'contentCompleted':
        return { ...state, contents: { ...state.contents, [event.contentItemId]: at } }
      case 'lessonCompleted': {
        const begun = opened(state.progress[event.lessonId], at)
        const after = withProgress(state, event.lessonId, { ...begun, status: 'COMPLETED', completedAt: at })
        return { ...after, completed: state.completed + 1 }
      }
      case 'courseCompleted': {
        const { attempt, lessonsVersion } = event
        const completions = [...state.completions, { attempt, lessonsVersion, completedAt: at }]
        return { ...state, completedAt: at, completions }
      }
      case 'lessonReset':
        return withoutLesson(state, event)
      case 'enrollmentReset': {
        const progress = Object.entries(state.progress).map(([id, lesson]) => [id, again(lesson)])
        return { ...state, ...nextAttempt(state), completed: 0, progress: Object.fromEntries(progress), contents: {} }
      }
    }
  },

  rows(state) {
    const below = { enrollmentId: state.id }
    return {
      Enrollment: [enrollmentColumns.row(state)],
      LessonProgress: Object.entries(state.progress).map(([lessonId, progress]) => ({
        ...below,
        ...{ lessonId, ...progressColumns.of(progress) },
      })),
      ContentCompletion: Object.entries(state.contents).map(([contentItemId, completedAt]) => ({
        ...below,
        ...{ contentItemId, completedAt },
      })),
      CourseCompletion: state.completions.map((completion) => ({ ...below, ...completion })),
    }
  },

  view(state, event) {
    const view = { id: state.id, version: state.version, ...enrollmentColumns.of(state) }
    const lessonId = event && lessonOfEvent(event)
    return lessonId ? { ...view, lesson: progressIn(state, lessonId) } : view
  },

  topic: ({ id }) => `Course:${courseIn(id)}`,
}

/** Whether an event is something that the learner did, and does not just follow from another change. */
const isAct = ({ kind }: EnrollmentEvent) => kind !== 'courseChanged' && kind !== 'courseCompleted'

/** The lesson that an event is about, if it is about one. */
function lessonOfEvent(event: EnrollmentEvent): string | undefined {
  if ('lessonId' in event) return event.lessonId
  return event.kind === 'contentCompleted' ? lessonOf(event.contentItemId) : undefined
}

const withProgress = (state: EnrollmentState, lessonId: string, progress: Progress): EnrollmentState => ({
  ...state,
  progress: { ...state.progress, [lessonId]: progress },
})

/** The state after a lesson was reset. `counted`: it counted as completed. */
function withoutLesson(
  state: EnrollmentState,
  { lessonId, counted }: { readonly lessonId: string; readonly counted: boolean },
): EnrollmentState {
  const others = Object.entries(state.contents).filter(([id]) => lessonOf(id) !== lessonId)
  const reset = withProgress(state, lessonId, again(state.progress[lessonId]!))
  const counters = counted && { completed: state.completed - 1, ...nextAttempt(state) }
  return { ...reset, ...counters, contents: Object.fromEntries(others) }
}

const opened = (before: Progress | undefined, at: string): Progress =>
  before && before.status !== 'NOT_STARTED'
    ? before
    : { ...progressColumns.blank, ...before, status: 'IN_PROGRESS', openedAt: at }

const again = (before: Progress): Progress =>
  before.status === 'NOT_STARTED' ? before : { ...progressColumns.blank, resets: before.resets + 1 }

const nextAttempt = ({ attempt, completedAt }: EnrollmentState) => ({
  attempt: completedAt ? attempt + 1 : attempt,
  completedAt: null,
})
