import { builder } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { showError } from '../api/domainError.ts'
import { localId } from '../api/globalId.ts'
import { rowsOf } from '../api/loader.ts'
import type {
  Plan as PlanRow,
  WorkoutSelection as SelectionRow,
  Workout as WorkoutRow,
} from '../generated/prisma/client.ts'
import { Plan } from './plan.ts'
import { planOf, WorkoutNotFound } from './planAggregate.ts'
import type { WorkoutView } from './planState.ts'
import { type ShownSelection, shownSelection, WorkoutSelection } from './selection.ts'
import { plansOf } from './visibility.ts'

/** A workout as resolvers get it. Where its details or its selection are absent, the current ones are loaded. */
interface ShownWorkout extends Omit<WorkoutRow, 'details'> {
  readonly details?: string
  readonly selection?: SelectionRow | null
}

/** A workout of a plan. Visible to the plan’s owner and to admins. */
export const Workout = builder.prismaNode('Workout', {
  description: 'A workout of a plan.',
  nullable: true,
  id: { resolve: ({ id }) => id },
  findUnique: (id, { viewer }) => ({ id, plan: plansOf(viewer) }),
  fields: (t) => ({
    position: t.exposeInt('position', {
      description: 'The position in the plan, from 1. A removed workout leaves a gap.',
    }),
    title: t.exposeString('title', { description: 'The title, shown in lists and in the calendar.' }),
    details: t.string({
      description:
        'The instructions, as plain text; may be empty. A change that did not write them shows the current ones.',
      resolve: ({ id, details }: ShownWorkout, _, context) =>
        details ?? context.load(workoutById, id).then((found) => found?.details ?? ''),
    }),
    selection: t.field({
      type: WorkoutSelection,
      nullable: true,
      description: 'When the workout is scheduled; null if nothing was selected, or the selection was cleared.',
      resolve: ({ id, selection }: ShownWorkout, _, context) =>
        selection === undefined ? context.load(selectionByWorkout, id) : selection,
    }),
    plan: t.field({
      type: Plan,
      nullable: true,
      description: 'The plan that this workout belongs to, also if the workout was removed since.',
      resolve: ({ planId }, _, context) => context.load(planById, planId),
    }),
  }),
})

builder.prismaObjectField(WorkoutSelection, 'workout', (t) =>
  t.field({
    type: Workout,
    nullable: true,
    description: 'The workout that this selection schedules.',
    resolve: ({ workoutId, workout }: ShownSelection, _, context) => workout ?? context.load(workoutById, workoutId),
  }),
)

builder.prismaObjectField(Plan, 'workouts', (t) =>
  t.relatedConnection(
    'workouts',
    {
      cursor: 'id',
      nullable: true,
      totalCount: true,
      description: 'The workouts of the plan, by position.',
      query: { orderBy: [{ position: 'asc' }, { id: 'asc' }] },
    },
    connectionOf(Workout, 'Workout'),
  ),
)

builder.queryField('workout', (t) =>
  t.prismaField({
    type: Workout,
    nullable: true,
    description: 'A workout by its id; null if there is none or the viewer may not see it.',
    args: { id: t.arg.id({ description: 'A `Workout.id`.' }) },
    resolve: (query, _, { id }, { db, viewer }) =>
      db.workout.findFirst({ ...query, where: { id: localId('Workout', id, 'id'), plan: plansOf(viewer) } }),
  }),
)

const planById = rowsOf<PlanRow>((db) => db.plan)
const workoutById = rowsOf<WorkoutRow>((db) => db.workout)
const selectionByWorkout = rowsOf<SelectionRow>((db) => db.workoutSelection, 'workoutId')

/** A committed workout as the API shows it. */
export function shownWorkout({ selection, ...view }: WorkoutView): WorkoutRow {
  const shown: ShownWorkout = {
    ...view,
    planId: planOf(view.id),
    selection: selection && shownSelection(view.id, selection),
  }
  return shown as WorkoutRow // Pothos wants a whole row; `details` loads what is absent
}

showError(WorkoutNotFound, 'There is no such workout, or it was removed, or it is not the viewer’s.', (t) => ({
  workoutId: t.globalID({
    description: 'The id that the request named.',
    resolve: ({ workoutId }) => ({ type: 'Workout', id: workoutId }),
  }),
}))
