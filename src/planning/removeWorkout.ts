import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutIn } from './planAggregate.ts'
import type { Planning } from './planState.ts'

mutation('removeWorkout', {
  verb: () => removeWorkout,
  description:
    'Takes a workout out of a plan of the viewer’s, with its selection. One that is not there, or no longer, is WorkoutNotFound; whoever sends a request again sends the same key.',
  failed: 'Failed to remove the workout.',
  input: (t) => ({ workoutId: t.id({ description: 'The workout.' }) }),
  ask: ({ workoutId }) => ({ workoutId: localId('Workout', workoutId, 'input.workoutId') }),
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
    removedWorkoutId: t.globalID({
      description: 'The id that the workout had.',
      resolve: ({ answer }) => ({ type: 'Workout', id: answer.workoutId }),
    }),
  }),
  errors: [WorkoutNotFound],
})

/** A workout goes, and its selection with it; its position is not given out again. */
export const removeWorkout: Verb<Planning, { workoutId: string }, { readonly workoutId: string }> = {
  name: 'removeWorkout',
  aggregate: plans,
  root: ({ workoutId }) => planOf(workoutId),
  slice: ({ workoutId }) => [workoutId],
  may: (state, { workoutId }, actor) => mayChange(state, actor, workoutId),

  decide(state, { workoutId }) {
    workoutIn(state, workoutId)
    return [{ kind: 'workoutRemoved', workoutId }]
  },

  answer: (_, { workoutId }) => ({ workoutId }),
}
