import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { Busy, OperationFailed, Unavailable } from '../commit/errors.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { courseOf, enrollmentOf } from './id.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import {
  enrollments,
  LessonNotFound,
  lessonIn,
  mayTouch,
  NotEnrolled,
  PrerequisiteNotMet,
  progressIn,
  requirementsMet,
} from './enrollmentAggregate.ts'
import type { Learning, LessonProgressView } from './enrollmentState.ts'
import { Lesson } from './lesson.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'

mutation('openLesson', {
  verb: () => openLesson,
  description:
    'Begins a lesson for the viewer and shows it. Opening it again changes nothing. If that it was opened cannot be recorded just now, the lesson is shown all the same.',
  failed: 'Failed to record that the lesson was opened.',
  input: (t) => ({ lessonId: t.id({ description: 'The lesson.' }) }),
  ask: ({ lessonId }, { id }) => ({ learnerId: id, lessonId: localId('Lesson', lessonId, 'input.lessonId') }),
  payload: (t) => ({
    lesson: t.prismaField({
      type: Lesson,
      nullable: true,
      description: 'The lesson, to be shown; null only if it cannot be read either.',
      resolve: (query, { answer }, _, { db }) => db.lesson.findUnique({ ...query, where: { id: answer.lessonId } }),
    }),
    tracked: t.boolean({
      description: 'False: that it was opened could not be recorded. Nothing is lost; opening it again records it.',
      resolve: ({ answer }) => answer.lessonProgress !== null,
    }),
    enrollment: t.field({
      type: Enrollment,
      nullable: true,
      description: 'The enrollment, as it was committed; null if it could not be.',
      resolve: ({ view, answer }) => answer.lessonProgress && shownEnrollment(view),
    }),
    lessonProgress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'What was done in the lesson, as it was committed; null if it could not be.',
      resolve: ({ view, answer }) => answer.lessonProgress && shownProgress(view, answer.lessonProgress),
    }),
  }),
  errors: [LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
  degrade: ({ lessonId }, error) =>
    error instanceof Busy || error instanceof Unavailable || error instanceof OperationFailed
      ? {
          view: enrollments.view(enrollments.blank('')),
          answer: { lessonId, lessonProgress: null },
          version: 0,
          changed: false,
          replayed: false,
        }
      : undefined,
})

export interface OpenLessonAnswer {
  readonly lessonId: string
  /** Null where it could not be recorded. */
  readonly lessonProgress: LessonProgressView | null
}

/** Opening a lesson begins it; opening it again changes nothing. */
export const openLesson: Verb<Learning, { learnerId: string; lessonId: string }, OpenLessonAnswer> = {
  name: 'openLesson',
  aggregate: enrollments,
  root: ({ learnerId, lessonId }) => enrollmentOf(learnerId, courseOf(lessonId)),
  slice: ({ lessonId }) => [lessonId],
  may: (state, _, actor) => mayTouch(state, actor),

  decide(state, { lessonId }) {
    lessonIn(state, lessonId)
    if ((state.progress[lessonId]?.status ?? 'NOT_STARTED') !== 'NOT_STARTED') return []
    requirementsMet(state, lessonId)
    return [{ kind: 'lessonOpened', lessonId }]
  },

  answer: (state, { lessonId }) => ({ lessonId, lessonProgress: progressIn(state, lessonId) }),
}
