import { builder } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import type { Viewer } from '../api/context.ts'
import { showError } from '../api/domainError.ts'
import { localId } from '../api/globalId.ts'
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
  findUnique: (id, { viewer }) => visibleBy(viewer, id),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The user’s name, for people.' }),
    role: t.expose('role', { type: RoleType, description: 'What the user may do.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the user was registered.' }),
  }),
})

/** A page of users. */
export const UserConnection = connectionOf(User, 'User')

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

builder.queryField('user', (t) =>
  t.prismaField({
    type: User,
    nullable: true,
    skipTypeScopes: true,
    description:
      'A user by their id; null if there is none or the viewer may not see them. For the user, admins, and the ' +
      'instructors of their courses.',
    args: { id: t.arg.id({ description: 'A `User.id`.' }) },
    resolve: (query, _, { id }, { db, viewer }) =>
      db.user.findFirst({ ...query, where: visibleBy(viewer, localId('User', id, 'id')) }),
  }),
)

/** The user with this id, if the viewer may see them by id. */
function visibleBy(viewer: Viewer | null, id: string) {
  if (viewer?.role === 'ADMIN' || viewer?.id === id) return { id }
  return { id, enrollments: { some: { course: { instructors: { some: { userId: viewer?.id ?? '' } } } } } }
}

showError(UserNotFound, 'The user does not exist.', (t) => ({
  userId: t.globalID({
    description: 'The id in the request.',
    resolve: ({ userId }) => ({ type: 'User', id: userId }),
  }),
}))
