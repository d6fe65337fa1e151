import { encodeGlobalID } from '@pothos/plugin-relay'
import { builder, SHOWN } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import { followRoot, stream } from '../api/stream.ts'
import { Plan, shownPlan } from './plan.ts'
import { plans } from './planAggregate.ts'
import type { PlanView } from './planState.ts'
import { plansOf } from './visibility.ts'
import { shownWorkout, Workout } from './workout.ts'

/** What can happen to a plan, by the names of its events. */
export const PlanChangeKind = builder.enumType('PlanChangeKind', {
  description: 'What can happen to a plan.',
  values: {
    PLAN_CREATED: { value: 'planCreated', description: 'The plan was created.' },
    WORKOUTS_ADDED: { value: 'workoutsAdded', description: 'Workouts were added at the end.' },
    WORKOUTS_REVISED: {
      value: 'workoutsRevised',
      description: 'An import from a file changed titles or details of workouts.',
    },
    WORKOUT_RENAMED: { value: 'workoutRenamed', description: 'The title of a workout was changed.' },
    WORKOUT_REMOVED: { value: 'workoutRemoved', description: 'A workout was removed, and its selection with it.' },
    SELECTIONS_UPDATED: {
      value: 'selectionsUpdated',
      description: 'The day or the time of day of workouts was changed.',
    },
    SELECTION_CLEARED: { value: 'selectionCleared', description: 'The selection of a workout was cleared.' },
  },
})

/** The journal has views of all kinds of roots; in this stream they are of plans. */
const viewOf = ({ view }: { readonly view: object }) => view as PlanView

/** The subscription to one plan. */
export const planUpdates = stream('planUpdates', {
  description: 'Follows one plan. For its owner, and admins.',
  args: (t) => ({ planId: t.id({ required: true, description: 'A `Plan.id`.' }) }),
  open({ planId }) {
    const id = localId('Plan', planId, 'planId')
    return followRoot(plans, id, {
      missing: 'There is no such plan, or you may not see it.',
      may: async ({ db, viewer }) =>
        (await db.plan.findFirst({ where: { id, AND: plansOf(viewer) }, select: { id: true } })) !== null,
    })
  },
  snapshot: {
    description: 'A whole plan at one version.',
    ofRoot: true,
    fields: (t) => ({
      plan: t.field({
        type: Plan,
        grantScopes: SHOWN,
        description: 'The plan at this version.',
        resolve: ({ present }) => shownPlan(plans.view(present)),
      }),
      workouts: t.field({
        type: [Workout],
        description: 'The workouts at this version, by position, with their selections.',
        resolve: ({ present: { workouts } }) =>
          Object.entries(workouts)
            .map(([id, workout]) => shownWorkout({ id, ...workout }))
            .sort((a, b) => a.position - b.position),
      }),
    }),
  },
  change: {
    description: 'One change of a plan, as committed.',
    kind: PlanChangeKind,
    fields: (t) => ({
      plan: t.field({
        type: Plan,
        grantScopes: SHOWN,
        description:
          'The plan after this change: version and title. What it links to (owner, workouts, days) is the present.',
        resolve: ({ event }) => shownPlan(viewOf(event)),
      }),
      workouts: t.field({
        type: [Workout],
        description: 'The changed workouts after this change, by position, with their selections.',
        resolve: ({ event }) => (viewOf(event).workouts ?? []).map(shownWorkout),
      }),
      removedWorkoutIds: t.idList({
        description: 'The ids of the removed workouts.',
        resolve: ({ event }) => (viewOf(event).removed ?? []).map((id) => encodeGlobalID('Workout', id)),
      }),
    }),
  },
})
