import type { PayloadBuilder } from '../api/mutation.ts'
import { InvalidInput } from '../commit/errors.ts'
import { planIn } from './ownWorkout.ts'
import { workoutView } from './planAggregate.ts'
import type { PlanState, PlanView, WorkoutView } from './planState.ts'
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

/** The workouts that are there. Those that were removed since are left out. */
export const workoutsAnswer = (state: PlanState, ids: readonly string[]): WorkoutsAnswer => ({
  workouts: ids.filter((id) => state.workouts[id]).map((id) => workoutView(state, id)),
})

/** The plan and the workouts in a payload. */
export const workoutsIn = <Answer extends WorkoutsAnswer>(t: PayloadBuilder<PlanView, Answer>) => ({
  ...planIn(t),
  workouts: t.field({
    type: [Workout],
    description:
      'The workouts in the order of the input, as they are now; those that were removed since, as they were after ' +
      'this request.',
    resolve({ answer, now }) {
      const present = new Map(now.answer.workouts.map((workout) => [workout.id, workout]))
      return answer.workouts.map((workout) => shownWorkout(present.get(workout.id) ?? workout))
    },
  }),
})
