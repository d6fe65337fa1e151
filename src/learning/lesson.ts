import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import type { Lesson as LessonRow, LessonProgress as LessonProgressRow } from '../generated/prisma/client.ts'
import { ContentItem } from './contentItem.ts'
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
    course: t.relation('course', { description: 'The course of the lesson.' }),
    contents: t.relation('contents', {
      description: 'The active content items of the lesson, in order.',
      query: { where: { active: true }, orderBy: [{ position: 'asc' }, { id: 'asc' }] },
      type: ContentItem,
    }),
    progress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'The viewer’s progress in the lesson; null if the viewer never opened it.',
      resolve: ({ id }, _, context) => context.load(ownProgress, id),
    }),
  }),
})

// Prerequisites link lessons to lessons, so these fields are added when the type is there. Pothos can't type a nested
// selection that is computed; hence the casts.

builder.prismaObjectField(Lesson, 'requires', (t) =>
  t.field({
    type: [Lesson],
    description: 'The active lessons that must be completed before this one can be opened.',
    select: (_, __, nested) => ({ requires: linked('required', nested(true)) }) as never,
    resolve: (lesson) =>
      (lesson as unknown as { requires: { required: LessonRow }[] }).requires.map(({ required }) => required),
  }),
)

builder.prismaObjectField(Lesson, 'requiredBy', (t) =>
  t.field({
    type: [Lesson],
    description: 'The active lessons that require this one.',
    select: (_, __, nested) => ({ requiredBy: linked('lesson', nested(true)) }) as never,
    resolve: (lesson) =>
      (lesson as unknown as { requiredBy: { lesson: LessonRow }[] }).requiredBy.map(({ lesson }) => lesson),
  }),
)

/** The active lessons at one end of a prerequisite, in the order of the course. */
const linked = (end: 'required' | 'lesson', selection: unknown) => ({
  select: { [end]: selection },
  where: { [end]: { active: true } },
  orderBy: { [end]: { position: 'asc' } },
})

const ownProgress: Load<string, LessonProgressRow | null> = async (lessonIds, { db, viewer }) => {
  const enrollmentIds = [...new Set(lessonIds.map((id) => enrollmentOf(viewer!.id, courseOf(id))))]
  const found = await db.lessonProgress.findMany({
    where: { enrollmentId: { in: enrollmentIds }, lessonId: { in: [...lessonIds] } },
  })
  const byLesson = new Map(found.map((progress) => [progress.lessonId, progress]))
  return lessonIds.map((id) => byLesson.get(id) ?? null)
}
