import type { Verb } from '../commit/aggregate.ts'
import { builder, localId } from '../api/builder.ts'
import { InvalidInput } from '../commit/errors.ts'
import { idOf } from '../commit/derivedId.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { mayChange, PlanNotFound, plans, workoutView } from './planAggregate.ts'
import type { NewWorkout, Planning, WorkoutView } from './planState.ts'
import { detailsIn, titleIn } from './text.ts'
import { shownWorkout, Workout } from './workout.ts'

/** The most workouts that are added at once. */
const MOST = 100

const WorkoutInput = builder.inputType('WorkoutInput', {
  description: 'A workout that is to be in a plan.',
  fields: (t) => ({
    title: t.string({ description: 'What it is to be called: one line of 1 to 200 characters.' }),
    details: t.string({
      required: false,
      description: 'What it consists of, as plain text of 10,000 characters at most.',
    }),
  }),
})

mutation('addWorkouts', {
  verb: () => addWorkouts,
  description: 'Adds workouts at the end of a plan of the viewer’s, all of them or none.',
  failed: 'Failed to add the workouts.',
  keyRequired: true,
  input: (t) => ({
    planId: t.id({ description: 'The plan.' }),
    workouts: t.field({ type: [WorkoutInput], description: 'The workouts, in order; 1 to 100.' }),
  }),
  ask({ planId: given, workouts, idempotencyKey }, { id: actorId }) {
    const planId = localId('Plan', given, 'input.planId')
    if (workouts.length < 1 || workouts.length > MOST)
      throw new InvalidInput(
        'input.workouts',
        `input.workouts has ${workouts.length} workouts. Wanted are 1 to ${MOST}.`,
      )
    return {
      planId,
      workouts: workouts.map((workout, i) => {
        const title = titleIn(workout.title, `input.workouts[${i}].title`)
        const details = detailsIn(workout.details ?? '', `input.workouts[${i}].details`)
        return {
          id: `${planId}.${idOf(JSON.stringify(['workout', actorId, idempotencyKey, i, title, details]))}`,
          title,
          details,
        }
      }),
    }
  },
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
    workouts: t.field({
      type: [Workout],
      description: 'The workouts that were added, in order.',
      resolve: ({ answer }) => answer.workouts.map(shownWorkout),
    }),
  }),
  errors: [PlanNotFound],
})

export interface AddWorkoutsAnswer {
  readonly workouts: readonly WorkoutView[]
}

/**
 * Workouts are added at the end; their ids follow from who asks, their key and what they ask, so that however late it
 * is asked again, they are the same.
 */
export const addWorkouts: Verb<Planning, { planId: string; workouts: readonly NewWorkout[] }, AddWorkoutsAnswer> = {
  name: 'addWorkouts',
  aggregate: plans,
  root: ({ planId }) => planId,
  slice: ({ workouts }) => workouts.map(({ id }) => id),
  may: (state, _, actor) => mayChange(state, actor),

  decide(state, { workouts }) {
    const added = workouts.filter(({ id }) => !state.workouts[id])
    return added.length ? [{ kind: 'workoutsAdded', workouts: added }] : []
  },

  answer: (state, { workouts }) => ({ workouts: workouts.map(({ id }) => workoutView(state, id)) }),
}
