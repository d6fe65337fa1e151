import type { PayloadBuilder } from '../api/mutation.ts'
import { InvalidInput } from '../commit/errors.ts'
import { planIn } from './ownWorkout.ts'
import type { PlanView, WorkoutView } from './planState.ts'
import { shownWorkout, Workout } from './workout.ts'

/** The answer of verbs about several workouts: one view for each item of the input, in its order. */
export interface WorkoutsAnswer {
  readonly workouts: readonly WorkoutView[]
}

/** Throws InvalidInput unless `input.<name>` has 1 to `most` items. */
export function checkCount(name: string, items: readonly unknown[], most: number): void {
  if (items.length >= 1 && items.length <= most) return
  const field = `input.${name}`
  throw new InvalidInput(field, `${field} has ${items.length} ${name}. Wanted are 1 to ${most}.`)
}

/** The plan and the workouts in a payload. */
export const workoutsIn = <Answer extends WorkoutsAnswer>(t: PayloadBuilder<PlanView, Answer>) => ({
  ...planIn(t),
  workouts: t.field({
    type: [Workout],
    description: 'The workouts in the order of the input, as committed.',
    resolve: ({ answer }) => answer.workouts.map(shownWorkout),
  }),
})
