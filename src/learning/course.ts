import { builder } from '../api/builder.ts'
import { showError } from '../api/domainError.ts'
import type { User as UserRow } from '../generated/prisma/client.ts'
import { User } from '../identity/user.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { teaches } from './teaching.ts'

/** A course. Everybody who has signed in may see it; its learners, only those who teach it. */
export const Course = builder.prismaNode('Course', {
  description: 'A course: lessons in an order, and what unlocks what.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The number of its changes, from 1.' }),
    slug: t.exposeString('slug', { description: 'The URL slug, unique among courses.' }),
    title: t.exposeString('title', { description: 'The title, for people.' }),
    description: t.exposeString('description', { description: 'What the course teaches, in a sentence or two.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the course was created.' }),
    lessons: t.relatedConnection('lessons', {
      cursor: 'id',
      totalCount: true,
      description: 'The lessons of the course, in order.',
      args: {
        includeInactive: t.arg.boolean({
          required: false,
          description: 'Include lessons that are no longer part of the course.',
        }),
      },
      query: ({ includeInactive }) => ({
        where: includeInactive ? {} : { active: true },
        orderBy: [{ position: 'asc' }, { id: 'asc' }],
      }),
    }),
    instructors: t.field({
      type: [User],
      description: 'The users who teach the course.',
      // Pothos can't type a nested selection that is computed
      select: (_, __, nested) =>
        ({ instructors: { select: { user: nested(true) }, orderBy: { userId: 'asc' } } }) as never,
      resolve: (course) =>
        (course as unknown as { instructors: { user: UserRow }[] }).instructors.map(({ user }) => user),
    }),
    enrollments: t.relatedConnection('enrollments', {
      cursor: 'id',
      totalCount: true,
      nullable: true,
      description: 'The enrollments in the course. For its instructors and admins.',
      authScopes: ({ id }, _, context) => ({ $any: { admin: true, when: () => teaches(context, id) } }),
      query: { orderBy: { id: 'asc' } },
    }),
  }),
})

builder.queryField('course', (t) =>
  t.prismaField({
    type: Course,
    nullable: true,
    description: 'A course by its slug; null if there is none.',
    args: { slug: t.arg.string({ description: 'A `Course.slug`.' }) },
    resolve: (query, _, { slug }, { db }) => db.course.findFirst({ ...query, where: { slug } }),
  }),
)

builder.queryField('courses', (t) =>
  t.prismaConnection({
    type: Course,
    cursor: 'slug',
    description: 'All courses, ordered by slug.',
    totalCount: (_, __, { db }) => db.course.count(),
    resolve: (query, _, __, { db }) => db.course.findMany({ ...query, orderBy: { slug: 'asc' } }),
  }),
)

showError(CourseNotFound, 'The course does not exist.', (t) => ({
  courseId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ courseId }) => ({ type: 'Course', id: courseId }),
  }),
}))
