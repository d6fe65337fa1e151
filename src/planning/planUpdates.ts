import { encodeGlobalID } from '@pothos/plugin-relay'
import { builder, localId, SHOWN } from '../api/builder.ts'
import type { Context } from '../api/context.ts'
import { whole } from '../commit/aggregate.ts'
import type { ChangeItem, SnapshotItem } from '../journal/follow.ts'
import { Plan, shownPlan } from './plan.ts'
import { plans } from './planAggregate.ts'
import type { PlanState, PlanView } from './planState.ts'
import { plansOf } from './visibility.ts'
import { shownWorkout, Workout } from './workout.ts'
import { change } from '../api/change.ts'
import { NotFound, stream, Why } from '../api/stream.ts'

const PlanSnapshot = builder.objectRef<SnapshotItem<PlanState>>('PlanSnapshot').implement({
  description: 'A plan as it is, whole, at one version.',
  fields: (t) => ({
    why: t.expose('why', { type: Why, description: 'Why this is told, and not a change.' }),
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'Behind this; what to give as `after` to go on from here.',
    }),
    version: t.exposeInt('version', { description: 'The version that it is at.' }),
    plan: t.field({
      type: Plan,
      grantScopes: SHOWN,
      description: 'The plan at this version.',
      resolve: ({ present }) => shownPlan(plans.view(present)),
    }),
    workouts: t.field({
      type: [Workout],
      description: 'Its workouts at this version, in their order, with their selections.',
      resolve: ({ present: { workouts } }) =>
        Object.entries(workouts)
          .map(([id, workout]) => shownWorkout({ id, ...workout }))
          .sort((a, b) => a.position - b.position),
    }),
  }),
})

const PlanChange = builder.objectRef<ChangeItem>('PlanChange').implement({
  description: 'One change of a plan, as it was committed.',
  fields: (t) => ({
    ...change(t),
    kind: t.field({ type: Kind, description: 'What happened.', resolve: ({ event }) => event.kind as never }),
    plan: t.field({
      type: Plan,
      grantScopes: SHOWN,
      description: 'The plan as this change left it.',
      resolve: ({ event }) => shownPlan(event.view as PlanView),
    }),
    workouts: t.field({
      type: [Workout],
      description:
        'The workouts that were changed, with their selections, as this change left them; in the order of the plan.',
      resolve: ({ event }) => ((event.view as PlanView).workouts ?? []).map(shownWorkout),
    }),
    removedWorkoutIds: t.idList({
      description: 'The ids of the workouts that were removed.',
      resolve: ({ event }) => ((event.view as PlanView).removed ?? []).map((id) => encodeGlobalID('Workout', id)),
    }),
  }),
})

const Kind = builder.enumType('PlanChangeKind', {
  description: 'What can happen to a plan.',
  values: {
    PLAN_CREATED: { value: 'planCreated', description: 'It was made.' },
    WORKOUTS_ADDED: { value: 'workoutsAdded', description: 'It has more workouts.' },
    WORKOUTS_REVISED: {
      value: 'workoutsRevised',
      description: 'Titles and details of workouts are those of a file that was imported.',
    },
    WORKOUT_RENAMED: { value: 'workoutRenamed', description: 'A workout has another title.' },
    WORKOUT_REMOVED: { value: 'workoutRemoved', description: 'A workout is gone, and its selection with it.' },
    SELECTIONS_UPDATED: { value: 'selectionsUpdated', description: 'Workouts are to be done at another time.' },
    SELECTION_CLEARED: { value: 'selectionCleared', description: 'It is no longer said when a workout is to be done.' },
  },
})

stream('planUpdates', {
  description: 'Follows one plan; for its owner, and admins.',
  args: (t) => ({ planId: t.id({ required: true, description: 'As `Plan.id`.' }) }),
  snapshot: PlanSnapshot,
  change: PlanChange,
  open({ planId }) {
    const id = localId('Plan', planId as string, 'planId')
    return {
      source: {
        subject: { rootType: 'Plan', rootId: id },
        read: plans.read(whole(id)),
        load: (rows) => plans.load(rows)[0],
        missing,
      },
      guards: [],
      authorize: async ({ db, viewer }: Context) => {
        if (!(await db.plan.findFirst({ where: { id, AND: plansOf(viewer) }, select: { id: true } }))) throw missing()
      },
    }
  },
})

const missing = () => new NotFound('There is no such plan, or you may not see it.')
