import type { Module } from '../api/module.ts'
import { commands } from './commands.ts'
import { addWorkouts } from './addWorkouts.ts'
import { PlanDay } from './calendar.ts'
import { clearSelection } from './clearSelection.ts'
import { createPlan } from './createPlan.ts'
import { demo } from './demo.ts'
import { examples } from './examples.ts'
import { fillPlan } from './fillPlan.ts'
import { Plan } from './plan.ts'
import { plans } from './planAggregate.ts'
import { PlanVersion } from './planHistory.ts'
import { planUpdates } from './planUpdates.ts'
import { removeWorkout } from './removeWorkout.ts'
import { renameWorkout } from './renameWorkout.ts'
import { WorkoutSelection } from './selection.ts'
import { updateSelection } from './updateSelection.ts'
import { updateSelections } from './updateSelections.ts'
import { Workout } from './workout.ts'

/** What people plan: training plans, their workouts, and when these are scheduled. */
export const planning: Module = {
  name: 'planning',
  aggregates: [plans],
  verbs: [
    ...[createPlan, fillPlan, addWorkouts, renameWorkout, removeWorkout],
    ...[updateSelection, updateSelections, clearSelection],
  ],
  nouns: [Plan, PlanVersion, PlanDay, Workout, WorkoutSelection],
  streams: [planUpdates],
  examples,
  commands,
  demo,
}
