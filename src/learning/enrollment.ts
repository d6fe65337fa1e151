import { builder, unlessShown } from '../api/builder.ts'
import { connectionOf, pageOf } from '../api/connection.ts'
import { alone, localId, oneOf } from '../api/globalId.ts'
import type { Load } from '../api/context.ts'
import { sql } from '../database/client.ts'
import type { Enrollment as EnrollmentRow, Lesson as LessonRow } from '../generated/prisma/client.ts'
import { showError, showRoot } from '../api/domainError.ts'
import { courseIn, enrollmentOf, learnerOf } from './id.ts'
import { EnrollmentStatus, statusOf } from './enrollmentFilter.ts'
import type { EnrollmentView } from './enrollmentState.ts'
import { LessonNotFound, NotEnrolled, PrerequisiteNotMet } from './enrollmentAggregate.ts'
import { Lesson, LessonConnection } from './lesson.ts'
import { LessonProgress } from './lessonProgress.ts'
import { teaches } from './teaching.ts'
import { visibleTo } from './visibility.ts'

type Counts = Pick<EnrollmentRow, 'completed' | 'total'>
/** How much of the active lessons is completed: 0 to 100, rounded down. */
export const percentOf = ({ completed, total }: Counts) => (total ? Math.floor((completed * 100) / total) : 0)
/** How many active lessons are not completed, although the attempt has completed the course. */
export const newLessonsOf = ({ completedAt, completed, total }: Counts & { readonly completedAt: unknown }) =>
  completedAt ? total - completed : 0

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
      resolve: newLessonsOf,
    }),
  }),
})

builder.prismaObjectFields(Enrollment, (t) => ({
  progress: t.relatedConnection(
    'lessons',
    {
      cursor: 'enrollmentId_lessonId',
      extensions: { cursor: 'SS' },
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
  percent: percentOf(view), // as the database generates it
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
  if (oneOf({ id, courseId }) === 'id') {
    alone('id', { learnerId })
    return localId('Enrollment', id!, 'id')
  }
  const learner = learnerId ? localId('User', learnerId, 'learnerId') : viewer.id
  return enrollmentOf(learner, localId('Course', courseId!, 'courseId'))
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
