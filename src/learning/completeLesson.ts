import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { courseOf, enrollmentOf } from './id.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import {
  completion,
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
import { LessonProgress, shownProgress } from './lessonProgress.ts'

mutation('completeLesson', {
  verb: () => completeLesson,
  description:
    'Completes a lesson for the viewer. Completing it again is a success that changes nothing; the last lesson completes the course.',
  failed: 'Failed to update progress.',
  input: (t) => ({ lessonId: t.id({ description: 'The lesson.' }) }),
  ask: ({ lessonId }, { id }) => ({ learnerId: id, lessonId: localId('Lesson', lessonId, 'input.lessonId') }),
  payload: (t) => ({
    enrollment: t.field({
      type: Enrollment,
      description: 'The enrollment, as it was committed.',
      resolve: ({ view }) => shownEnrollment(view),
    }),
    lessonProgress: t.field({
      type: LessonProgress,
      description: 'What was done in the lesson, as it was committed.',
      resolve: ({ view, answer }) => shownProgress(view, answer.lessonProgress),
    }),
    alreadyCompleted: t.boolean({
      description: 'True: it had been completed before, and nothing was changed.',
      resolve: ({ answer }) => answer.alreadyCompleted,
    }),
    courseCompleted: t.boolean({
      description:
        'True: this request completed the course. It is so for exactly one key, and its replays, each time a course is completed.',
      resolve: ({ answer }) => answer.courseCompleted,
    }),
  }),
  errors: [LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
})

export interface CompleteLessonAnswer {
  readonly lessonProgress: LessonProgressView
  readonly alreadyCompleted: boolean
  readonly courseCompleted: boolean
}

/**
 * A lesson is completed once; completing it again changes nothing and is news to no one. The last one completes the
 * course.
 */
export const completeLesson: Verb<Learning, { learnerId: string; lessonId: string }, CompleteLessonAnswer> = {
  name: 'completeLesson',
  aggregate: enrollments,
  root: ({ learnerId, lessonId }) => enrollmentOf(learnerId, courseOf(lessonId)),
  slice: ({ lessonId }) => [lessonId],
  may: (state, _, actor) => mayTouch(state, actor),

  decide(state, { lessonId }) {
    lessonIn(state, lessonId)
    if (state.progress[lessonId]?.status === 'COMPLETED') return []
    requirementsMet(state, lessonId)

    return [{ kind: 'lessonCompleted', lessonId }, ...completion({ ...state, completed: state.completed + 1 })]
  },

  answer: (state, { lessonId }, events) => ({
    lessonProgress: progressIn(state, lessonId),
    alreadyCompleted: !events.some(({ kind }) => kind === 'lessonCompleted'),
    courseCompleted: events.some(({ kind }) => kind === 'courseCompleted'),
  }),
}
