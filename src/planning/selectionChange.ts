import { builder } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import type { InputBuilder } from '../api/mutation.ts'
import { existingWorkout } from './planAggregate.ts'
import type { PlanEvent, PlanState, Selected } from './planState.ts'
import { Time } from './selection.ts'

/** A change of a workout's selection. An absent field is kept; null clears it. */
export interface SelectionChange extends Partial<Selected> {
  readonly workoutId: string
}

/** The input fields of a change of a selection. */
export const selectionFields = (t: InputBuilder) => ({
  workoutId: t.id({ description: 'The workout.' }),
  currentPlanDay: t.field({
    type: 'LocalDate',
    required: false,
    description: 'The day. Left out: it is kept; null: it is cleared.',
  }),
  timeOfDay: t.field({
    type: Time,
    required: false,
    description: 'The time of day. Left out: it is kept; null: it is cleared.',
  }),
})

/** One item of an input with several changes. */
export const SelectionInput = builder.inputType('SelectionInput', {
  description: 'A change of a workout’s selection.',
  fields: selectionFields,
})

/** A change as it is given in an input: with a global id. */
export type GivenChange = typeof SelectionInput.$inferInput

/** Returns a given change; `field` is the path of its workout. Throws InvalidInput. */
export const changeFrom = ({ workoutId, currentPlanDay, timeOfDay }: GivenChange, field: string): SelectionChange => ({
  workoutId: localId('Workout', workoutId, field),
  ...(currentPlanDay !== undefined && { currentPlanDay }),
  ...(timeOfDay !== undefined && { timeOfDay }),
})

/** Returns one event with the selections that differ, or none if none does. Throws WorkoutNotFound. */
export function changesOf(state: PlanState, wanted: readonly SelectionChange[]): PlanEvent[] {
  const selections = wanted.flatMap(({ workoutId, currentPlanDay, timeOfDay }): [string, Selected][] => {
    const { selection } = existingWorkout(state, workoutId)
    const before = { currentPlanDay: selection?.currentPlanDay ?? null, timeOfDay: selection?.timeOfDay ?? null }
    const after = {
      currentPlanDay: currentPlanDay === undefined ? before.currentPlanDay : currentPlanDay,
      timeOfDay: timeOfDay === undefined ? before.timeOfDay : timeOfDay,
    }
    return after.currentPlanDay === before.currentPlanDay && after.timeOfDay === before.timeOfDay
      ? []
      : [[workoutId, after]]
  })
  return selections.length ? [{ kind: 'selectionsUpdated', selections: Object.fromEntries(selections) }] : []
}
