import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { ofWorkout, type OwnWorkout, planIn, workoutInput } from './ownWorkout.ts'
import { existingWorkout } from './planAggregate.ts'
import type { Planning } from './planState.ts'

/** Removes a workout and its selection; answers with its id. Its position is not used again. */
export const removeWorkout: Verb<Planning, OwnWorkout, OwnWorkout> = {
  name: 'removeWorkout',
  ...ofWorkout,

  decide(state, { workoutId }) {
    existingWorkout(state, workoutId)
    return [{ kind: 'workoutRemoved', workoutId }]
  },

  answer: (_, { workoutId }) => ({ workoutId }),
}

mutation(removeWorkout, {
  description:
    'Removes a workout from a plan of the viewer’s, with its selection. For a workout that was removed before, ' +
    'the answer is WorkoutNotFound; a retry with the same key is told that it was removed.',
  failed: 'Failed to remove the workout.',
  ...workoutInput,
  payload: (t) => ({
    ...planIn(t),
    removedWorkoutId: t.globalID({
      description: 'The id of the removed workout.',
      resolve: ({ answer }) => ({ type: 'Workout', id: answer.workoutId }),
    }),
  }),
})
