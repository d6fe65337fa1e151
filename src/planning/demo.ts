import type { Workplace } from '../api/workplace.ts'
import { system } from '../commit/aggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { fillPlan, type PlanDefinition } from './fillPlan.ts'
import { updateSelections } from './updateSelections.ts'

/** The id of the demo's plan. */
export const demoPlan = idOf('demo/plan')
/** The id of a workout of the demo's plan. */
export const demoWorkout = (name: string) => `${demoPlan}.${idOf(name)}`

const training: PlanDefinition = {
  planId: demoPlan,
  ownerId: 'demo-learner-1',
  title: 'Off-season',
  workouts: (
    [
      ['easy-run', 'Easy run', '20 minutes, so slowly that you could tell a story.'],
      ['ladder', 'Ladder drill', 'Three rounds of two minutes, one minute of rest.'],
      ['strength', 'Strength', '1. Squats, 3 × 12\n2. Rows, 3 × 10\n3. Plank, 3 × 40 seconds'],
      ['catches', 'Forty catches', 'Chest and above, from both sides.'],
    ] as const
  ).map(([name, title, details]) => ({ id: demoWorkout(name), title, details })),
}

/** A training plan of one learner, with two workouts in the calendar. */
export async function demo({ commit }: Workplace): Promise<void> {
  await commit(fillPlan, { actor: system, input: training })
  await commit(updateSelections, {
    actor: { id: training.ownerId, role: 'LEARNER' },
    input: {
      selections: [
        { workoutId: demoWorkout('easy-run'), currentPlanDay: '2027-03-29', timeOfDay: 'MORNING' },
        { workoutId: demoWorkout('ladder'), currentPlanDay: '2027-03-30', timeOfDay: 'MORNING' },
      ],
    },
    key: 'demo', // a repeated demo is a replay and keeps later selections
  })
}
