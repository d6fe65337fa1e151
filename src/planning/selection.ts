import { builder } from '../api/builder.ts'
import type { WorkoutSelection as SelectionRow, Workout as WorkoutRow } from '../generated/prisma/client.ts'
import { TimeOfDay } from '../generated/prisma/enums.ts'
import type { SelectionState } from './planState.ts'
import { plansOf } from './visibility.ts'

/** The time of day in the API. */
export const Time = builder.enumType('TimeOfDay', {
  description: 'A part of a day.',
  values: {
    [TimeOfDay.MORNING]: { description: 'In the morning.' },
    [TimeOfDay.AFTERNOON]: { description: 'In the afternoon.' },
    [TimeOfDay.EVENING]: { description: 'In the evening.' },
  },
})

/** A selection, and its workout if that was read with it. */
export interface ShownSelection extends SelectionRow {
  readonly workout?: WorkoutRow
}

/** When a workout is scheduled. Visible to the plan’s owner and to admins. Its field `workout` is in workout.ts. */
export const WorkoutSelection = builder.prismaNode('WorkoutSelection', {
  description: 'When a workout is scheduled. A workout has one selection at most.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, workout: { plan: plansOf(viewer) } }),
  fields: (t) => ({
    currentPlanDay: t.expose('currentPlanDay', {
      type: 'LocalDate',
      nullable: true,
      description: 'The day; null if none is selected.',
    }),
    timeOfDay: t.expose('timeOfDay', {
      type: Time,
      nullable: true,
      description: 'The time of day; null if none is selected.',
    }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When the day or the time of day was last changed.',
    }),
  }),
})

/** A committed selection as the API shows it. */
export const shownSelection = (
  workoutId: string,
  { id, currentPlanDay, timeOfDay, updatedAt }: SelectionState,
): SelectionRow => ({
  ...{ id, workoutId, timeOfDay },
  currentPlanDay: currentPlanDay === null ? null : midnight(currentPlanDay),
  updatedAt: new Date(updatedAt),
})

/** A day (`YYYY-MM-DD`) as Prisma represents it: its first instant in UTC. */
export const midnight = (day: string) => new Date(`${day}T00:00:00.000Z`)
