import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { ofWorkout, type WorkoutAnswer, workoutAnswer, workoutIn, workoutInput } from './ownWorkout.ts'
import type { Planning } from './planState.ts'
import { shownSelection, WorkoutSelection } from './selection.ts'
import { changeFrom, changesOf, type SelectionChange, selectionFields } from './selectionChange.ts'

/**
 * Sets the day, the time of day, or both. They are one selection, whichever is set first and whether or not there is a
 * selection yet.
 */
export const updateSelection: Verb<Planning, SelectionChange, WorkoutAnswer> = {
  name: 'updateSelection',
  ...ofWorkout,
  decide: (state, change) => changesOf(state, [change]),
  answer: workoutAnswer,
}

mutation(updateSelection, {
  description:
    'Selects when a workout of the viewer’s is scheduled: the day, the time of day, or both. A field that is ' +
    'left out is kept; null clears it. If nothing differs, nothing changes.',
  failed: 'Failed to update the selection.',
  ...workoutInput,
  input: selectionFields,
  ask: (given) => changeFrom(given, 'input.workoutId'),
  payload: (t) => ({
    ...workoutIn(t),
    selection: t.field({
      type: WorkoutSelection,
      nullable: true,
      description: 'The selection as it is now; null if there is none.',
      resolve: ({
        now: {
          answer: { workout },
        },
      }) => workout.selection && shownSelection(workout.id, workout.selection),
    }),
  }),
})
