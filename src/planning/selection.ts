import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import type { WorkoutSelection as SelectionRow, Workout as WorkoutRow } from '../generated/prisma/client.ts'
import { TimeOfDay } from '../generated/prisma/enums.ts'
import type { SelectionState } from './planState.ts'
import { plansOf } from './visibility.ts'

/** When in a day. */
export const Time = builder.enumType('TimeOfDay', {
  description: 'When in a day.',
  values: {
    [TimeOfDay.MORNING]: { description: 'In the morning.' },
    [TimeOfDay.AFTERNOON]: { description: 'In the afternoon.' },
    [TimeOfDay.EVENING]: { description: 'In the evening.' },
  },
})

/** A selection, perhaps with the workout that it was found by. */
export interface ShownSelection extends SelectionRow {
  readonly workout?: WorkoutRow
}

/** When a workout is to be done: for the plan's owner, and admins. */
export const WorkoutSelection = builder.prismaNode('WorkoutSelection', {
  description: 'When a workout is to be done. A workout has one at most.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, workout: { plan: plansOf(viewer) } }),
  fields: (t) => ({
    currentPlanDay: t.expose('currentPlanDay', {
      type: 'LocalDate',
      nullable: true,
      description: 'The day; null: not said yet, or no longer.',
    }),
    timeOfDay: t.expose('timeOfDay', {
      type: Time,
      nullable: true,
      description: 'When in that day; null: not said yet, or no longer.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When one of the two was last changed.' }),
    workout: t.field({
      type: 'Workout' as never,
      nullable: true,
      description: 'The workout.',
      resolve: (selection, _, context) =>
        ((selection as ShownSelection).workout ?? context.load(workouts, selection.workoutId)) as never,
    }),
  }),
})

const workouts: Load<string, WorkoutRow | null> = async (ids, { db }) => {
  const found = await db.workout.findMany({ where: { id: { in: [...ids] } } })
  const byId = new Map(found.map((workout) => [workout.id, workout]))
  return ids.map((id) => byId.get(id) ?? null)
}

/** A selection as it was committed, as the API shows it. */
export const shownSelection = (
  workoutId: string,
  { id, currentPlanDay, timeOfDay, updatedAt }: SelectionState,
): SelectionRow => ({
  ...{ id, workoutId, timeOfDay },
  currentPlanDay: currentPlanDay === null ? null : midnight(currentPlanDay),
  updatedAt: new Date(updatedAt),
})

/** A day as Prisma has it. */
export const midnight = (day: string) => new Date(`${day}T00:00:00.000Z`)
