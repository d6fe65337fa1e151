import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import { ContentKind } from '../generated/prisma/enums.ts'
import { courseOf, enrollmentOf } from './id.ts'

const Kind = builder.enumType('ContentKind', {
  description: 'What a piece of content is.',
  values: {
    [ContentKind.TEXT]: { description: 'Something to read.' },
    [ContentKind.VIDEO]: { description: 'Something to watch.' },
    [ContentKind.EXERCISE]: { description: 'Something to do.' },
    [ContentKind.QUIZ]: { description: 'Something to answer.' },
  },
})

/** A piece of a lesson. */
export const ContentItem = builder.prismaNode('ContentItem', {
  description: 'A piece of a lesson.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    position: t.exposeInt('position', { description: 'Its place in the lesson, from 1.' }),
    title: t.exposeString('title', { description: 'What it is called.' }),
    kind: t.expose('kind', { type: Kind, description: 'What it is.' }),
    active: t.exposeBoolean('active', { description: 'False: it is no longer part of the lesson.' }),
    lesson: t.relation('lesson', { description: 'The lesson that it belongs to.' }),
    completedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the viewer completed it; null if they did not.',
      resolve: ({ id }, _, context) => context.load(ownCompletion, id),
    }),
  }),
})

const ownCompletion: Load<string, Date | null> = async (itemIds, { db, viewer }) => {
  const enrollmentIds = [...new Set(itemIds.map((id) => enrollmentOf(viewer!.id, courseOf(id))))]
  const found = await db.contentCompletion.findMany({
    where: { enrollmentId: { in: enrollmentIds }, contentItemId: { in: [...itemIds] } },
  })
  const byItem = new Map(found.map(({ contentItemId, completedAt }) => [contentItemId, completedAt]))
  return itemIds.map((id) => byItem.get(id) ?? null)
}
