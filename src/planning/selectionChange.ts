import { builder } from '../api/builder.ts'
import { workoutIn } from './planAggregate.ts'
import type { PlanEvent, PlanState, Selected } from './planState.ts'
import { Time } from './selection.ts'

/** What is wanted of a workout's selection: a field that is absent stays, null takes it back. */
export interface SelectionChange extends Partial<Selected> {
  readonly workoutId: string
}

type InputBuilder = PothosSchemaTypes.InputFieldBuilder<import('../api/builder.ts').SchemaTypes, 'InputObject'>

/** The fields of a selection that is to be changed. */
export const selectionFields = (t: InputBuilder) => ({
  workoutId: t.id({ description: 'The workout.' }),
  currentPlanDay: t.field({
    type: 'LocalDate',
    required: false,
    description: 'The day. Left out: it stays as it is; null: none any more.',
  }),
  timeOfDay: t.field({
    type: Time,
    required: false,
    description: 'When in that day. Left out: it stays as it is; null: no certain time any more.',
  }),
})

/** What the inputs of several are made of. */
export const SelectionInput = builder.inputType('SelectionInput', {
  description: 'What is wanted of a workout’s selection.',
  fields: selectionFields,
})

/** One event with what becomes of those selections that change; none if none does. Throws WorkoutNotFound. */
export function changesOf(state: PlanState, wanted: readonly SelectionChange[]): PlanEvent[] {
  const selections = wanted.flatMap(({ workoutId, currentPlanDay, timeOfDay }): [string, Selected][] => {
    const { selection } = workoutIn(state, workoutId)
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
