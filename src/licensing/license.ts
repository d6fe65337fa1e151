import { encodeGlobalID } from '@pothos/plugin-relay'
import { builder, localId, unlessShown } from '../api/builder.ts'
import type { License as LicenseRow, LicenseProgression as LicenseProgressionRow } from '../generated/prisma/client.ts'
import { codeIn, codeOf, standingOf, userOf } from './id.ts'
import type { Progression, StandingView } from './standingState.ts'
import { visibleTo } from './visibility.ts'

/** One change of a license's level. */
export const LicenseProgression = builder.prismaObject('LicenseProgression', {
  description: 'One change of a license’s level. It is never taken back.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The version of the progress that it came with.' }),
    from: t.exposeInt('from', { description: 'The level before it.' }),
    to: t.exposeInt('to', { description: 'The level after it.' }),
    advancedBy: t.id({
      nullable: true,
      description: 'The id of the user who advanced it; null: it followed from something else.',
      resolve: ({ advancedBy }) => (advancedBy === 'system' ? null : encodeGlobalID('User', advancedBy)),
    }),
    reason: t.exposeString('reason', { description: 'Why, as they put it.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
  }),
})

/** What somebody may call themselves: for the person, instructors and admins. */
export const License = builder.prismaNode('License', {
  description: 'What somebody may call themselves in a specialization.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ userId }) => unlessShown({ self: userId, instructor: true, admin: true }),
  fields: (t) => ({
    user: t.relation('user', { nullable: true, description: 'Whose it is.' }),
    specialization: t.relation('specialization', { nullable: true, description: 'In what.' }),
    currentLevel: t.exposeInt('currentLevel', { description: 'The level that it says.' }),
    maxAchievedLevel: t.exposeInt('maxAchievedLevel', {
      description: 'The highest level that it ever had. It never falls.',
    }),
    issuedAt: t.expose('issuedAt', { type: 'DateTime', description: 'When it was issued.' }),
    progressions: t.relatedConnection('progressions', {
      cursor: 'licenseId_at_version_from',
      nullable: true,
      totalCount: true,
      description: 'Each change of its level, from the first.',
      query: { orderBy: [{ at: 'asc' }, { version: 'asc' }, { from: 'asc' }] },
    }),
  }),
})

/** A license as it was committed, as the API shows it. */
export const shownLicense = ({ id, license }: StandingView): LicenseRow | null =>
  license && { ...license, id, userId: userOf(id), code: codeOf(id), issuedAt: new Date(license.issuedAt) }

/** Changes of level as they were committed, as the API shows them. */
export const shownProgressions = (
  { id }: StandingView,
  progressions: readonly Progression[],
): LicenseProgressionRow[] =>
  progressions.map((progression) => ({
    ...progression,
    licenseId: id,
    userId: userOf(id),
    at: new Date(progression.at),
  }))

builder.queryField('license', (t) =>
  t.prismaField({
    type: License,
    nullable: true,
    description: 'Somebody’s license in a specialization; null if there is none or the viewer may not see it.',
    args: {
      userId: t.arg.id({ description: 'As `User.id`.' }),
      specialization: t.arg.string({ description: 'As `Specialization.code`.' }),
    },
    resolve: (query, _, { userId, specialization }, { db, viewer }) =>
      db.license.findFirst({
        ...query,
        where: {
          id: standingOf(localId('User', userId, 'userId'), codeIn(specialization, 'specialization')),
          AND: visibleTo(viewer),
        },
      }),
  }),
)

builder.prismaObjectField('User' as never, 'licenses', (t) =>
  t.relatedConnection(
    'licenses' as never,
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'Their licenses; for themselves, instructors and admins.',
      authScopes: ({ id }: { id: string }) => ({ $any: { self: id, instructor: true, admin: true } }),
      query: { orderBy: { code: 'asc' } },
    } as never,
  ),
)
