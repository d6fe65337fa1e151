import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { ofWorkout, type OwnWorkout, type WorkoutAnswer, workoutAnswer, workoutIn, workoutInput } from './ownWorkout.ts'
import { existingWorkout } from './planAggregate.ts'
import type { Planning } from './planState.ts'
import { parseTitle } from './text.ts'

/** Changes the title of a workout. The current title changes nothing. */
export const renameWorkout: Verb<Planning, OwnWorkout & { readonly title: string }, WorkoutAnswer> = {
  name: 'renameWorkout',
  ...ofWorkout,
  decide: (state, { workoutId, title }) =>
    existingWorkout(state, workoutId).title === title ? [] : [{ kind: 'workoutRenamed', workoutId, title }],
  answer: workoutAnswer,
}

mutation(renameWorkout, {
  description: 'Changes the title of a workout of the viewer’s. If it is the current title, nothing changes.',
  failed: 'Failed to rename the workout.',
  ...workoutInput,
  input: (t) => ({
    ...workoutInput.input(t),
    title: t.string({ description: 'The new title: one line of 1 to 200 characters.' }),
  }),
  ask: ({ workoutId, title }) => ({ ...workoutInput.ask({ workoutId }), title: parseTitle(title, 'input.title') }),
  payload: workoutIn,
})
