import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { DomainError } from '../commit/errors.ts'
import { mutation, showError } from '../api/mutation.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { courseOf, enrollmentOf, lessonOf } from './id.ts'
import { ContentItem } from './contentItem.ts'
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
import { LessonProgress, shownProgress } from './lessonProgress.ts'

/** The lesson has no such content, or has it no longer. */
export class ContentNotFound extends DomainError {
  readonly contentItemId: string
  constructor(contentItemId: string) {
    super('There is no such content, or it is no longer part of its lesson.')
    this.contentItemId = contentItemId
  }
}

showError(ContentNotFound, 'There is no such content, or it is no longer part of its lesson.', (t) => ({
  contentItemId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ contentItemId }) => ({ type: 'ContentItem', id: contentItemId }),
  }),
}))

mutation('completeContent', {
  verb: () => completeContent,
  description:
    'Completes a piece of a lesson for the viewer, and begins the lesson if it was not begun. Completing it again is a success that changes nothing.',
  failed: 'Failed to update progress.',
  input: (t) => ({ contentItemId: t.id({ description: 'The piece of content.' }) }),
  ask: ({ contentItemId }, { id }) => ({
    learnerId: id,
    contentItemId: localId('ContentItem', contentItemId, 'input.contentItemId'),
  }),
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
    contentItem: t.prismaField({
      type: ContentItem,
      nullable: true,
      description: 'The piece of content.',
      resolve: (query, { answer }, _, { db }) =>
        db.contentItem.findUnique({ ...query, where: { id: answer.contentItemId } }),
    }),
    completedAt: t.field({
      type: 'DateTime',
      description: 'When it was completed first.',
      resolve: ({ answer }) => answer.completedAt,
    }),
    alreadyCompleted: t.boolean({
      description: 'True: it had been completed before, and nothing was changed.',
      resolve: ({ answer }) => answer.alreadyCompleted,
    }),
  }),
  errors: [ContentNotFound, LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
})

export interface CompleteContentAnswer {
  readonly contentItemId: string
  readonly lessonProgress: LessonProgressView
  /** When the learner completed it, first. */
  readonly completedAt: string
  readonly alreadyCompleted: boolean
}

/** A piece of content is completed once; doing so begins its lesson, and doing it again changes nothing. */
export const completeContent: Verb<Learning, { learnerId: string; contentItemId: string }, CompleteContentAnswer> = {
  name: 'completeContent',
  aggregate: enrollments,
  root: ({ learnerId, contentItemId }) => enrollmentOf(learnerId, courseOf(contentItemId)),
  slice: ({ contentItemId }) => [contentItemId],
  may: (state, _, actor) => mayTouch(state, actor),

  decide(state, { contentItemId }) {
    const lessonId = lessonOf(contentItemId)
    if (!state.items[contentItemId]?.active) throw new ContentNotFound(contentItemId)
    lessonIn(state, lessonId)
    if (state.contents[contentItemId]) return []
    requirementsMet(state, lessonId)

    const begun = (state.progress[lessonId]?.status ?? 'NOT_STARTED') !== 'NOT_STARTED'
    return [
      ...(begun ? [] : [{ kind: 'lessonOpened', lessonId } as const]),
      { kind: 'contentCompleted', contentItemId },
    ]
  },

  answer: (state, { contentItemId }, events) => ({
    contentItemId,
    lessonProgress: progressIn(state, lessonOf(contentItemId)),
    completedAt: state.contents[contentItemId]!,
    alreadyCompleted: !events.some(({ kind }) => kind === 'contentCompleted'),
  }),
}
