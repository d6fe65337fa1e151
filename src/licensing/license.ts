import { builder, unlessShown } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { actorIdOf } from '../api/globalId.ts'
import type { License as LicenseRow, LicenseProgression as LicenseProgressionRow } from '../generated/prisma/client.ts'
import { User } from '../identity/user.ts'
import { codeOf, recordArgs, recordIn, userOf } from './id.ts'
import type { Progression, StandingView } from './standingState.ts'
import { seenBy, visibleTo } from './visibility.ts'

/** One change of a license's level. Its id is that of the license, with its place in the history. */
export const LicenseProgression = builder.prismaNode('LicenseProgression', {
  description: 'One change of a license’s level. It is never removed.',
  nullable: true,
  id: { resolve: ({ licenseId, at, version, from }) => `${licenseId}~${at.getTime()}~${version}~${from}` },
  findUnique: (id, { viewer }) => {
    const [, licenseId = '', at = 0, version = 0, from = 0] = /^(.+)~(\d{1,15})~(\d{1,9})~(\d{1,9})$/.exec(id) ?? []
    const place = { at: new Date(Number(at)), version: Number(version), from: Number(from) }
    return { licenseId_at_version_from: { licenseId, ...place }, AND: visibleTo(viewer) }
  },
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The version of the progress that the change is part of.' }),
    from: t.exposeInt('from', { description: 'The level before the change.' }),
    to: t.exposeInt('to', { description: 'The level after the change.' }),
    actorId: t.id({
      nullable: true,
      description: 'The id of the user who made the change; null: the operator.',
      resolve: ({ advancedBy }) => actorIdOf(advancedBy),
    }),
    reason: t.exposeString('reason', { description: 'The reason, as given in the request.' }),
    occurredAt: t.expose('at', { type: 'DateTime', description: 'The commit time of the change.' }),
  }),
})

/** A user's license in a specialization. Visible to the user, instructors and admins. */
export const License = builder.prismaNode('License', {
  description: 'A user’s license in a specialization: the level that it certifies, and how it got there.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ userId }) => unlessShown(seenBy(userId)),
  fields: (t) => ({
    user: t.relation('user', { nullable: true, description: 'The user whose license this is.' }),
    specialization: t.relation('specialization', { nullable: true, description: 'The specialization.' }),
    currentLevel: t.exposeInt('currentLevel', { description: 'The level. The progress has the same.' }),
    maxAchievedLevel: t.exposeInt('maxAchievedLevel', {
      description: 'The highest level that the license ever had. It never falls.',
    }),
    issuedAt: t.expose('issuedAt', { type: 'DateTime', description: 'When the license was issued.' }),
    progressions: t.relatedConnection(
      'progressions',
      {
        cursor: 'licenseId_at_version_from',
        extensions: { cursor: 'SDNN' },
        nullable: true,
        totalCount: true,
        description: 'The changes of the license’s level, oldest first.',
        query: { orderBy: [{ at: 'asc' }, { version: 'asc' }, { from: 'asc' }] },
      },
      connectionOf(LicenseProgression, 'LicenseProgression'),
    ),
  }),
})

/** A committed license as the API shows it; null if there is none. */
export const shownLicense = ({ id, license }: StandingView): LicenseRow | null =>
  license && { ...license, id, userId: userOf(id), code: codeOf(id), issuedAt: new Date(license.issuedAt) }

/** Committed changes of level as the API shows them. */
export const shownProgressions = (
  { id }: StandingView,
  progressions: readonly Progression[] = [],
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
    description:
      'A license by its id, or by user and specialization; null if there is none or the viewer may not see it. ' +
      'Exactly one of `id` and `specialization` is needed.',
    args: recordArgs(t.arg, 'License'),
    resolve: (query, _, name, { db, viewer }) =>
      db.license.findFirst({ ...query, where: { id: recordIn(name, 'License', viewer!), AND: visibleTo(viewer) } }),
  }),
)

builder.prismaObjectField(User, 'licenses', (t) =>
  t.relatedConnection(
    'licenses',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The user’s licenses, ordered by specialization. For the user, instructors and admins.',
      authScopes: ({ id }) => ({ $any: seenBy(id) }),
      query: { orderBy: { code: 'asc' } },
    },
    connectionOf(License, 'License'),
  ),
)
