import { builder } from '../api/builder.ts'
import { showError } from '../api/domainError.ts'
import { Role } from '../generated/prisma/enums.ts'
import { UserNotFound } from './userAggregate.ts'

const RoleType = builder.enumType('Role', {
  description: 'What a user may do.',
  values: {
    [Role.LEARNER]: { description: 'Takes courses.' },
    [Role.INSTRUCTOR]: {
      description: 'Also sees the learners of the courses that they teach, and sees and changes the levels of others.',
    },
    [Role.ADMIN]: { description: 'Sees everything, and may change courses and all levels.' },
  },
})

/**
 * A user. Their name is visible wherever something of theirs is. By id, visible to the user, to admins, and to the
 * instructors of their courses.
 */
export const User = builder.prismaNode('User', {
  description: 'A person who is registered here.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({
    id,
    ...(viewer?.role === 'ADMIN' || viewer?.id === id
      ? {}
      : { enrollments: { some: { course: { instructors: { some: { userId: viewer?.id ?? '' } } } } } }),
  }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The user’s name, for people.' }),
    role: t.expose('role', { type: RoleType, description: 'What the user may do.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the user was registered.' }),
    enrollments: t.relatedConnection('enrollments', {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The user’s enrollments. For the user and for admins.',
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
    description: 'The user who makes the request; null without a token.',
    resolve: (query, _, __, { db, viewer }) =>
      viewer ? db.user.findFirst({ ...query, where: { id: viewer.id } }) : null,
  }),
)

showError(UserNotFound, 'The user does not exist.', (t) => ({
  userId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ userId }) => ({ type: 'User', id: userId }),
  }),
}))
