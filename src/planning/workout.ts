import { builder } from '../api/builder.ts'
import type { Load } from '../api/context.ts'
import type { WorkoutSelection as SelectionRow, Workout as WorkoutRow } from '../generated/prisma/client.ts'
import { showError } from '../api/mutation.ts'
import { planOf, WorkoutNotFound } from './planAggregate.ts'
import type { WorkoutView } from './planState.ts'
import { shownSelection, WorkoutSelection } from './selection.ts'
import { plansOf } from './visibility.ts'

/** A workout as it was committed: with its selection as it then was, and its details where they were written then. */
interface Committed extends Omit<WorkoutRow, 'details'> {
  readonly details?: string
  readonly selection?: SelectionRow | null
}

/** A workout of a plan: for its owner, and admins. */
export const Workout = builder.prismaNode('Workout', {
  description: 'A workout of a plan.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, plan: plansOf(viewer) }),
  fields: (t) => ({
    position: t.exposeInt('position', {
      description: 'Its place in the plan, from 1. Where a workout was removed, there is a gap.',
    }),
    title: t.exposeString('title', { description: 'What it is called.' }),
    details: t.string({
      description:
        'What it consists of, as plain text; may be empty. In a change that is not about it, it is what it is by now.',
      resolve: (workout, _, context) => (workout as Committed).details ?? context.load(details, workout.id),
    }),
    selection: t.field({
      type: WorkoutSelection,
      nullable: true,
      description: 'When it is to be done; null if nothing was ever said, or it was cleared.',
      resolve: (workout, _, context) => {
        const { selection } = workout as Committed
        return selection === undefined ? context.load(selections, workout.id) : selection
      },
    }),
    plan: t.field({
      type: 'Plan' as never,
      nullable: true,
      description: 'The plan that it belongs to.',
      // a workout that was removed since has one, too
      resolve: ({ planId }, _, context) => context.load(plans, planId) as never,
    }),
  }),
})

const plans: Load<string, object | null> = async (ids, { db }) => {
  const found = await db.plan.findMany({ where: { id: { in: [...ids] } } })
  const byId = new Map(found.map((plan) => [plan.id, plan]))
  return ids.map((id) => byId.get(id) ?? null)
}

const details: Load<string, string> = async (ids, { db }) => {
  const found = await db.workout.findMany({ where: { id: { in: [...ids] } }, select: { id: true, details: true } })
  const byId = new Map(found.map(({ id, details }) => [id, details]))
  return ids.map((id) => byId.get(id) ?? '')
}

const selections: Load<string, SelectionRow | null> = async (workoutIds, { db }) => {
  const found = await db.workoutSelection.findMany({ where: { workoutId: { in: [...workoutIds] } } })
  const byWorkout = new Map(found.map((selection) => [selection.workoutId, selection]))
  return workoutIds.map((id) => byWorkout.get(id) ?? null)
}

/** A workout as it was committed, as the API shows it. */
export function shownWorkout({ selection, ...view }: WorkoutView): WorkoutRow {
  const shown: Committed = {
    ...view,
    planId: planOf(view.id),
    selection: selection && shownSelection(view.id, selection),
  }
  return shown as WorkoutRow
}

showError(WorkoutNotFound, 'There is no such workout, or it was removed, or it is not the viewer’s.', (t) => ({
  workoutId: t.globalID({
    description: 'The id that was asked for.',
    resolve: ({ workoutId }) => ({ type: 'Workout', id: workoutId }),
  }),
}))
