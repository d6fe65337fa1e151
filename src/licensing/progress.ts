import { builder, unlessShown } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { showError, showRoot } from '../api/domainError.ts'
import { Prisma, type SpecializationProgress as ProgressRow } from '../generated/prisma/client.ts'
import { User } from '../identity/user.ts'
import { ConsistencyType, RecommendedAction } from './consistency.ts'
import { codeOf, recordArgs, recordIn, userOf } from './id.ts'
import { RecordNotFound, RecordsOutOfSync } from './standingError.ts'
import type { StandingView } from './standingState.ts'
import { seenBy, visibleTo } from './visibility.ts'

/** A user's progress in a specialization. Visible to the user, instructors and admins. */
export const SpecializationProgress = builder.prismaNode('SpecializationProgress', {
  description: 'A user’s progress in a specialization: the level and the totals.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ userId }) => unlessShown(seenBy(userId)),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description:
        'The number of changes of the progress and its license, from 1. Mutations compare `expectedVersion` with it.',
    }),
    user: t.relation('user', { nullable: true, description: 'The user whose progress this is.' }),
    specialization: t.relation('specialization', { nullable: true, description: 'The specialization.' }),
    currentLevel: t.exposeInt('currentLevel', { description: 'The level. The license has the same.' }),
    totalXp: t.exposeInt('totalXp', { description: 'The XP gained, minus what was subtracted.' }),
    completedSessions: t.exposeInt('completedSessions', { description: 'The number of completed sessions.' }),
    theoryHours: t.float({
      description: 'Hours of theory, with two decimals at most; 0 if the specialization does not count hours.',
      resolve: ({ theoryHours }) => theoryHours.toNumber(),
    }),
    practiceHours: t.float({
      description: 'Hours of practice, with two decimals at most; 0 if the specialization does not count hours.',
      resolve: ({ practiceHours }) => practiceHours.toNumber(),
    }),
  }),
})

/** A committed progress as the API shows it. The standing must have begun. */
export function shownProgress({ id, version, progress }: StandingView): ProgressRow {
  const { theoryHours, practiceHours, ...others } = progress! // from version 1
  return {
    ...others,
    ...{ id, version, userId: userOf(id), code: codeOf(id) },
    theoryHours: new Prisma.Decimal(theoryHours),
    practiceHours: new Prisma.Decimal(practiceHours),
  }
}

showRoot('SpecializationProgress', shownProgress)

builder.queryField('specializationProgress', (t) =>
  t.prismaField({
    type: SpecializationProgress,
    nullable: true,
    description:
      'A progress by its id, or by user and specialization; null if the user has not begun or the viewer may not ' +
      'see it. Exactly one of `id` and `specialization` is needed.',
    args: recordArgs(t.arg, 'SpecializationProgress'),
    resolve: (query, _, name, { db, viewer }) =>
      db.specializationProgress.findFirst({
        ...query,
        where: { id: recordIn(name, 'SpecializationProgress', viewer!), AND: visibleTo(viewer) },
      }),
  }),
)

builder.prismaObjectField(User, 'specializationProgress', (t) =>
  t.relatedConnection(
    'specializationProgress',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description:
        'The user’s progress in each specialization that they have begun, ordered by specialization. For the ' +
        'user, instructors and admins.',
      authScopes: ({ id }) => ({ $any: seenBy(id) }),
      query: { orderBy: { code: 'asc' } },
    },
    connectionOf(SpecializationProgress, 'SpecializationProgress'),
  ),
)

showError(
  RecordsOutOfSync,
  'Progress and license have different levels, or one of them is missing. An admin must sync them first, with ' +
    '`syncRecords`.',
  (t) => ({
    recommendedAction: t.field({
      type: RecommendedAction,
      description: 'How to repair it.',
      resolve: ({ consistency }) => consistency.recommendedAction,
    }),
    consistency: t.field({
      type: ConsistencyType,
      description: 'How the two records differ.',
      resolve: ({ consistency }) => consistency,
    }),
  }),
)

/** One of the two records of a standing. */
export const RecordSource = builder.enumType('RecordSource', {
  description: 'One of the two records of a user in a specialization.',
  values: {
    PROGRESS: { description: 'The progress: it is right if the user earned the level.' },
    LICENSE: { description: 'The license: it is right if somebody changed the license itself.' },
  } as const,
})

showError(RecordNotFound, 'The record chosen as the source does not exist.', (t) => ({
  record: t.expose('record', { type: RecordSource, description: 'The record that does not exist.' }),
}))
