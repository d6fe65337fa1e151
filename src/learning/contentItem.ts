import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import { ContentKind } from '../generated/prisma/enums.ts'
import { courseOf, enrollmentOf } from './id.ts'

const Kind = builder.enumType('ContentKind', {
  description: 'The kinds of content.',
  values: {
    [ContentKind.TEXT]: { description: 'A text to read.' },
    [ContentKind.VIDEO]: { description: 'A video to watch.' },
    [ContentKind.EXERCISE]: { description: 'An exercise to do.' },
    [ContentKind.QUIZ]: { description: 'Questions to answer.' },
  },
})

/** A content item of a lesson. */
export const ContentItem = builder.prismaNode('ContentItem', {
  description: 'A content item of a lesson: something to read, watch, do or answer.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id) => ({ id }),
  fields: (t) => ({
    position: t.exposeInt('position', { description: 'The item’s place in the lesson, from 1.' }),
    title: t.exposeString('title', { description: 'The title, for people.' }),
    kind: t.expose('kind', { type: Kind, description: 'The kind of content.' }),
    active: t.exposeBoolean('active', { description: 'False: the item is no longer part of the lesson.' }),
    lesson: t.relation('lesson', { nullable: true, description: 'The lesson of the item.' }),
    completedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the viewer completed the item; null if the viewer has not.',
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
