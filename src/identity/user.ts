import { builder } from '../api/builder.ts'
import { Role } from '../generated/prisma/enums.ts'
import { showError } from '../api/mutation.ts'
import { UserNotFound } from './userAggregate.ts'

builder.enumType('Role', {
  description: 'What a user may do.',
  values: {
    [Role.LEARNER]: { description: 'Takes courses.' },
    [Role.INSTRUCTOR]: { description: 'Also sees the learners of the courses that they teach.' },
    [Role.ADMIN]: { description: 'Sees everything, and may change courses.' },
  },
})

/**
 * A person. Whoever may see something of theirs may see their name; by id, one sees oneself, admins everybody, and
 * instructors those who learn with them.
 */
export const User = builder.prismaNode('User', {
  description: 'A person.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({
    id,
    ...(viewer?.role === 'ADMIN' || viewer?.id === id
      ? {}
      : { enrollments: { some: { course: { instructors: { some: { userId: viewer?.id ?? '' } } } } } }),
  }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What they are called.' }),
    role: t.field({ type: 'Role' as never, description: 'What they may do.', resolve: ({ role }) => role as never }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they were registered.' }),
    enrollments: t.relatedConnection('enrollments', {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The courses that they take; for themselves and for admins.',
      authScopes: ({ id }) => ({ $any: { self: id, admin: true } }),
      query: { orderBy: { id: 'asc' } },
    }),
  }),
})

builder.queryField('viewer', (t) =>
  t.prismaField({
    type: User,
    nullable: true,
    skipTypeScopes: true,
    description: 'Who is looking; null for those who have not signed in.',
    resolve: (query, _, __, { db, viewer }) =>
      viewer ? db.user.findFirst({ ...query, where: { id: viewer.id } }) : null,
  }),
)

showError(UserNotFound, 'There is no such user.', (t) => ({
  userId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ userId }) => ({ type: 'User', id: userId }),
  }),
}))
