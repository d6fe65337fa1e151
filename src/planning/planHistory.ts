import { encodeGlobalID } from '@pothos/plugin-relay'
import { builder } from '../api/builder.ts'
import { history } from '../api/history.ts'
import { sql } from '../database/client.ts'
import type { Plan as PlanRow } from '../generated/prisma/client.ts'
import { Plan } from './plan.ts'
import { plans } from './planAggregate.ts'
import type { Planning, PlanView, SelectionState, WorkoutState } from './planState.ts'
import { PlanChangeKind } from './planUpdates.ts'
import { Time } from './selection.ts'
import { plansOf } from './visibility.ts'

const SelectionVersion = builder.objectRef<SelectionState>('SelectionVersion').implement({
  description: 'When a workout was scheduled, at one version of the plan. The present is `WorkoutSelection`.',
  fields: (t) => ({
    currentPlanDay: t.expose('currentPlanDay', {
      type: 'LocalDate',
      nullable: true,
      description: 'The day; null if none was selected.',
    }),
    timeOfDay: t.expose('timeOfDay', {
      type: Time,
      nullable: true,
      description: 'The time of day; null if none was selected.',
    }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When the day or the time of day had last been changed.',
    }),
  }),
})

const WorkoutVersion = builder.objectRef<WorkoutState & { readonly id: string }>('WorkoutVersion').implement({
  description: 'A workout at one version of the plan. The present is `Workout`.',
  fields: (t) => ({
    workoutId: t.globalID({
      description: 'The id of the workout.',
      resolve: ({ id }) => ({ type: 'Workout', id }),
    }),
    position: t.exposeInt('position', { description: 'The position in the plan, from 1.' }),
    title: t.exposeString('title', { description: 'The title.' }),
    details: t.exposeString('details', { description: 'The instructions, as plain text; may be empty.' }),
    selection: t.expose('selection', {
      type: SelectionVersion,
      nullable: true,
      description: 'When the workout was scheduled; null if nothing was selected, or the selection was cleared.',
    }),
  }),
})

/** What a version shows of the plan's view: of the changed workouts only their ids, since their texts may be long. */
interface ShownPlan extends Omit<PlanView, 'workouts'> {
  readonly workouts: readonly string[]
}
const shownPlan = sql`(e.view - 'workouts')
  || jsonb_build_object('workouts', jsonb_path_query_array(e.view, '$.workouts[*].id'))`

/** One version of a plan. For whoever may see the plan. */
export const PlanVersion = history<Planning, PlanRow, ShownPlan>({
  aggregate: plans,
  root: Plan,
  name: 'Plan',
  description: 'A plan at one version, and the change that made it.',
  kind: PlanChangeKind,
  visible: (ids, { db, viewer }) =>
    db.plan.findMany({ where: { id: { in: [...ids] }, AND: plansOf(viewer) }, select: { id: true } }),
  shown: shownPlan,
  fields: (t, { shown, below }) => ({
    changedWorkoutIds: t.idList({
      description: 'The ids of the workouts that the change added or changed, by position.',
      resolve: shown(({ changed }) => (changed?.workouts ?? []).map((id) => encodeGlobalID('Workout', id))),
    }),
    removedWorkoutIds: t.idList({
      description: 'The ids of the workouts that the change removed.',
      resolve: shown(({ changed }) => (changed?.removed ?? []).map((id) => encodeGlobalID('Workout', id))),
    }),
    title: t.string({ description: 'The title.', resolve: shown(({ view }) => view.title) }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When the plan was created.',
      resolve: shown(({ view }) => view.createdAt),
    }),
    workouts: below(WorkoutVersion, 'WorkoutVersion', 'The workouts, by position, with their selections.', (state) =>
      Object.entries(state.workouts)
        .map(([id, workout]) => ({ id, ...workout }))
        .sort((a, b) => a.position - b.position),
    ),
  }),
})
