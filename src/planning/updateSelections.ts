import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'
import { mayChange, planOf, plans, WorkoutNotFound } from './planAggregate.ts'
import type { Planning } from './planState.ts'
import { changeFrom, changesOf, type GivenChange, type SelectionChange, SelectionInput } from './selectionChange.ts'
import { checkCount, type WorkoutsAnswer, workoutsAnswer, workoutsIn } from './severalWorkouts.ts'

/** The most selections in one request. */
const MOST = 500

/** Changes several selections of one plan in one event, all of them or none. */
export const updateSelections: Verb<Planning, { selections: readonly SelectionChange[] }, WorkoutsAnswer> = {
  name: 'updateSelections',
  aggregate: plans,
  root: ({ selections }) => planOf(selections[0]!.workoutId),
  slice: ({ selections }) => selections.map(({ workoutId }) => workoutId),
  may: (state, { selections }, actor) => mayChange(state, actor, selections[0]!.workoutId),
  decide: (state, { selections }) => changesOf(state, selections),
  answer: (state, { selections }) =>
    workoutsAnswer(
      state,
      selections.map(({ workoutId }) => workoutId),
    ),
}

mutation(updateSelections, {
  description:
    'Selects when several workouts of one plan of the viewer’s are scheduled, such as a week that is dragged: ' +
    'all of them or none.',
  failed: 'Failed to update the selections.',
  input: (t) => ({
    selections: t.field({
      type: [SelectionInput],
      description: 'The selections, 1 to 500. All workouts belong to one plan, and each is named once.',
    }),
  }),
  ask({ selections: given }) {
    checkCount('selections', given, MOST)
    const selections = eachOnce(given)
    expectOnePlan(selections)
    return { selections }
  },
  payload: workoutsIn,
  errors: [WorkoutNotFound],
})

const pathOf = (i: number) => `input.selections[${i}].workoutId`

/** The changes from their inputs. Throws InvalidInput if two are of the same workout. */
function eachOnce(given: readonly GivenChange[]): SelectionChange[] {
  const places = new Map<string, number>()
  return given.map((one, i) => {
    const change = changeFrom(one, pathOf(i))
    const other = places.get(change.workoutId)
    if (other !== undefined)
      throw new InvalidInput(
        pathOf(i),
        `${pathOf(i)} is also the workout of input.selections[${other}]. Wanted is each workout once.`,
      )
    places.set(change.workoutId, i)
    return change
  })
}

/** Throws InvalidInput if the workouts are of more than one plan. */
function expectOnePlan(changes: readonly SelectionChange[]): void {
  const stray = changes.findIndex(({ workoutId }) => planOf(workoutId) !== planOf(changes[0]!.workoutId))
  if (stray < 0) return
  throw new InvalidInput(
    pathOf(stray),
    `${pathOf(stray)} is a workout of another plan than ${pathOf(0)}. Wanted are workouts of one plan.`,
  )
}
