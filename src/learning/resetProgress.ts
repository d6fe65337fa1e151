import { builder } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import { mutation } from '../api/mutation.ts'
import { EVERYTHING, type Verb } from '../commit/aggregate.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { activeLesson, LessonNotFound, mayTouch, NotEnrolled, progressIn } from './enrollmentAggregate.ts'
import type { Learning, LessonProgressView } from './enrollmentState.ts'
import { courseOf, enrollmentOf } from './id.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'
import { enrollmentIn, ofEnrollment, type OwnLesson } from './ownLesson.ts'

/** One lesson of the learner's, or a whole enrollment. */
export type ResetTargetInput = OwnLesson | { readonly enrollmentId: string }

export interface ResetProgressAnswer {
  /** Of the lesson that was reset; null for a whole enrollment. */
  readonly lessonProgress: LessonProgressView | null
  /** False: there was nothing to reset. */
  readonly reset: boolean
}

/**
 * Forgets what was done in a lesson or in the whole course, so that it can be done again. History keeps what was
 * completed; a completed course stays recorded as an earlier attempt.
 */
export const resetProgress: Verb<Learning, ResetTargetInput, ResetProgressAnswer> = {
  name: 'resetProgress',
  ...ofEnrollment,
  root: (target) =>
    'lessonId' in target ? enrollmentOf(target.learnerId, courseOf(target.lessonId)) : target.enrollmentId,
  slice: (target) => ('lessonId' in target ? [`${target.lessonId}.`] : [EVERYTHING]),
  may: (state, _, actor) => mayTouch(state, actor, true),

  decide(state, target) {
    const isBegun = Object.values(state.progress).some(({ status }) => status !== 'NOT_STARTED')
    if (!('lessonId' in target))
      return isBegun || Object.keys(state.contents).length ? [{ kind: 'enrollmentReset' }] : []

    const { lessonId } = target
    const progress = state.progress[lessonId]
    if (!progress) activeLesson(state, lessonId)
    if (!progress || progress.status === 'NOT_STARTED') return []
    const counted = progress.status === 'COMPLETED' && state.lessons[lessonId]!.active
    return [{ kind: 'lessonReset', lessonId, counted }]
  },

  answer: (state, target, events) => ({
    lessonProgress: 'lessonId' in target ? progressIn(state, target.lessonId) : null,
    reset: events.some(({ kind }) => kind === 'lessonReset' || kind === 'enrollmentReset'),
  }),
}

const ResetTargetInput = builder.inputType('ResetTargetInput', {
  isOneOf: true,
  description: 'What to reset: exactly one of these.',
  fields: (t) => ({
    lessonId: t.id({ required: false, description: 'One lesson of the viewer’s.' }),
    enrollmentId: t.id({ required: false, description: 'All lessons of an enrollment of the viewer’s.' }),
  }),
})

mutation(resetProgress, {
  description:
    'Forgets the viewer’s progress in a lesson or in a whole course, so that it can be done again. Completions ' +
    'of the course stay recorded. If there is no progress, nothing changes, and the answer says so.',
  failed: 'Failed to reset progress.',
  input: (t) => ({ target: t.field({ type: ResetTargetInput, description: 'What to reset.' }) }),
  ask: ({ target: { lessonId, enrollmentId } }, { id }) =>
    lessonId != null
      ? { learnerId: id, lessonId: localId('Lesson', lessonId, 'input.target.lessonId') }
      : { enrollmentId: localId('Enrollment', enrollmentId!, 'input.target.enrollmentId') },
  payload: (t) => ({
    ...enrollmentIn(t),
    lessonProgress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'The progress in the lesson as it is now; null if the whole enrollment was reset.',
      resolve: ({ now }) => now.answer.lessonProgress && shownProgress(now.view, now.answer.lessonProgress),
    }),
    reset: t.boolean({
      description: 'False: there was no progress, and nothing changed.',
      resolve: ({ answer }) => answer.reset,
    }),
    message: t.string({
      description: 'What happened, for people.',
      resolve: ({ answer: { reset, lessonProgress } }) => {
        const where = lessonProgress ? 'this lesson' : 'this course'
        return reset ? `Your progress for ${where} has been reset.` : `No progress found for ${where}.`
      },
    }),
  }),
  errors: [LessonNotFound, NotEnrolled, CourseNotFound],
})
