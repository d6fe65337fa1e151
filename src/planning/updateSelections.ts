import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { InvalidInput } from '../commit/errors.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutView } from './planAggregate.ts'
import type { Planning, WorkoutView } from './planState.ts'
import { changesOf, type SelectionChange, SelectionInput } from './selectionChange.ts'
import { shownWorkout, Workout } from './workout.ts'

/** The most selections that are changed at once. */
const MOST = 500

mutation('updateSelections', {
  verb: () => updateSelections,
  description:
    'Says when several workouts of one plan of the viewer’s are to be done, such as a week that is dragged: all of it or nothing.',
  failed: 'Failed to update the selections.',
  input: (t) => ({
    selections: t.field({
      type: [SelectionInput],
      description: 'What is wanted of each; 1 to 500, of one plan, each workout once.',
    }),
  }),
  ask({ selections }) {
    if (selections.length < 1 || selections.length > MOST)
      throw new InvalidInput(
        'input.selections',
        `input.selections has ${selections.length} selections. Wanted are 1 to ${MOST}.`,
      )
    const places = new Map<string, number>()
    const wanted = selections.map(({ workoutId: given, currentPlanDay, timeOfDay }, i) => {
      const field = `input.selections[${i}].workoutId`
      const workoutId = localId('Workout', given, field)
      const other = places.get(workoutId)
      if (other !== undefined)
        throw new InvalidInput(
          field,
          `${field} is the workout of input.selections[${other}], too. Wanted is each workout once.`,
        )
      places.set(workoutId, i)
      return {
        workoutId,
        ...(currentPlanDay !== undefined && { currentPlanDay }),
        ...(timeOfDay !== undefined && { timeOfDay }),
      }
    })
    const stray = wanted.findIndex(({ workoutId }) => planOf(workoutId) !== planOf(wanted[0]!.workoutId))
    if (stray >= 0) {
      const field = `input.selections[${stray}].workoutId`
      throw new InvalidInput(
        field,
        `${field} is a workout of another plan than input.selections[0].workoutId. Wanted are workouts of one plan.`,
      )
    }
    return { selections: wanted }
  },
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
    workouts: t.field({
      type: [Workout],
      description: 'The workouts that were asked about, in that order, as they were committed.',
      resolve: ({ answer }) => answer.workouts.map(shownWorkout),
    }),
  }),
  errors: [WorkoutNotFound],
})

export interface UpdateSelectionsAnswer {
  readonly workouts: readonly WorkoutView[]
}

/** Several selections of a plan change together, in one event, or none of them does. */
export const updateSelections: Verb<Planning, { selections: readonly SelectionChange[] }, UpdateSelectionsAnswer> = {
  name: 'updateSelections',
  aggregate: plans,
  root: ({ selections }) => planOf(selections[0]!.workoutId),
  slice: ({ selections }) => selections.map(({ workoutId }) => workoutId),
  may: (state, { selections }, actor) => mayChange(state, actor, selections[0]!.workoutId),
  decide: (state, { selections }) => changesOf(state, selections),
  answer: (state, { selections }) => ({ workouts: selections.map(({ workoutId }) => workoutView(state, workoutId)) }),
}
