import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { ofWorkout, type OwnWorkout, type WorkoutAnswer, workoutAnswer, workoutIn, workoutInput } from './ownWorkout.ts'
import { existingWorkout } from './planAggregate.ts'
import type { Planning } from './planState.ts'

/** The workout, and whether it had a selection. */
export interface ClearSelectionAnswer extends WorkoutAnswer {
  readonly cleared: boolean
}

/** Clears the selection of a workout. If there is none, nothing changes. */
export const clearSelection: Verb<Planning, OwnWorkout, ClearSelectionAnswer> = {
  name: 'clearSelection',
  ...ofWorkout,
  decide: (state, { workoutId }) =>
    existingWorkout(state, workoutId).selection ? [{ kind: 'selectionCleared', workoutId }] : [],
  answer: (state, workout, events) => ({ ...workoutAnswer(state, workout), cleared: events.length > 0 }),
}

mutation(clearSelection, {
  description:
    'Clears the selection of a workout of the viewer’s: its day and its time of day. If there is no selection, ' +
    'nothing changes, and the answer says so.',
  failed: 'Failed to clear the selection.',
  ...workoutInput,
  payload: (t) => ({
    ...workoutIn(t),
    cleared: t.boolean({
      description: 'False: there was no selection, and nothing changed.',
      resolve: ({ answer }) => answer.cleared,
    }),
  }),
})
