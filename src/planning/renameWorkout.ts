import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, planOf, plans, WorkoutNotFound, workoutIn, workoutView } from './planAggregate.ts'
import type { Planning, WorkoutView } from './planState.ts'
import { titleIn } from './text.ts'
import { shownWorkout, Workout } from './workout.ts'

mutation('renameWorkout', {
  verb: () => renameWorkout,
  description:
    'Gives a workout of the viewer’s another title. The title that it has already is a success that changes nothing.',
  failed: 'Failed to rename the workout.',
  input: (t) => ({
    workoutId: t.id({ description: 'The workout.' }),
    title: t.string({ description: 'What it is to be called: one line of 1 to 200 characters.' }),
  }),
  ask: ({ workoutId, title }) => ({
    workoutId: localId('Workout', workoutId, 'input.workoutId'),
    title: titleIn(title, 'input.title'),
  }),
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
    workout: t.field({
      type: Workout,
      description: 'The workout, as it was committed.',
      resolve: ({ answer }) => shownWorkout(answer.workout),
    }),
  }),
  errors: [WorkoutNotFound],
})

export interface RenameWorkoutAnswer {
  readonly workout: WorkoutView
}

/** A workout has one title; the same again changes nothing. */
export const renameWorkout: Verb<Planning, { workoutId: string; title: string }, RenameWorkoutAnswer> = {
  name: 'renameWorkout',
  aggregate: plans,
  root: ({ workoutId }) => planOf(workoutId),
  slice: ({ workoutId }) => [workoutId],
  may: (state, { workoutId }, actor) => mayChange(state, actor, workoutId),
  decide: (state, { workoutId, title }) =>
    workoutIn(state, workoutId).title === title ? [] : [{ kind: 'workoutRenamed', workoutId, title }],
  answer: (state, { workoutId }) => ({ workout: workoutView(state, workoutId) }),
}
