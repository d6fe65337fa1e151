import { builder, localId, unlessShown } from '../api/builder.ts'
import { Prisma, type SpecializationProgress as ProgressRow } from '../generated/prisma/client.ts'
import { showError, showRoot } from '../api/mutation.ts'
import { ConsistencyType, RecommendedAction } from './consistency.ts'
import { codeIn, codeOf, standingOf, userOf } from './id.ts'
import { RecordNotFound, RecordsDisagree } from './standingAggregate.ts'
import type { StandingView } from './standingState.ts'
import { visibleTo } from './visibility.ts'

/** How far somebody is in a specialization: for the person, instructors and admins. */
export const SpecializationProgress = builder.prismaNode('SpecializationProgress', {
  description: 'How far somebody is in a specialization.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer) }),
  authScopes: ({ userId }) => unlessShown({ self: userId, instructor: true, admin: true }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'Counts its changes, and those of the license, from 1; what `expectedVersion` is compared with.',
    }),
    user: t.relation('user', { nullable: true, description: 'Whose it is.' }),
    specialization: t.relation('specialization', { nullable: true, description: 'In what.' }),
    currentLevel: t.exposeInt('currentLevel', { description: 'The level; the license has the same.' }),
    totalXp: t.exposeInt('totalXp', { description: 'All XP that was gained, less what was taken back.' }),
    completedSessions: t.exposeInt('completedSessions', { description: 'How many sessions were completed.' }),
    theoryHours: t.float({
      description: 'Hours of theory, to the hundredth; 0 where hours are not counted.',
      resolve: ({ theoryHours }) => theoryHours.toNumber(),
    }),
    practiceHours: t.float({
      description: 'Hours of practice, to the hundredth; 0 where hours are not counted.',
      resolve: ({ practiceHours }) => practiceHours.toNumber(),
    }),
  }),
})

/** Progress as it was committed, as the API shows it. */
export const shownProgress = ({ id, version, progress }: StandingView): ProgressRow | null =>
  progress && {
    ...progress,
    id,
    version,
    userId: userOf(id),
    code: codeOf(id),
    theoryHours: new Prisma.Decimal(progress.theoryHours),
    practiceHours: new Prisma.Decimal(progress.practiceHours),
  }

showRoot<StandingView>('SpecializationProgress', (view) => shownProgress(view)!)

builder.queryField('specializationProgress', (t) =>
  t.prismaField({
    type: SpecializationProgress,
    nullable: true,
    description: 'How far somebody is in a specialization; null if they have not begun or the viewer may not see it.',
    args: {
      userId: t.arg.id({ description: 'As `User.id`.' }),
      specialization: t.arg.string({ description: 'As `Specialization.code`.' }),
    },
    resolve: (query, _, { userId, specialization }, { db, viewer }) =>
      db.specializationProgress.findFirst({
        ...query,
        where: {
          id: standingOf(localId('User', userId, 'userId'), codeIn(specialization, 'specialization')),
          AND: visibleTo(viewer),
        },
      }),
  }),
)

builder.prismaObjectField('User' as never, 'specializationProgress', (t) =>
  t.relatedConnection(
    'specializationProgress' as never,
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description:
        'How far they are in each specialization that they have begun; for themselves, instructors and admins.',
      authScopes: ({ id }: { id: string }) => ({ $any: { self: id, instructor: true, admin: true } }),
      query: { orderBy: { code: 'asc' } },
    } as never,
  ),
)

showError(
  RecordsDisagree,
  'Progress and license do not say the same, so that there is nothing to go on from. An admin has to mend that first.',
  (t) => ({
    recommendedAction: t.field({
      type: RecommendedAction,
      description: 'What mends it.',
      resolve: ({ consistency }) => consistency.recommendedAction,
    }),
    consistency: t.field({
      type: ConsistencyType,
      description: 'What was found.',
      resolve: ({ consistency }) => consistency,
    }),
  }),
)

/** One of the two records that are kept of a standing. */
export const RecordSource = builder.enumType('RecordSource', {
  description: 'One of the two records that are kept of somebody in a specialization.',
  values: {
    PROGRESS: { description: 'The progress: right where the person earned the level.' },
    LICENSE: { description: 'The license: right where somebody advanced the license itself.' },
  } as const,
})

showError(RecordNotFound, 'The record that was to be gone by is not there.', (t) => ({
  record: t.expose('record', { type: RecordSource, description: 'Which.' }),
}))
