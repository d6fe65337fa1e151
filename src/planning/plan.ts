import { builder, localId, unlessShown } from '../api/builder.ts'
import type { Plan as PlanRow } from '../generated/prisma/client.ts'
import { User } from '../identity/user.ts'
import { showError, showRoot } from '../api/mutation.ts'
import { calendar, PlanDay } from './calendar.ts'
import { PlanNotFound } from './planAggregate.ts'
import type { PlanView } from './planState.ts'
import { plansOf } from './visibility.ts'

/** One person's training plan: for them, and admins. */
export const Plan = builder.prismaNode('Plan', {
  description: 'A training plan of one person: workouts, and when they are to be done.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: plansOf(viewer) }),
  // told: whoever may see a stream is told what it bears
  authScopes: ({ ownerId }) => unlessShown({ self: ownerId, admin: true }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'Counts its changes, from 1; what `expectedVersion` is compared with.',
    }),
    title: t.exposeString('title', { description: 'What it is called.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    owner: t.relation('owner', { nullable: true, description: 'Whose it is.' }),
    workouts: t.relatedConnection('workouts', {
      cursor: 'id',
      totalCount: true,
      description: 'Its workouts, in their order.',
      query: { orderBy: [{ position: 'asc' }, { id: 'asc' }] },
    }),
    days: t.field({
      type: [PlanDay],
      description:
        'The calendar from one day to another, both included: each day with what is to be done, 366 days at most.',
      args: {
        from: t.arg({ type: 'LocalDate', description: 'The first day.' }),
        to: t.arg({ type: 'LocalDate', description: 'The last day, not before `from`.' }),
      },
      resolve: ({ id }, { from, to }, context) => calendar(id, from, to, context),
    }),
  }),
})

/** A plan as it was committed, as the API shows it. */
export const shownPlan = ({ workouts: _, removed: __, createdAt, ...view }: PlanView): PlanRow => ({
  ...view,
  createdAt: new Date(createdAt),
})

showRoot('Plan', shownPlan)

builder.queryField('plan', (t) =>
  t.prismaField({
    type: Plan,
    nullable: true,
    description: 'A plan by its id; null if there is none or the viewer may not see it.',
    args: { id: t.arg.id({ description: 'As `Plan.id`.' }) },
    resolve: (query, _, { id }, { db, viewer }) =>
      db.plan.findFirst({ ...query, where: { id: localId('Plan', id, 'id'), AND: plansOf(viewer) } }),
  }),
)

builder.prismaObjectField(User, 'plans', (t) =>
  t.relatedConnection('plans', {
    cursor: 'id',
    nullable: true,
    totalCount: true,
    description: 'Their training plans, the newest first; for themselves and for admins.',
    authScopes: ({ id }) => ({ $any: { self: id, admin: true } }),
    query: { orderBy: [{ createdAt: 'desc' }, { id: 'asc' }] },
  }),
)

showError(PlanNotFound, 'There is no such plan, or it is not the viewer’s.', (t) => ({
  planId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ planId }) => ({ type: 'Plan', id: planId }),
  }),
}))
