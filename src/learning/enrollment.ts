import { builder, localId, unlessShown } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import { sql } from '../database/client.ts'
import type { Enrollment as EnrollmentRow, Lesson as LessonRow } from '../generated/prisma/client.ts'
import { showError, showRoot } from '../api/mutation.ts'
import { courseIn, learnerOf } from './id.ts'
import type { EnrollmentView } from './enrollmentState.ts'
import { LessonNotFound, NotEnrolled, PrerequisiteNotMet } from './enrollmentAggregate.ts'
import { Lesson } from './lesson.ts'
import { teaches } from './teaching.ts'
import { visibleTo } from './visibility.ts'

const CourseCompletion = builder.prismaObject('CourseCompletion', {
  description: 'That a learner completed a course. It is never taken back, whatever is reset or added later.',
  fields: (t) => ({
    attempt: t.exposeInt('attempt', { description: 'Which attempt it was, from 1.' }),
    completedAt: t.expose('completedAt', { type: 'DateTime', description: 'When.' }),
    courseVersion: t.exposeInt('courseVersion', { description: 'The version that the course then had.' }),
  }),
})

/** One learner in one course: for the learner, the course's instructors, and admins. */
export const Enrollment = builder.prismaNode('Enrollment', {
  description: 'One learner in one course, and how far they are.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ learnerId, courseId }, context) =>
    unlessShown({ self: learnerId, admin: true, when: () => teaches(context, courseId) }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'Counts its changes, from 1; what `expectedVersion` is compared with.',
    }),
    learner: t.relation('learner', { nullable: true, description: 'Who learns.' }),
    course: t.relation('course', { nullable: true, description: 'What they learn.' }),
    completed: t.exposeInt('completed', { description: "How many of the course's active lessons are completed." }),
    total: t.exposeInt('total', { description: 'How many active lessons the course has.' }),
    percent: t.int({
      description: 'How much of the active lessons is completed, from 0 to 100, rounded down.',
      resolve: ({ completed, total }) => (total ? Math.floor((completed * 100) / total) : 0),
    }),
    attempt: t.exposeInt('attempt', { description: 'From 1; a reset after the course was completed begins the next.' }),
    enrolledAt: t.expose('enrolledAt', { type: 'DateTime', description: 'When it began.' }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When this attempt completed the course; null if it has not yet.',
    }),
    addedSinceCompletion: t.int({
      description: 'How many lessons are open in a course that this attempt has completed: they were added later.',
      resolve: ({ completedAt, completed, total }) => (completedAt ? total - completed : 0),
    }),
    completions: t.relation('completions', {
      type: CourseCompletion,
      nullable: true,
      description: 'Each time the course was completed, one an attempt.',
      query: { orderBy: { attempt: 'asc' } },
    }),
    progress: t.relatedConnection('lessons', {
      cursor: 'enrollmentId_lessonId',
      nullable: true,
      totalCount: true,
      description: 'What was done, lesson by lesson, as far as any was opened.',
      query: { orderBy: { lessonId: 'asc' } },
    }),
    availableLessons: t.field({
      type: [Lesson],
      nullable: true,
      description:
        'The lessons that can be done now: active, not completed, and all that they require completed; in the order of the course.',
      resolve: ({ id }, _, context) => context.load(availableLessons, id),
    }),
  }),
})

const availableLessons: Load<string, LessonRow[]> = async (enrollmentIds, { db }) => {
  const found = await db.$queryRaw<(LessonRow & { enrollmentId: string })[]>(sql`
    select e.id as "enrollmentId", l.id, l."courseId", l.slug, l.position, l.title, l.active from "Enrollment" e join "Lesson" l on l."courseId" = e."courseId" and l.active
    where e.id = any(${enrollmentIds}::text[])
      and not exists (select from "LessonProgress" p where p."enrollmentId" = e.id and p."lessonId" = l.id and p.status = 'COMPLETED')
      and not exists (select from "LessonPrerequisite" q join "Lesson" r on r.id = q."requiresId" and r.active
        where q."lessonId" = l.id and not exists (select from "LessonProgress" d where d."enrollmentId" = e.id and d."lessonId" = r.id and d.status = 'COMPLETED'))
    order by l.position, l.id`)
  const lessons = new Map<string, LessonRow[]>(enrollmentIds.map((id) => [id, []]))
  for (const { enrollmentId, ...lesson } of found) lessons.get(enrollmentId)!.push(lesson)
  return enrollmentIds.map((id) => lessons.get(id)!)
}

/** An enrollment as it was committed, as the API shows it. */
export const shownEnrollment = ({ lesson: _, enrolledAt, completedAt, ...view }: EnrollmentView): EnrollmentRow => ({
  ...view,
  learnerId: learnerOf(view.id),
  courseId: courseIn(view.id),
  enrolledAt: new Date(enrolledAt),
  completedAt: completedAt ? new Date(completedAt) : null,
})

showRoot('Enrollment', shownEnrollment)

builder.queryField('enrollment', (t) =>
  t.prismaField({
    type: Enrollment,
    nullable: true,
    description: 'An enrollment by its id; null if there is none or the viewer may not see it.',
    args: { id: t.arg.id({ description: 'As `Enrollment.id`.' }) },
    resolve: (query, _, { id }, { db, viewer }) =>
      db.enrollment.findFirst({ ...query, where: { id: localId('Enrollment', id, 'id'), AND: visibleTo(viewer) } }),
  }),
)

showError(NotEnrolled, 'The viewer is not enrolled in this course.', (t) => ({
  courseId: t.globalID({
    description: 'The course to enroll in first.',
    resolve: ({ courseId }) => ({ type: 'Course', id: courseId }),
  }),
}))
showError(LessonNotFound, 'There is no such lesson, or it is no longer part of its course.', (t) => ({
  lessonId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ lessonId }) => ({ type: 'Lesson', id: lessonId }),
  }),
}))
showError(PrerequisiteNotMet, 'Other lessons must be completed first.', (t) => ({
  lessons: t.field({
    type: [Lesson],
    description: 'Which, in the order of the course.',
    resolve: ({ lessonIds }, _, { db }) =>
      db.lesson.findMany({ where: { id: { in: [...lessonIds] } }, orderBy: { position: 'asc' } }),
  }),
}))
