import { columns, moment, number, text, type Values } from '../commit/columns.ts'

export const planColumns = columns({
  ownerId: text(''),
  title: text(''),
  /** The position of the workout that was added last. A position is never used again. */
  lastPosition: number(),
  createdAt: moment(),
})

/** One person's training plan, with the workouts that were asked for. Version 0: there is none yet. */
export interface PlanState extends Values<typeof planColumns> {
  readonly id: string
  readonly version: number
  /** By id, as far as they were asked for. */
  readonly workouts: Readonly<Record<string, WorkoutState>>
}
export interface WorkoutState extends WorkoutText {
  readonly position: number
  /** When it is to be done; null: nothing was ever said, or all was taken back. */
  readonly selection: SelectionState | null
}
export interface WorkoutText {
  readonly title: string
  readonly details: string
}
export interface SelectionState extends Selected {
  /** The workout's, but of rows that came from elsewhere. */
  readonly id: string
  readonly updatedAt: string
}
/** When a workout is to be done. */
export interface Selected {
  /** `YYYY-MM-DD` */
  readonly currentPlanDay: string | null
  readonly timeOfDay: 'MORNING' | 'AFTERNOON' | 'EVENING' | null
}

/** A workout that is to be in a plan. */
export interface NewWorkout extends WorkoutText {
  readonly id: string
}

/** What can happen to a plan. What is updated or revised is told as it is then, not how it differs. */
export type PlanEvent =
  | { readonly kind: 'planCreated'; readonly ownerId: string; readonly title: string }
  | { readonly kind: 'workoutsAdded'; readonly workouts: readonly NewWorkout[] }
  | { readonly kind: 'workoutsRevised'; readonly workouts: readonly NewWorkout[] }
  | { readonly kind: 'workoutRenamed'; readonly workoutId: string; readonly title: string }
  | { readonly kind: 'workoutRemoved'; readonly workoutId: string }
  | { readonly kind: 'selectionsUpdated'; readonly selections: Readonly<Record<string, Selected>> }
  | { readonly kind: 'selectionCleared'; readonly workoutId: string }

/**
 * A plan as answers and subscribers are shown it. The view of an event also has the workouts that it changed, or the ids
 * of those that it removed.
 */
export interface PlanView extends Values<typeof planColumns> {
  readonly id: string
  readonly version: number
  readonly workouts?: readonly WorkoutView[]
  readonly removed?: readonly string[]
}
/** A workout as it was committed. Its details, which may be long, are there only where they were written. */
export interface WorkoutView {
  readonly id: string
  readonly position: number
  readonly title: string
  readonly details?: string
  readonly selection: SelectionState | null
}

/** The types of the planning module's aggregate. */
export interface Planning {
  readonly state: PlanState
  readonly event: PlanEvent
  readonly view: PlanView
}
