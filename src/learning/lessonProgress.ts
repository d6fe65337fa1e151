import { builder, unlessShown } from '../api/builder.ts'
import type { LessonProgress as LessonProgressRow } from '../generated/prisma/client.ts'
import { LessonStatus } from '../generated/prisma/enums.ts'
import type { EnrollmentView, LessonProgressView } from './enrollmentState.ts'
import { courseIn, learnerOf } from './id.ts'
import { teaches } from './teaching.ts'
import { visibleTo } from './visibility.ts'

/** The state of a learner's progress in a lesson. */
export const Status = builder.enumType('LessonStatus', {
  description: 'The states of a learner’s progress in a lesson.',
  values: {
    [LessonStatus.NOT_STARTED]: { description: 'Never opened, or reset.' },
    [LessonStatus.IN_PROGRESS]: { description: 'Opened, but not completed.' },
    [LessonStatus.COMPLETED]: { description: 'Completed.' },
  },
})

/** A learner's progress in a lesson. */
export const LessonProgress = builder.prismaNode('LessonProgress', {
  description: 'A learner’s progress in one lesson.',
  nullable: true,
  id: { resolve: ({ enrollmentId, lessonId }) => `${enrollmentId}~${lessonId}` },
  findUnique: (id, { viewer }) => {
    const [enrollmentId = '', lessonId = ''] = id.split('~')
    return { enrollmentId_lessonId: { enrollmentId, lessonId }, enrollment: visibleTo(viewer) }
  },
  authScopes: ({ enrollmentId }, context) =>
    unlessShown({ self: learnerOf(enrollmentId), admin: true, when: () => teaches(context, courseIn(enrollmentId)) }),
  fields: (t) => ({
    status: t.expose('status', { type: Status, description: 'The state of the progress.' }),
    openedAt: t.expose('openedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the lesson was opened; null if it was not, or was reset since.',
    }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the lesson was completed; null if it was not, or was reset since.',
    }),
    resets: t.exposeInt('resets', { description: 'How often the progress was reset.' }),
    lesson: t.relation('lesson', { nullable: true, description: 'The lesson.' }),
    enrollment: t.relation('enrollment', {
      nullable: true,
      description: 'The enrollment to which the progress belongs.',
    }),
  }),
})

/** Progress as committed, for the API. */
export const shownProgress = (enrollment: EnrollmentView, progress: LessonProgressView): LessonProgressRow => ({
  ...progress,
  enrollmentId: enrollment.id,
  openedAt: progress.openedAt ? new Date(progress.openedAt) : null,
  completedAt: progress.completedAt ? new Date(progress.completedAt) : null,
})
