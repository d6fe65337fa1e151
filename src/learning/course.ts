import { builder } from '../api/builder.ts'
import { connectionOf, pageOf, selectedNodes } from '../api/connection.ts'
import type { Viewer } from '../api/context.ts'
import { showError } from '../api/domainError.ts'
import { localId, oneOf } from '../api/globalId.ts'
import { allOf, containing, isGiven, ordersOf } from '../api/listing.ts'
import type { Prisma, User as UserRow } from '../generated/prisma/client.ts'
import { User, UserConnection } from '../identity/user.ts'
import { CourseNotFound } from './courseAggregate.ts'

/** A course. Everybody who has signed in may see it; its learners, only those who teach it. */
export const Course = builder.prismaNode('Course', {
  description: 'A course: lessons in an order, and what unlocks what.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The number of its changes, from 1.' }),
    lessonsVersion: t.exposeInt('lessonsVersion', {
      description:
        'The version of the course that last changed which lessons are active. Compare it with ' +
        '`Enrollment.lessonsVersion`.',
    }),
    slug: t.exposeString('slug', { description: 'The URL slug, unique among courses.' }),
    title: t.exposeString('title', { description: 'The title, for people.' }),
    description: t.exposeString('description', { description: 'What the course teaches, in a sentence or two.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the course was created.' }),
    instructors: t.connection(
      {
        type: User,
        nullable: true,
        description: 'The users who teach the course.',
        // Pothos can't type a nested selection that is computed
        select: (_, __, nested) =>
          ({ instructors: { select: { user: selectedNodes(nested) }, orderBy: { userId: 'asc' } } }) as never,
        resolve: (course, args) => {
          const { instructors } = course as unknown as { instructors: { user: UserRow }[] }
          return pageOf(
            args,
            instructors.map(({ user }) => user),
          )
        },
      },
      UserConnection,
    ),
  }),
})

builder.queryField('course', (t) =>
  t.prismaField({
    type: Course,
    nullable: true,
    description: 'A course by its id or its slug; null if there is none. Exactly one of the two is needed.',
    args: {
      id: t.arg.id({ required: false, description: 'A `Course.id`.' }),
      slug: t.arg.string({ required: false, description: 'A `Course.slug`.' }),
    },
    resolve: (query, _, { id, slug }, { db }) => {
      const where = oneOf({ id, slug }) === 'id' ? { id: localId('Course', id!, 'id') } : { slug: slug! }
      return db.course.findFirst({ ...query, where })
    },
  }),
)

const CourseFilterInput = builder.inputType('CourseFilterInput', {
  description: 'Which courses to list: those for which all that is given holds.',
  fields: (t) => ({
    title: t.string({
      required: false,
      description: 'Those whose title contains this text, in capitals or not: 1 to 200 characters.',
    }),
    enrolled: t.boolean({
      required: false,
      description: 'True: those that the viewer is enrolled in. False: the others.',
    }),
  }),
})
type CourseFilter = typeof CourseFilterInput.$inferInput

const orders = ordersOf('Course', {
  of: 'courses',
  fields: {
    SLUG: { description: 'By `slug`.', by: (slug): Prisma.CourseOrderByWithRelationInput => ({ slug }) },
    TITLE: { description: 'By `title`.', by: (title) => ({ title }) },
    CREATED_AT: { description: 'By `createdAt`.', by: (createdAt) => ({ createdAt }) },
  },
  otherwise: { field: 'SLUG', direction: 'asc' },
})

/** What must hold of the courses that a filter lets through. Throws InvalidInput. */
function conditionsOf(filter: CourseFilter | null | undefined, viewer: Viewer | null) {
  const title = containing(filter?.title, 'filter.title')
  const enrolled = filter?.enrolled
  const own = { learnerId: viewer?.id ?? '' }
  return [title && { title }, isGiven(enrolled) && { enrollments: { [enrolled ? 'some' : 'none']: own } }]
}

builder.queryField('courses', (t) =>
  t.prismaConnection(
    {
      type: Course,
      cursor: 'slug',
      nullable: true,
      description: 'All courses, or those that a filter lets through. Ordered by slug if nothing else is asked for.',
      args: {
        filter: t.arg({
          type: CourseFilterInput,
          required: false,
          description: 'Which courses to list; all by default.',
        }),
        orderBy: orders.arg(t.arg),
      },
      totalCount: (_, { filter }, { db, viewer }) => db.course.count({ where: allOf(conditionsOf(filter, viewer)) }),
      resolve: (query, _, { filter, orderBy, ...page }, { db, viewer }) =>
        db.course.findMany({
          ...query,
          where: allOf(conditionsOf(filter, viewer), page, 'slug'),
          orderBy: orders.by(orderBy),
        }),
    },
    connectionOf(Course, 'Course'),
  ),
)

showError(CourseNotFound, 'The course does not exist.', (t) => ({
  courseId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ courseId }) => ({ type: 'Course', id: courseId }),
  }),
}))
