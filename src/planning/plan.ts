import { builder, unlessShown } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { localId } from '../api/globalId.ts'
import { showError, showRoot } from '../api/domainError.ts'
import { allOf, containing, ordersOf } from '../api/listing.ts'
import type { Plan as PlanRow, Prisma } from '../generated/prisma/client.ts'
import { User } from '../identity/user.ts'
import { calendar, PlanDay } from './calendar.ts'
import { PlanNotFound } from './planAggregate.ts'
import type { PlanView } from './planState.ts'
import { plansOf } from './visibility.ts'

/** A training plan. Visible to its owner and to admins. */
export const Plan = builder.prismaNode('Plan', {
  description: 'A training plan of one user: workouts, and the days and times for which they are scheduled.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, AND: plansOf(viewer) }),
  authScopes: ({ ownerId }) => unlessShown({ self: ownerId, admin: true }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description:
        'The number of changes so far, from 1. Pass it as `expectedVersion` to refuse a change of another version.',
    }),
    title: t.exposeString('title', { description: 'The title, shown in lists.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the plan was created.' }),
    owner: t.relation('owner', { nullable: true, description: 'The user whose plan this is.' }),
    days: t.field({
      type: [PlanDay],
      nullable: true,
      description: 'The calendar: every day from `from` to `to`, both included, 366 at most, with its workouts.',
      args: {
        from: t.arg({ type: 'LocalDate', description: 'The first day.' }),
        to: t.arg({ type: 'LocalDate', description: 'The last day, not before `from`.' }),
      },
      resolve: ({ id }, { from, to }, context) => calendar(id, from, to, context),
    }),
  }),
})

/** A committed plan as the API shows it. */
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
    args: { id: t.arg.id({ description: 'A `Plan.id`.' }) },
    resolve: (query, _, { id }, { db, viewer }) =>
      db.plan.findFirst({ ...query, where: { id: localId('Plan', id, 'id'), AND: plansOf(viewer) } }),
  }),
)

const PlanFilterInput = builder.inputType('PlanFilterInput', {
  description: 'Which plans to list.',
  fields: (t) => ({
    title: t.string({
      required: false,
      description: 'Those whose title contains this text, in capitals or not: 1 to 200 characters.',
    }),
  }),
})

const orders = ordersOf('Plan', {
  of: 'plans',
  fields: {
    TITLE: { description: 'By `title`.', by: (title): Prisma.PlanOrderByWithRelationInput => ({ title }) },
    CREATED_AT: { description: 'By `createdAt`.', by: (createdAt) => ({ createdAt }) },
  },
  otherwise: { field: 'CREATED_AT', direction: 'desc' },
})

builder.prismaObjectField(User, 'plans', (t) =>
  t.relatedConnection(
    'plans',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The user’s training plans, newest first if nothing else is asked for. For the user and for admins.',
      authScopes: ({ id }) => ({ $any: { self: id, admin: true } }),
      args: {
        filter: t.arg({ type: PlanFilterInput, required: false, description: 'Which plans to list; all by default.' }),
        orderBy: orders.arg(t.arg),
      },
      query: ({ filter, orderBy, ...page }) => {
        const title = containing(filter?.title, 'filter.title')
        return { where: allOf([title && { title }], page), orderBy: orders.by(orderBy) }
      },
    },
    connectionOf(Plan, 'Plan'),
  ),
)

showError(PlanNotFound, 'There is no such plan, or it is not the viewer’s.', (t) => ({
  planId: t.globalID({
    description: 'The id that the request named.',
    resolve: ({ planId }) => ({ type: 'Plan', id: planId }),
  }),
}))
