import { builder, unlessShown } from '../api/builder.ts'
import type { LessonProgress as LessonProgressRow } from '../generated/prisma/client.ts'
import { LessonStatus } from '../generated/prisma/enums.ts'
import type { EnrollmentView, LessonProgressView } from './enrollmentState.ts'
import { courseIn, learnerOf } from './id.ts'
import { teaches } from './teaching.ts'
import { visibleTo } from './visibility.ts'

const Status = builder.enumType('LessonStatus', {
  description: 'How far a learner is in a lesson.',
  values: {
    [LessonStatus.NOT_STARTED]: { description: 'Never opened, or reset.' },
    [LessonStatus.IN_PROGRESS]: { description: 'Opened, and not completed.' },
    [LessonStatus.COMPLETED]: { description: 'Completed.' },
  },
})

/** What a learner did in a lesson. */
export const LessonProgress = builder.prismaNode('LessonProgress', {
  description: 'What a learner did in a lesson.',
  nullable: true,
  id: { resolve: ({ enrollmentId, lessonId }) => `${enrollmentId}~${lessonId}` },
  findUnique: (id, { viewer }) => {
    const [enrollmentId = '', lessonId = ''] = id.split('~')
    return { enrollmentId_lessonId: { enrollmentId, lessonId }, enrollment: visibleTo(viewer) }
  },
  authScopes: ({ enrollmentId }, context) =>
    unlessShown({ self: learnerOf(enrollmentId), admin: true, when: () => teaches(context, courseIn(enrollmentId)) }),
  fields: (t) => ({
    status: t.expose('status', { type: Status, description: 'How far the learner is.' }),
    openedAt: t.expose('openedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was begun; null if it was not, or was reset since.',
    }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was completed; null if it was not, or was reset since.',
    }),
    resets: t.exposeInt('resets', { description: 'How often it was begun again.' }),
    lesson: t.relation('lesson', { nullable: true, description: 'The lesson.' }),
    enrollment: t.relation('enrollment', { nullable: true, description: 'The enrollment that this is part of.' }),
  }),
})

/** Progress as it was committed, as the API shows it. */
export const shownProgress = (
  enrollment: EnrollmentView,
  { openedAt, completedAt, ...view }: LessonProgressView,
): LessonProgressRow => ({
  ...view,
  enrollmentId: enrollment.id,
  openedAt: openedAt ? new Date(openedAt) : null,
  completedAt: completedAt ? new Date(completedAt) : null,
})
