import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import type { LessonProgress as LessonProgressRow } from '../generated/prisma/client.ts'
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
    slug: t.exposeString('slug', { description: 'Its name in addresses; no two lessons of a course have the same.' }),
    position: t.exposeInt('position', { description: 'Its place in the course, from 1.' }),
    title: t.exposeString('title', { description: 'What it is called.' }),
    active: t.exposeBoolean('active', {
      description: 'False: it is no longer part of the course. What learners did in it stays.',
    }),
    course: t.relation('course', { description: 'The course that it belongs to.' }),
    contents: t.relation('contents', {
      description: 'What it consists of, in order.',
      query: { where: { active: true }, orderBy: [{ position: 'asc' }, { id: 'asc' }] },
      type: ContentItem,
    }),
    requires: t.field({
      type: ['Lesson' as never],
      description: 'The lessons that must be completed before this one can be opened.',
      select: (_, __, nested) =>
        ({
          requires: {
            select: { required: nested(true) as never },
            where: { required: { active: true } },
            orderBy: { required: { position: 'asc' } },
          },
        }) as never,
      resolve: (lesson) =>
        (lesson as unknown as { requires: { required: never }[] }).requires.map(({ required }) => required),
    }),
    requiredBy: t.field({
      type: ['Lesson' as never],
      description: 'The lessons that completing this one helps to unlock.',
      select: (_, __, nested) =>
        ({
          requiredBy: {
            select: { lesson: nested(true) as never },
            where: { lesson: { active: true } },
            orderBy: { lesson: { position: 'asc' } },
          },
        }) as never,
      resolve: (lesson) =>
        (lesson as unknown as { requiredBy: { lesson: never }[] }).requiredBy.map(({ lesson }) => lesson),
    }),
    progress: t.field({
      type: LessonProgress,
      nullable: true,
      description: 'What the viewer did in it; null if they never opened it.',
      resolve: ({ id }, _, context) => context.load(ownProgress, id),
    }),
  }),
})

const ownProgress: Load<string, LessonProgressRow | null> = async (lessonIds, { db, viewer }) => {
  const enrollmentIds = [...new Set(lessonIds.map((id) => enrollmentOf(viewer!.id, courseOf(id))))]
  const found = await db.lessonProgress.findMany({
    where: { enrollmentId: { in: enrollmentIds }, lessonId: { in: [...lessonIds] } },
  })
  const byLesson = new Map(found.map((progress) => [progress.lessonId, progress]))
  return lessonIds.map((id) => byLesson.get(id) ?? null)
}
