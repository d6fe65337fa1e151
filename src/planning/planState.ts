import { columns, moment, number, text, type Values } from '../commit/columns.ts'

/** The columns of a plan. */
export const planColumns = columns({
  ownerId: text(''),
  title: text(''),
  /** The position of the last workout added. Positions are not used again. */
  lastPosition: number(),
  createdAt: moment(),
})

/** One user's training plan. Version 0: it does not exist yet. */
export interface PlanState extends Values<typeof planColumns> {
  readonly id: string
  readonly version: number
  /** By id: those that were read. */
  readonly workouts: Readonly<Record<string, WorkoutState>>
}
/** A workout of a plan. */
export interface WorkoutState extends WorkoutText {
  readonly position: number
  /** Null: nothing was selected, or the selection was cleared. */
  readonly selection: SelectionState | null
}
/** What people read of a workout. */
export interface WorkoutText {
  readonly title: string
  readonly details: string
}
/** A selection as stored. */
export interface SelectionState extends Selected {
  /** The workout's id, except in rows that were copied from another system. */
  readonly id: string
  readonly updatedAt: string
}
/** When a workout is scheduled. Null: not selected. */
export interface Selected {
  /** `YYYY-MM-DD` */
  readonly currentPlanDay: string | null
  readonly timeOfDay: 'MORNING' | 'AFTERNOON' | 'EVENING' | null
}

/** A workout to add to a plan, or to revise. */
export interface NewWorkout extends WorkoutText {
  readonly id: string
}

/** What can happen to a plan. Events have the new values, not the differences. */
export type PlanEvent =
  | { readonly kind: 'planCreated'; readonly ownerId: string; readonly title: string }
  | { readonly kind: 'workoutsAdded'; readonly workouts: readonly NewWorkout[] }
  | { readonly kind: 'workoutsRevised'; readonly workouts: readonly NewWorkout[] }
  | { readonly kind: 'workoutRenamed'; readonly workoutId: string; readonly title: string }
  | { readonly kind: 'workoutRemoved'; readonly workoutId: string }
  | { readonly kind: 'selectionsUpdated'; readonly selections: Readonly<Record<string, Selected>> }
  | { readonly kind: 'selectionCleared'; readonly workoutId: string }

/**
 * A plan as answers and subscribers get it. The view of an event also has the workouts that the event changed, or the
 * ids of the removed ones.
 */
export interface PlanView extends Values<typeof planColumns> {
  readonly id: string
  readonly version: number
  readonly workouts?: readonly WorkoutView[]
  readonly removed?: readonly string[]
}
/** A workout as committed. It has its details, which may be long, only if the event wrote them. */
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
