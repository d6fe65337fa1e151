import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { CourseNotFound } from './courseAggregate.ts'
import {
  activeLesson,
  completion,
  LessonNotFound,
  NotEnrolled,
  PrerequisiteNotMet,
  progressIn,
  requirementsMet,
} from './enrollmentAggregate.ts'
import type { Learning, LessonProgressView } from './enrollmentState.ts'
import { lessonIn, lessonInput, ofLesson, type OwnLesson } from './ownLesson.ts'

export interface CompleteLessonAnswer {
  readonly lessonProgress: LessonProgressView
  readonly alreadyCompleted: boolean
  readonly courseCompleted: boolean
}

/**
 * Completes a lesson. Completing it again changes nothing and appends nothing. The last lesson completes the course.
 */
export const completeLesson: Verb<Learning, OwnLesson, CompleteLessonAnswer> = {
  name: 'completeLesson',
  ...ofLesson,

  decide(state, { lessonId }) {
    activeLesson(state, lessonId)
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

mutation(completeLesson, {
  description:
    'Completes a lesson for the viewer. The last lesson completes the course. If the lesson is completed ' +
    'already, nothing changes.',
  failed: 'Failed to update progress.',
  ...lessonInput,
  payload: (t) => ({
    ...lessonIn(t),
    alreadyCompleted: t.boolean({
      description: 'True: the lesson was completed before, and nothing changed.',
      resolve: ({ answer }) => answer.alreadyCompleted,
    }),
    courseCompleted: t.boolean({
      description:
        'True: this request completed the course. Each time a course is completed, it is true for one request ' +
        'and the replays of its key.',
      resolve: ({ answer }) => answer.courseCompleted,
    }),
  }),
  errors: [LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
})
