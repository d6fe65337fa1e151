import { localId } from '../api/globalId.ts'
import { showError } from '../api/domainError.ts'
import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { DomainError } from '../commit/errors.ts'
import { ContentItem } from './contentItem.ts'
import { CourseNotFound } from './courseAggregate.ts'
import {
  activeLesson,
  LessonNotFound,
  NotEnrolled,
  PrerequisiteNotMet,
  progressIn,
  requirementsMet,
} from './enrollmentAggregate.ts'
import type { Learning, LessonProgressView } from './enrollmentState.ts'
import { courseOf, enrollmentOf, lessonOf } from './id.ts'
import { lessonIn, ofEnrollment } from './ownLesson.ts'

/** The content item does not exist, or is no longer part of its lesson. */
export class ContentNotFound extends DomainError {
  readonly contentItemId: string
  constructor(contentItemId: string) {
    super('There is no such content, or it is no longer part of its lesson.')
    this.contentItemId = contentItemId
  }
}

export interface CompleteContentAnswer {
  readonly contentItemId: string
  readonly lessonProgress: LessonProgressView
  /** When the learner first completed it. */
  readonly completedAt: string
  readonly alreadyCompleted: boolean
}

/** Completes a content item and opens its lesson if needed. Completing it again changes nothing. */
export const completeContent: Verb<Learning, { learnerId: string; contentItemId: string }, CompleteContentAnswer> = {
  name: 'completeContent',
  ...ofEnrollment,
  root: ({ learnerId, contentItemId }) => enrollmentOf(learnerId, courseOf(contentItemId)),
  slice: ({ contentItemId }) => [contentItemId],

  decide(state, { contentItemId }) {
    const lessonId = lessonOf(contentItemId)
    if (!state.items[contentItemId]?.active) throw new ContentNotFound(contentItemId)
    activeLesson(state, lessonId)
    if (state.contents[contentItemId]) return []
    requirementsMet(state, lessonId)

    const completed = { kind: 'contentCompleted', contentItemId } as const
    return progressIn(state, lessonId).status === 'NOT_STARTED'
      ? [{ kind: 'lessonOpened', lessonId }, completed]
      : [completed]
  },

  answer: (state, { contentItemId }, events) => ({
    contentItemId,
    lessonProgress: progressIn(state, lessonOf(contentItemId)),
    completedAt: state.contents[contentItemId]!,
    alreadyCompleted: !events.some(({ kind }) => kind === 'contentCompleted'),
  }),
}

mutation(completeContent, {
  description:
    'Completes a content item of a lesson for the viewer, and opens the lesson if needed. If the item is ' +
    'completed already, nothing changes.',
  failed: 'Failed to update progress.',
  input: (t) => ({ contentItemId: t.id({ description: 'The content item.' }) }),
  ask: ({ contentItemId }, { id }) => ({
    learnerId: id,
    contentItemId: localId('ContentItem', contentItemId, 'input.contentItemId'),
  }),
  payload: (t) => ({
    ...lessonIn(t),
    contentItem: t.prismaField({
      type: ContentItem,
      nullable: true,
      description: 'The content item.',
      resolve: (query, { answer }, _, { db }) =>
        db.contentItem.findUnique({ ...query, where: { id: answer.contentItemId } }),
    }),
    completedAt: t.field({
      type: 'DateTime',
      description: 'The time of the first completion.',
      resolve: ({ answer }) => answer.completedAt,
    }),
    alreadyCompleted: t.boolean({
      description: 'True: the item was completed before, and nothing changed.',
      resolve: ({ answer }) => answer.alreadyCompleted,
    }),
  }),
  errors: [ContentNotFound, LessonNotFound, NotEnrolled, CourseNotFound, PrerequisiteNotMet],
})

showError(ContentNotFound, 'The content item does not exist, or is no longer part of its lesson.', (t) => ({
  contentItemId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ contentItemId }) => ({ type: 'ContentItem', id: contentItemId }),
  }),
}))
