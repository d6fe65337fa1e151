import type { Actor, Aggregate } from '../commit/aggregate.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { loadEnrollments, readEnrollments } from './enrollmentQuery.ts'
import type { EnrollmentEvent, EnrollmentState, Learning, LessonProgressView, Progress } from './enrollmentState.ts'
import { courseIn, learnerOf, lessonOf } from './id.ts'

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
    super(
      lessonIds.length === 1
        ? 'Another lesson must be completed first.'
        : `${lessonIds.length} other lessons must be completed first.`,
    )
    this.lessonIds = lessonIds
  }
}

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
  const open = lessons[lessonId]!.requires.filter(
    (required) => lessons[required]?.active && progress[required]?.status !== 'COMPLETED',
  )
  if (open.length) throw new PrerequisiteNotMet(open)
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
  read: readEnrollments,
  load: loadEnrollments,

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
    return [
      { kind: 'courseChanged', courseVersion, total, completed },
      ...completion({ ...state, courseVersion, total, completed }),
    ]
  },

  evolve(state, event, at) {
    switch (event.kind) {
      case 'enrolled':
        return { ...state, courseVersion: event.courseVersion, total: event.total, enrolledAt: at, course: null }
      case 'courseChanged':
        return {
          ...state,
          courseVersion: event.courseVersion,
          total: event.total,
          completed: event.completed,
          course: null,
        }
      case 'lessonOpened':
        return {
          ...state,
          progress: { ...state.progress, [event.lessonId]: opened(state.progress[event.lessonId], at) },
        }
      case 'contentCompleted':
        return { ...state, contents: { ...state.contents, [event.contentItemId]: at } }
      case 'lessonCompleted':
        return {
          ...state,
          completed: state.completed + 1,
          progress: {
            ...state.progress,
            [event.lessonId]: { ...opened(state.progress[event.lessonId], at), status: 'COMPLETED', completedAt: at },
          },
        }
      case 'courseCompleted':
        return {
          ...state,
          completedAt: at,
          completions: [
            ...state.completions,
            { attempt: event.attempt, courseVersion: event.courseVersion, completedAt: at },
          ],
        }
      case 'lessonReset':
        return {
          ...state,
          ...(event.counted && { completed: state.completed - 1, ...nextAttempt(state) }),
          progress: { ...state.progress, [event.lessonId]: again(state.progress[event.lessonId]!) },
          contents: Object.fromEntries(
            Object.entries(state.contents).filter(([id]) => lessonOf(id) !== event.lessonId),
          ),
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

  rows({
    id,
    version,
    learnerId,
    courseId,
    courseVersion,
    completed,
    total,
    attempt,
    enrolledAt,
    completedAt,
    progress,
    contents,
    completions,
  }) {
    return {
      Enrollment: [
        { id, version, learnerId, courseId, courseVersion, completed, total, attempt, enrolledAt, completedAt },
      ],
      LessonProgress: Object.entries(progress).map(([lessonId, { status, openedAt, completedAt, resets }]) => ({
        enrollmentId: id,
        lessonId,
        status,
        openedAt,
        completedAt,
        resets,
      })),
      ContentCompletion: Object.entries(contents).map(([contentItemId, completedAt]) => ({
        enrollmentId: id,
        contentItemId,
        completedAt,
      })),
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

const again = (before: Progress): Progress =>
  before.status === 'NOT_STARTED' ? before : { ...untouched, resets: before.resets + 1 }

const nextAttempt = ({ attempt, completedAt }: EnrollmentState) => ({
  attempt: completedAt ? attempt + 1 : attempt,
  completedAt: null,
})
