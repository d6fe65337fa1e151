import { committedField } from '../api/history.ts'
import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { Busy, OperationFailed, Unavailable } from '../commit/errors.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import {
  activeLesson,
  enrollments,
  LessonNotFound,
  NotEnrolled,
  PrerequisiteNotMet,
  progressIn,
  requirementsMet,
} from './enrollmentAggregate.ts'
import { EnrollmentVersion } from './enrollmentHistory.ts'
import type { Learning, LessonProgressView } from './enrollmentState.ts'
import { Lesson } from './lesson.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'
import { lessonInput, ofLesson, type OwnLesson } from './ownLesson.ts'

export interface OpenLessonAnswer {
  readonly lessonId: string
  /** Null where it could not be recorded. */
  readonly lessonProgress: LessonProgressView | null
}

/** Opens a lesson. Opening it again changes nothing. */
export const openLesson: Verb<Learning, OwnLesson, OpenLessonAnswer> = {
  name: 'openLesson',
  ...ofLesson,

  decide(state, { lessonId }) {
    activeLesson(state, lessonId)
    if (progressIn(state, lessonId).status !== 'NOT_STARTED') return []
    requirementsMet(state, lessonId)
    return [{ kind: 'lessonOpened', lessonId }]
  },

  answer: (state, { lessonId }) => ({ lessonId, lessonProgress: progressIn(state, lessonId) }),
}

/** What is answered where opening the lesson could not be recorded. */
function untracked(lessonId: string) {
  const nothing = { view: enrollments.view(enrollments.blank('')), answer: { lessonId, lessonProgress: null } }
  return { ...nothing, now: nothing, version: 0, changed: false, replayed: false }
}

mutation(openLesson, {
  description:
    'Opens a lesson for the viewer and returns it. If it is open already, nothing changes. If opening it cannot ' +
    'be recorded at the moment, the lesson is returned all the same.',
  failed: 'Failed to record that the lesson was opened.',
  ...lessonInput,
  payload: (t) => ({
    lesson: t.prismaField({
      type: Lesson,
      nullable: true,
      description: 'The lesson. Null only if it cannot be read either.',
      resolve: (query, { answer }, _, { db }) => db.lesson.findUnique({ ...query, where: { id: answer.lessonId } }),
    }),
    tracked: t.boolean({
      description: 'False: opening the lesson could not be recorded. Nothing is lost; opening it again records it.',
      resolve: ({ answer }) => answer.lessonProgress !== null,
    }),
    enrollment: t.field({
      type: Enrollment,
      nullable: true,
      description: 'The enrollment as it is now; null if `tracked` is false.',
      resolve: ({ now }) => now.answer.lessonProgress && shownEnrollment(now.view),
    }),
    ...committedField(t, enrollments, EnrollmentVersion),
    lessonProgress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'The learner’s progress in the lesson as it is now; null if `tracked` is false.',
      resolve: ({ now }) => now.answer.lessonProgress && shownProgress(now.view, now.answer.lessonProgress),
    }),
  }),
  errors: [LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
  degrade: ({ lessonId }, error) =>
    [Busy, Unavailable, OperationFailed].some((kind) => error instanceof kind) ? untracked(lessonId) : undefined,
})
