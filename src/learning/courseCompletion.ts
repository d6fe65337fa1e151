import { builder } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { Enrollment } from './enrollment.ts'
import { visibleTo } from './visibility.ts'

/** The record of a completion. Its id is that of the enrollment, with the number of the attempt. */
export const CourseCompletion = builder.prismaNode('CourseCompletion', {
  description: 'The record that a learner completed a course. It is never removed, whatever is reset or added later.',
  nullable: true,
  id: { resolve: ({ enrollmentId, attempt }) => `${enrollmentId}~${attempt}` },
  findUnique: (id, { viewer }) => {
    const [, enrollmentId = '', attempt = 0] = /^(.+)~(\d{1,9})$/.exec(id) ?? []
    return { enrollmentId_attempt: { enrollmentId, attempt: Number(attempt) }, enrollment: visibleTo(viewer) }
  },
  fields: (t) => ({
    attempt: t.exposeInt('attempt', { description: 'The number of the attempt, from 1.' }),
    completedAt: t.expose('completedAt', { type: 'DateTime', description: 'When the attempt completed the course.' }),
    lessonsVersion: t.exposeInt('lessonsVersion', {
      description: 'The version of the course’s lessons that were completed: `Course.lessonsVersion` at that time.',
    }),
  }),
})

builder.prismaObjectField(Enrollment, 'completions', (t) =>
  t.relatedConnection(
    'completions',
    {
      cursor: 'enrollmentId_attempt',
      extensions: { cursor: 'SN' },
      nullable: true,
      totalCount: true,
      description: 'The completions of the course, at most one for each attempt.',
      query: { orderBy: { attempt: 'asc' } },
    },
    connectionOf(CourseCompletion, 'CourseCompletion'),
  ),
)
