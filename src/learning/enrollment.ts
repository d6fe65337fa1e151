import type { ArgBuilder, InputShapeFromFields } from '@pothos/core'
import { builder, type SchemaTypes, unlessShown } from '../api/builder.ts'
import { connectionOf, type PageArguments, pageOf } from '../api/connection.ts'
import { localId, oneOf } from '../api/globalId.ts'
import type { Load } from '../api/context.ts'
import { allOf } from '../api/listing.ts'
import { sql } from '../database/client.ts'
import type { Enrollment as EnrollmentRow, Lesson as LessonRow } from '../generated/prisma/client.ts'
import { showError, showRoot } from '../api/domainError.ts'
import { User } from '../identity/user.ts'
import { Course } from './course.ts'
import { courseIn, enrollmentOf, learnerOf } from './id.ts'
import {
  conditionsOf,
  EnrollmentFilterInput,
  enrollmentOrders,
  EnrollmentStatus,
  statusOf,
} from './enrollmentFilter.ts'
import type { EnrollmentView } from './enrollmentState.ts'
import { LessonNotFound, NotEnrolled, PrerequisiteNotMet } from './enrollmentAggregate.ts'
import { Lesson, LessonConnection } from './lesson.ts'
import { LessonProgress } from './lessonProgress.ts'
import { teaches } from './teaching.ts'
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

/** One learner in one course. For the learner, the course's instructors, and admins. */
export const Enrollment = builder.prismaNode('Enrollment', {
  description: 'One learner in one course, and how far the learner is.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ learnerId, courseId }, context) =>
    unlessShown({ self: learnerId, admin: true, when: () => teaches(context, courseId) }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'The number of changes, from 1. Mutations compare `expectedVersion` with it.',
    }),
    learner: t.relation('learner', { nullable: true, description: 'The user who takes the course.' }),
    course: t.relation('course', { nullable: true, description: 'The course.' }),
    completedLessonCount: t.exposeInt('completed', {
      description: 'How many of the active lessons of the course are completed.',
    }),
    lessonCount: t.exposeInt('total', { description: 'How many active lessons the course has.' }),
    lessonsVersion: t.exposeInt('lessonsVersion', {
      description:
        'The version of the course’s lessons at which the counts were made. If `Course.lessonsVersion` is higher, ' +
        'lessons have come or gone since, and the counts will follow soon.',
    }),
    percent: t.exposeInt('percent', {
      description: 'How much of the active lessons is completed: 0 to 100, rounded down.',
    }),
    status: t.field({
      type: EnrollmentStatus,
      description: 'How far the learner is, in the present attempt.',
      resolve: statusOf,
    }),
    attempt: t.exposeInt('attempt', {
      description: 'The number of the attempt, from 1. A reset after the course was completed starts the next one.',
    }),
    enrolledAt: t.expose('enrolledAt', { type: 'DateTime', description: 'When the learner enrolled.' }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When this attempt completed the course; null if it has not.',
    }),
    lastActivityAt: t.expose('lastActivityAt', {
      type: 'DateTime',
      description:
        'When the learner last did something here: enrolled, opened or completed something, or began again. Changes ' +
        'of the course do not count.',
    }),
    newLessonCount: t.int({
      description: 'How many lessons were added after this attempt completed the course and are not completed.',
      resolve: ({ completedAt, completed, total }) => (completedAt ? total - completed : 0),
    }),
  }),
})

builder.prismaObjectFields(Enrollment, (t) => ({
  completions: t.relatedConnection(
    'completions',
    {
      cursor: 'enrollmentId_attempt',
      nullable: true,
      totalCount: true,
      description: 'The completions of the course, at most one for each attempt.',
      query: { orderBy: { attempt: 'asc' } },
    },
    connectionOf(CourseCompletion, 'CourseCompletion'),
  ),
  progress: t.relatedConnection(
    'lessons',
    {
      cursor: 'enrollmentId_lessonId',
      nullable: true,
      totalCount: true,
      description: 'The progress in each lesson that was ever opened.',
      query: { orderBy: { lessonId: 'asc' } },
    },
    connectionOf(LessonProgress, 'LessonProgress'),
  ),
  availableLessons: t.connection(
    {
      type: Lesson,
      nullable: true,
      description:
        'The lessons that can be done now, in the order of the course: active, not completed, and with all ' +
        'required lessons completed.',
      resolve: async ({ id }, args, context) => pageOf(args, await context.load(availableLessons, id)),
    },
    LessonConnection,
  ),
}))

const availableLessons: Load<string, LessonRow[]> = async (enrollmentIds, { db }) => {
  const found = await db.$queryRaw<(LessonRow & { enrollmentId: string })[]>(sql`
    select e.id as "enrollmentId", l.id, l."courseId", l.slug, l.position, l.title, l.active
    from "Enrollment" e join "Lesson" l on l."courseId" = e."courseId" and l.active
    where e.id = any(${enrollmentIds}::text[])
      and not exists (
        select from "LessonProgress" p
        where p."enrollmentId" = e.id and p."lessonId" = l.id and p.status = 'COMPLETED')
      and not exists (
        select from "LessonPrerequisite" q join "Lesson" r on r.id = q."requiresId" and r.active
        where q."lessonId" = l.id and not exists (
          select from "LessonProgress" d
          where d."enrollmentId" = e.id and d."lessonId" = r.id and d.status = 'COMPLETED'))
    order by l.position, l.id`)
  const lessons = new Map<string, LessonRow[]>(enrollmentIds.map((id) => [id, []]))
  for (const { enrollmentId, ...lesson } of found) lessons.get(enrollmentId)!.push(lesson)
  return enrollmentIds.map((id) => lessons.get(id)!)
}

/** An enrollment as committed, for the API. */
export const shownEnrollment = ({ lesson: _, ...view }: EnrollmentView): EnrollmentRow => ({
  ...view,
  learnerId: learnerOf(view.id),
  courseId: courseIn(view.id),
  enrolledAt: new Date(view.enrolledAt),
  completedAt: view.completedAt ? new Date(view.completedAt) : null,
  lastActivityAt: new Date(view.lastActivityAt),
  percent: view.total ? Math.floor((view.completed * 100) / view.total) : 0, // as the database generates it
})

showRoot('Enrollment', shownEnrollment)

builder.queryField('enrollment', (t) =>
  t.prismaField({
    type: Enrollment,
    nullable: true,
    description:
      'An enrollment by its id, or by its course and learner; null if there is none or the viewer may not see it. ' +
      'Exactly one of `id` and `courseId` is needed.',
    args: {
      id: t.arg.id({ required: false, description: 'An `Enrollment.id`.' }),
      courseId: t.arg.id({ required: false, description: 'A `Course.id`.' }),
      learnerId: t.arg.id({
        required: false,
        description: 'With `courseId`: the `User.id` of the learner. Without it, the viewer.',
      }),
    },
    resolve: (query, _, args, { db, viewer }) =>
      db.enrollment.findFirst({ ...query, where: { id: enrollmentNamed(args, viewer!), AND: visibleTo(viewer) } }),
  }),
)

interface EnrollmentName {
  readonly id?: string | null
  readonly courseId?: string | null
  readonly learnerId?: string | null
}

/** The id of the enrollment that the arguments name; throws InvalidInput. */
function enrollmentNamed({ id, courseId, learnerId }: EnrollmentName, viewer: { readonly id: string }): string {
  if (oneOf({ id, courseId }) === 'id') return localId('Enrollment', id!, 'id')
  const learner = learnerId ? localId('User', learnerId, 'learnerId') : viewer.id
  return enrollmentOf(learner, localId('Course', courseId!, 'courseId'))
}

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

showError(NotEnrolled, 'The viewer is not enrolled in the course.', (t) => ({
  courseId: t.globalID({
    description: 'The id of the course to enroll in first.',
    resolve: ({ courseId }) => ({ type: 'Course', id: courseId }),
  }),
}))
showError(LessonNotFound, 'The lesson does not exist, or is no longer part of its course.', (t) => ({
  lessonId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ lessonId }) => ({ type: 'Lesson', id: lessonId }),
  }),
}))
showError(PrerequisiteNotMet, 'Other lessons must be completed first.', (t) => ({
  lessons: t.field({
    type: [Lesson],
    description: 'The lessons to complete first, in the order of the course.',
    resolve: ({ lessonIds }, _, { db }) =>
      db.lesson.findMany({ where: { id: { in: [...lessonIds] } }, orderBy: { position: 'asc' } }),
  }),
}))
