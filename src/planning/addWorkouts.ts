import { builder } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { mayChange, PlanNotFound, plans } from './planAggregate.ts'
import type { NewWorkout, Planning } from './planState.ts'
import { checkCount, type WorkoutsAnswer, workoutsAnswer, workoutsIn } from './severalWorkouts.ts'
import { parseDetails, parseTitle } from './text.ts'

/** The most workouts in one request. */
const MOST = 100

/**
 * Adds workouts at the end of a plan. Their ids are derived from the actor, the key and the input, so that a retry adds
 * no workout twice, even after the key is forgotten.
 */
export const addWorkouts: Verb<Planning, { planId: string; workouts: readonly NewWorkout[] }, WorkoutsAnswer> = {
  name: 'addWorkouts',
  aggregate: plans,
  root: ({ planId }) => planId,
  slice: ({ workouts }) => workouts.map(({ id }) => id),
  may: (state, _, actor) => mayChange(state, actor),

  decide(state, { workouts }) {
    const added = workouts.filter(({ id }) => !state.workouts[id])
    return added.length ? [{ kind: 'workoutsAdded', workouts: added }] : []
  },

  answer: (state, { workouts }) =>
    workoutsAnswer(
      state,
      workouts.map(({ id }) => id),
    ),
}

const WorkoutInput = builder.inputType('WorkoutInput', {
  description: 'A workout to add to a plan.',
  fields: (t) => ({
    title: t.string({
      description: 'The title, shown in lists and in the calendar: one line of 1 to 200 characters.',
    }),
    details: t.string({
      required: false,
      description: 'The instructions, as plain text of 10,000 characters at most.',
    }),
  }),
})

mutation(addWorkouts, {
  description: 'Adds workouts at the end of a plan of the viewer’s, all of them or none.',
  failed: 'Failed to add the workouts.',
  keyRequired: true,
  input: (t) => ({
    planId: t.id({ description: 'The plan.' }),
    workouts: t.field({ type: [WorkoutInput], description: 'The workouts, in order; 1 to 100.' }),
  }),
  ask({ planId: given, workouts, idempotencyKey }, { id: actorId }) {
    const planId = localId('Plan', given, 'input.planId')
    checkCount('workouts', workouts, MOST)
    return {
      planId,
      workouts: workouts.map((workout, i) => {
        const title = parseTitle(workout.title, `input.workouts[${i}].title`)
        const details = parseDetails(workout.details ?? '', `input.workouts[${i}].details`)
        const name = JSON.stringify(['workout', actorId, idempotencyKey, i, title, details])
        return { id: `${planId}.${idOf(name)}`, title, details }
      }),
    }
  },
  payload: workoutsIn,
  errors: [PlanNotFound],
})
