import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutIn, workoutView } from './planAggregate.ts'
import type { Planning, WorkoutView } from './planState.ts'
import { shownWorkout, Workout } from './workout.ts'

mutation('clearSelection', {
  verb: () => clearSelection,
  description:
    'Takes back all that was said of when a workout of the viewer’s is to be done. Where nothing was, it is a success that says so.',
  failed: 'Failed to clear the selection.',
  input: (t) => ({ workoutId: t.id({ description: 'The workout.' }) }),
  ask: ({ workoutId }) => ({ workoutId: localId('Workout', workoutId, 'input.workoutId') }),
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
    workout: t.field({
      type: Workout,
      description: 'The workout, as it was committed.',
      resolve: ({ answer }) => shownWorkout(answer.workout),
    }),
    cleared: t.boolean({
      description: 'False: there was no selection, and nothing was changed.',
      resolve: ({ answer }) => answer.cleared,
    }),
  }),
  errors: [WorkoutNotFound],
})

export interface ClearSelectionAnswer {
  readonly workout: WorkoutView
  /** False: there was nothing to clear. */
  readonly cleared: boolean
}

/** A workout's selection goes; where there is none, nothing changes. */
export const clearSelection: Verb<Planning, { workoutId: string }, ClearSelectionAnswer> = {
  name: 'clearSelection',
  aggregate: plans,
  root: ({ workoutId }) => planOf(workoutId),
  slice: ({ workoutId }) => [workoutId],
  may: (state, { workoutId }, actor) => mayChange(state, actor, workoutId),
  decide: (state, { workoutId }) =>
    workoutIn(state, workoutId).selection ? [{ kind: 'selectionCleared', workoutId }] : [],
  answer: (state, { workoutId }, events) => ({ workout: workoutView(state, workoutId), cleared: events.length > 0 }),
}
