import type { ArgBuilder, InputShapeFromFields } from '@pothos/core'
import { builder, type SchemaTypes } from '../api/builder.ts'
import { connectionOf, type PageArguments } from '../api/connection.ts'
import type { Load } from '../api/context.ts'
import { allOf } from '../api/listing.ts'
import { User } from '../identity/user.ts'
import { Course } from './course.ts'
import { Enrollment } from './enrollment.ts'
import { conditionsOf, EnrollmentFilterInput, enrollmentOrders } from './enrollmentFilter.ts'
import { teaches } from './teaching.ts'

/** A page of enrollments. */
export const EnrollmentConnection = connectionOf(Enrollment, 'Enrollment')

/** Which enrollments to list, and in which order. */
const listing = (t: ArgBuilder<SchemaTypes>) => ({
  filter: t({
    type: EnrollmentFilterInput,
    required: false,
    description: 'Which enrollments to list; all by default.',
  }),
  orderBy: enrollmentOrders.arg(t),
})
type Listing = PageArguments & InputShapeFromFields<ReturnType<typeof listing>>
const listed = ({ filter, orderBy, ...page }: Listing) => ({
  where: allOf(conditionsOf(filter), page),
  orderBy: enrollmentOrders.by(orderBy),
})

builder.prismaObjectField(User, 'enrollments', (t) =>
  t.relatedConnection(
    'enrollments',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The user’s enrollments. For the user and for admins.',
      authScopes: ({ id }) => ({ $any: { self: id, admin: true } }),
      args: listing(t.arg),
      query: listed,
    },
    EnrollmentConnection,
  ),
)

builder.prismaObjectField(Course, 'enrollments', (t) =>
  t.relatedConnection(
    'enrollments',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The enrollments in the course. For its instructors and admins.',
      authScopes: ({ id }, _, context) => ({ $any: { admin: true, when: () => teaches(context, id) } }),
      args: listing(t.arg),
      query: listed,
    },
    EnrollmentConnection,
  ),
)

builder.prismaObjectField(Course, 'changeCount', (t) =>
  t.int({
    nullable: true,
    description:
      'How many changes all enrollments of the course have had: the sum of their versions. For its instructors and ' +
      'admins. See `CourseSnapshot.changeCount`.',
    authScopes: ({ id }, _, context) => ({ $any: { admin: true, when: () => teaches(context, id) } }),
    resolve: ({ id }, _, context) => context.load(changeCounts, id),
  }),
)

const changeCounts: Load<string, number> = async (courseIds, { db }) => {
  const found = await db.enrollment.groupBy({
    by: ['courseId'],
    where: { courseId: { in: [...courseIds] } },
    _sum: { version: true },
  })
  const counts = new Map(found.map(({ courseId, _sum }) => [courseId, _sum.version ?? 0]))
  return courseIds.map((id) => counts.get(id) ?? 0)
}
