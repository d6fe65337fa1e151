import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutView } from './planAggregate.ts'
import type { Planning, WorkoutView } from './planState.ts'
import { shownSelection, WorkoutSelection } from './selection.ts'
import { changesOf, type SelectionChange, selectionFields } from './selectionChange.ts'
import { shownWorkout, Workout } from './workout.ts'

mutation('updateSelection', {
  verb: () => updateSelection,
  description:
    'Says when a workout of the viewer’s is to be done: the day, the time of day, or both. A field that is left out stays as it is, null takes it back. What it says already is a success that changes nothing.',
  failed: 'Failed to update the selection.',
  input: selectionFields,
  ask: ({ workoutId, currentPlanDay, timeOfDay }) => ({
    workoutId: localId('Workout', workoutId, 'input.workoutId'),
    ...(currentPlanDay !== undefined && { currentPlanDay }),
    ...(timeOfDay !== undefined && { timeOfDay }),
  }),
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
    selection: t.field({
      type: WorkoutSelection,
      nullable: true,
      description: 'The selection, as it was committed; null: there was none, and nothing was said.',
      resolve: ({ answer: { workout } }) => workout.selection && shownSelection(workout.id, workout.selection),
    }),
  }),
  errors: [WorkoutNotFound],
})

export interface UpdateSelectionAnswer {
  readonly workout: WorkoutView
}

/**
 * The day and the time of a workout are one selection, whoever sets which of them first, and whether there is one yet
 * or not.
 */
export const updateSelection: Verb<Planning, SelectionChange, UpdateSelectionAnswer> = {
  name: 'updateSelection',
  aggregate: plans,
  root: ({ workoutId }) => planOf(workoutId),
  slice: ({ workoutId }) => [workoutId],
  may: (state, { workoutId }, actor) => mayChange(state, actor, workoutId),
  decide: (state, change) => changesOf(state, [change]),
  answer: (state, { workoutId }) => ({ workout: workoutView(state, workoutId) }),
}
