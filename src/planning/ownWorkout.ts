import { localId } from '../api/globalId.ts'
import { committedField } from '../api/history.ts'
import type { InputBuilder, PayloadBuilder } from '../api/mutation.ts'
import type { Actor } from '../commit/aggregate.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutView } from './planAggregate.ts'
import { PlanVersion } from './planHistory.ts'
import type { PlanState, PlanView, WorkoutView } from './planState.ts'
import { shownWorkout, Workout } from './workout.ts'

/** A workout of the viewer's own. */
export interface OwnWorkout {
  readonly workoutId: string
}

/** The answer of verbs about one workout. */
export interface WorkoutAnswer {
  readonly workout: WorkoutView
}

/** What verbs about one workout share. */
export const ofWorkout = {
  aggregate: plans,
  root: ({ workoutId }: OwnWorkout) => planOf(workoutId),
  slice: ({ workoutId }: OwnWorkout) => [workoutId],
  may: (state: PlanState, { workoutId }: OwnWorkout, actor: Actor) => mayChange(state, actor, workoutId),
}

/** The workout as it will be committed. */
export const workoutAnswer = (state: PlanState, { workoutId }: OwnWorkout): WorkoutAnswer => ({
  workout: workoutView(state, workoutId),
})

/** The input and the errors of mutations about one workout of the viewer's. */
export const workoutInput = {
  input: (t: InputBuilder) => ({ workoutId: t.id({ description: 'The workout.' }) }),
  ask: ({ workoutId }: OwnWorkout): OwnWorkout => ({ workoutId: localId('Workout', workoutId, 'input.workoutId') }),
  errors: [WorkoutNotFound],
}

/** The plan in a payload. */
export const planIn = <Answer>(t: PayloadBuilder<PlanView, Answer>) => ({
  plan: t.field({
    type: Plan,
    description: 'The plan as it is now.',
    resolve: ({ now }) => shownPlan(now.view),
  }),
  ...committedField(t, plans, PlanVersion),
})

/** The plan and the workout in a payload. */
export const workoutIn = <Answer extends WorkoutAnswer>(t: PayloadBuilder<PlanView, Answer>) => ({
  ...planIn(t),
  workout: t.field({
    type: Workout,
    description: 'The workout as it is now; if it was removed since, as it was after this request.',
    resolve: ({ now }) => shownWorkout(now.answer.workout),
  }),
})
