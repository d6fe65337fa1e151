import { builder } from '../api/builder.ts'
import { connectionOf, pageOf, selectedNodes } from '../api/connection.ts'
import type { Load } from '../api/context.ts'
import { alone, localId, oneOf } from '../api/globalId.ts'
import { InvalidInput } from '../commit/errors.ts'
import type { Lesson as LessonRow, LessonProgress as LessonProgressRow } from '../generated/prisma/client.ts'
import { ContentItem } from './contentItem.ts'
import { Course } from './course.ts'
import { courseOf, enrollmentOf } from './id.ts'
import { LessonProgress } from './lessonProgress.ts'

/** A lesson of a course. */
export const Lesson = builder.prismaNode('Lesson', {
  description: 'A lesson of a course.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'The URL slug, unique among the lessons of the course.' }),
    position: t.exposeInt('position', { description: 'The lesson’s place in the course, from 1.' }),
    title: t.exposeString('title', { description: 'The title, for people.' }),
    active: t.exposeBoolean('active', {
      description: 'False: the lesson is no longer part of the course. The progress that learners made in it stays.',
    }),
    course: t.relation('course', { nullable: true, description: 'The course of the lesson.' }),
    contents: t.relatedConnection(
      'contents',
      {
        cursor: 'id',
        nullable: true,
        totalCount: true,
        description: 'The active content items of the lesson, in order.',
        query: { where: { active: true }, orderBy: [{ position: 'asc' }, { id: 'asc' }] },
      },
      connectionOf(ContentItem, 'ContentItem'),
    ),
    progress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'The viewer’s progress in the lesson; null if the viewer never opened it.',
      resolve: ({ id }, _, context) => context.load(ownProgress, id),
    }),
  }),
})

/** A page of lessons. */
export const LessonConnection = connectionOf(Lesson, 'Lesson')

builder.prismaObjectField(Course, 'lessons', (t) =>
  t.relatedConnection(
    'lessons',
    {
      cursor: 'id',
      nullable: true,
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
    },
    LessonConnection,
  ),
)

// Prerequisites link lessons to lessons, so these fields are added when the type is there. Pothos can't type a nested
// selection that is computed; hence the casts.

builder.prismaObjectField(Lesson, 'requires', (t) =>
  t.connection(
    {
      type: Lesson,
      nullable: true,
      description: 'The active lessons that must be completed before this one can be opened.',
      select: (_, __, nested) => ({ requires: linked('required', selectedNodes(nested)) }) as never,
      resolve: (lesson, args) => pageOf(args, linkedTo(lesson, 'requires', 'required')),
    },
    LessonConnection,
  ),
)

builder.prismaObjectField(Lesson, 'requiredBy', (t) =>
  t.connection(
    {
      type: Lesson,
      nullable: true,
      description: 'The active lessons that require this one.',
      select: (_, __, nested) => ({ requiredBy: linked('lesson', selectedNodes(nested)) }) as never,
      resolve: (lesson, args) => pageOf(args, linkedTo(lesson, 'requiredBy', 'lesson')),
    },
    LessonConnection,
  ),
)

builder.queryField('lesson', (t) =>
  t.prismaField({
    type: Lesson,
    nullable: true,
    description:
      'A lesson by its id, or by its course and slug; null if there is none. Exactly one of `id` and `courseId` is ' +
      'needed.',
    args: {
      id: t.arg.id({ required: false, description: 'A `Lesson.id`.' }),
      courseId: t.arg.id({ required: false, description: 'A `Course.id`.' }),
      slug: t.arg.string({ required: false, description: 'With `courseId`: a `Lesson.slug`.' }),
    },
    resolve: (query, _, { id, courseId, slug }, { db }) => {
      if (oneOf({ id, courseId }) === 'id') {
        alone('id', { slug })
        return db.lesson.findFirst({ ...query, where: { id: localId('Lesson', id!, 'id') } })
      }
      if (!slug) throw new InvalidInput('slug', 'slug is missing. Wanted is a Lesson.slug, together with courseId.')
      return db.lesson.findFirst({ ...query, where: { courseId: localId('Course', courseId!, 'courseId'), slug } })
    },
  }),
)

/** The active lessons at one end of a prerequisite, in the order of the course. */
const linked = (end: 'required' | 'lesson', selection: unknown) => ({
  select: { [end]: selection },
  where: { [end]: { active: true } },
  orderBy: { [end]: { position: 'asc' } },
})

/** The lessons that `linked` selected. */
const linkedTo = <Field extends string>(lesson: object, field: Field, end: 'required' | 'lesson') =>
  (lesson as Record<Field, Record<typeof end, LessonRow>[]>)[field].map((link) => link[end])

const ownProgress: Load<string, LessonProgressRow | null> = async (lessonIds, { db, viewer }) => {
  const enrollmentIds = [...new Set(lessonIds.map((id) => enrollmentOf(viewer!.id, courseOf(id))))]
  const found = await db.lessonProgress.findMany({
    where: { enrollmentId: { in: enrollmentIds }, lessonId: { in: [...lessonIds] } },
  })
  const byLesson = new Map(found.map((progress) => [progress.lessonId, progress]))
  return lessonIds.map((id) => byLesson.get(id) ?? null)
}
