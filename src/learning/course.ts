import { builder } from '../api/builder.ts'
import { showError } from '../api/mutation.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { teaches } from './teaching.ts'

/** A course, as everybody who has signed in may see it; its learners, only those who teach it. */
export const Course = builder.prismaNode('Course', {
  description: 'A course.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'Counts its changes, from 1.' }),
    slug: t.exposeString('slug', { description: 'Its name in addresses; no two courses have the same.' }),
    title: t.exposeString('title', { description: 'What it is called.' }),
    description: t.exposeString('description', { description: 'What it is about.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first there.' }),
    lessons: t.relatedConnection('lessons', {
      cursor: 'id',
      totalCount: true,
      description: 'Its lessons, in their order.',
      args: {
        includeInactive: t.arg.boolean({ required: false, description: 'Also those that are no longer part of it.' }),
      },
      query: ({ includeInactive }) => ({
        where: includeInactive ? {} : { active: true },
        orderBy: [{ position: 'asc' }, { id: 'asc' }],
      }),
    }),
    instructors: t.field({
      type: ['User' as never],
      description: 'Who teaches it.',
      select: (_, __, nested) =>
        ({ instructors: { select: { user: nested(true) as never }, orderBy: { userId: 'asc' } } }) as never,
      resolve: (course) =>
        (course as unknown as { instructors: { user: never }[] }).instructors.map(({ user }) => user),
    }),
    enrollments: t.relatedConnection('enrollments', {
      cursor: 'id',
      totalCount: true,
      nullable: true,
      description: 'Who takes it; for its instructors and admins.',
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
    args: { slug: t.arg.string({ description: 'As `Course.slug`.' }) },
    resolve: (query, _, { slug }, { db }) => db.course.findFirst({ ...query, where: { slug } }),
  }),
)

builder.queryField('courses', (t) =>
  t.prismaConnection({
    type: Course,
    cursor: 'slug',
    description: 'All courses, by slug.',
    totalCount: (_, __, { db }) => db.course.count(),
    resolve: (query, _, __, { db }) => db.course.findMany({ ...query, orderBy: { slug: 'asc' } }),
  }),
)

showError(CourseNotFound, 'There is no such course.', (t) => ({
  courseId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ courseId }) => ({ type: 'Course', id: courseId }),
  }),
}))
