import { type Actor, type Aggregate, EVERYTHING, instant, type Wanted } from '../commit/aggregate.ts'
import { DomainError } from '../commit/errors.ts'
import { join, type Sql, sql } from '../database/client.ts'
import {
  planColumns,
  type PlanEvent,
  type Planning,
  type PlanState,
  type SelectionState,
  type WorkoutState,
  type WorkoutView,
} from './planState.ts'

/** The plan does not exist, or the actor may not change it. */
export class PlanNotFound extends DomainError {
  readonly planId: string
  constructor(planId: string) {
    super('There is no such plan, or it is not yours.')
    this.planId = planId
  }
}

/** The workout does not exist, or the actor may not change it. */
export class WorkoutNotFound extends DomainError {
  readonly workoutId: string
  constructor(workoutId: string) {
    super('There is no such workout, or it was removed, or it is not yours.')
    this.workoutId = workoutId
  }
}

/** The id of the plan that a workout belongs to: `<plan>.<workout>`. */
export const planOf = (workoutId: string) => workoutId.split('.', 1)[0]!

/**
 * Throws unless the actor owns the plan. Others get the same error as for a plan, or a workout, that does not exist, so
 * that errors do not reveal which ids exist.
 */
export function mayChange({ id, ownerId }: PlanState, actor: Actor, workoutId?: string): void {
  if (actor.id === ownerId) return
  throw workoutId === undefined ? new PlanNotFound(id) : new WorkoutNotFound(workoutId)
}

/** Returns a workout of the plan. Throws WorkoutNotFound if there is none. */
export function existingWorkout({ workouts }: PlanState, workoutId: string): WorkoutState {
  const workout = workouts[workoutId]
  if (!workout) throw new WorkoutNotFound(workoutId)
  return workout
}

/** A workout as it will be committed, without its details. */
export function workoutView(state: PlanState, id: string): WorkoutView {
  const { position, title, selection } = existingWorkout(state, id)
  return { id, position, title, selection }
}

/**
 * The rows of plans come first: UNION ALL keeps this order, and `load` needs a plan before its workouts. `lateral (…
 * offset 0)` makes PostgreSQL look up each workout by its whole key, however many rows the planner expects.
 */
function read({ ids, slices }: Wanted): Sql {
  const named = ids.flatMap((id) =>
    (slices.get(id) ?? []).filter((part) => part !== EVERYTHING).map((workoutId) => ({ id, workoutId })),
  )
  const wholes = ids.filter((id) => slices.get(id)?.includes(EVERYTHING))
  const parts = [
    sql`
  select json_build_array(0, p.id, p.version, ${planColumns.select('p')}) as row
  from "Plan" p where p.id = any(${ids}::text[])`,
  ]
  if (named.length)
    parts.push(sql`
  select ${WORKOUT}
  from unnest(${named.map(({ id }) => id)}::text[], ${named.map(({ workoutId }) => workoutId)}::text[]) as x (p, w)
  cross join lateral (select * from "Workout" w where w.id = x.w and w."planId" = x.p offset 0) w ${SELECTION}`)
  if (wholes.length)
    parts.push(sql`select ${WORKOUT} from "Workout" w ${SELECTION} where w."planId" = any(${wholes}::text[])`)
  return join(parts, ' union all ')
}
const WORKOUT = sql`json_build_array(1, w."planId", w.id, w.position, w.title, w.details,
    s.id, s."currentPlanDay", s."timeOfDay", s."updatedAt")`
const SELECTION = sql`
  left join lateral (select * from "WorkoutSelection" s where s."workoutId" = w.id offset 0) s on true`

type RootRow = readonly [0, id: string, version: number, own: readonly unknown[]]
type WorkoutRow = readonly [
  1,
  planId: string,
  id: string,
  position: number,
  title: string,
  details: string,
  selectionId: string | null,
  currentPlanDay: string | null,
  timeOfDay: SelectionState['timeOfDay'],
  updatedAt: string,
]

function load(rows: readonly (RootRow | WorkoutRow)[]): PlanState[] {
  const states = new Map<string, PlanState & { readonly workouts: Record<string, WorkoutState> }>()
  for (const row of rows) {
    if (row[0] === 0) {
      const [, id, version, found] = row
      states.set(id, { id, version, ...planColumns.load(found), workouts: {} })
    } else {
      const [, planId, id, position, title, details, selectionId, currentPlanDay, timeOfDay, updatedAt] = row
      const selected = { currentPlanDay, timeOfDay }
      const selection = selectionId === null ? null : { id: selectionId, ...selected, updatedAt: instant(updatedAt) }
      states.get(planId)!.workouts[id] = { position, title, details, selection }
    }
  }
  return [...states.values()]
}

/** Plans, as commit() reads, changes and writes them. */
export const plans: Aggregate<Planning> = {
  root: 'Plan',
  tables: { Workout: ['id'], WorkoutSelection: ['id'] },
  alternateKeys: { WorkoutSelection: ['workoutId'] },
  read,
  load,
  blank: (id) => ({ id, version: 0, ...planColumns.blank, workouts: {} }),
  missing: ({ id }) => new PlanNotFound(id),

  evolve(state, event, at) {
    const { workouts } = state
    switch (event.kind) {
      case 'planCreated':
        return { ...state, ownerId: event.ownerId, title: event.title, createdAt: at }
      case 'workoutsAdded': {
        const added = event.workouts.map(({ id, title, details }, i): [string, WorkoutState] => [
          id,
          { position: state.lastPosition + i + 1, title, details, selection: null },
        ])
        return { ...withWorkouts(state, added), lastPosition: state.lastPosition + added.length }
      }
      case 'workoutsRevised':
        return withWorkouts(
          state,
          event.workouts.map(({ id, title, details }) => [id, { ...workouts[id]!, title, details }]),
        )
      case 'workoutRenamed':
        return withWorkouts(state, [[event.workoutId, { ...workouts[event.workoutId]!, title: event.title }]])
      case 'workoutRemoved': {
        const { [event.workoutId]: _, ...others } = workouts
        return { ...state, workouts: others }
      }
      case 'selectionsUpdated':
        return withWorkouts(
          state,
          Object.entries(event.selections).map(([id, selected]) => {
            const selection = { id: workouts[id]!.selection?.id ?? id, ...selected, updatedAt: at }
            return [id, { ...workouts[id]!, selection }]
          }),
        )
      case 'selectionCleared':
        return withWorkouts(state, [[event.workoutId, { ...workouts[event.workoutId]!, selection: null }]])
    }
  },

  rows(state) {
    const workouts = Object.entries(state.workouts)
    return {
      Plan: [planColumns.row(state)],
      Workout: workouts.map(([id, { position, title, details }]) => ({
        ...{ id, planId: state.id },
        ...{ position, title, details },
      })),
      WorkoutSelection: workouts.flatMap(([workoutId, { selection }]) =>
        selection ? [{ ...selection, workoutId }] : [],
      ),
    }
  },

  view(state, event) {
    const view = { id: state.id, version: state.version, ...planColumns.of(state) }
    if (!event || event.kind === 'planCreated') return view
    if (event.kind === 'workoutRemoved') return { ...view, removed: [event.workoutId] }
    const workouts = touched(event).map(({ id, details }) => ({
      ...workoutView(state, id),
      ...(details !== undefined && { details }),
    }))
    return { ...view, workouts: workouts.sort((a, b) => a.position - b.position) }
  },

  topic: ({ id }) => `Plan:${id}`,
}

const withWorkouts = (state: PlanState, changed: readonly (readonly [id: string, WorkoutState])[]): PlanState => ({
  ...state,
  workouts: { ...state.workouts, ...Object.fromEntries(changed) },
})

/** The ids of the workouts that an event changed, and their details if the event has them. */
function touched(
  event: Exclude<PlanEvent, { kind: 'planCreated' | 'workoutRemoved' }>,
): { readonly id: string; readonly details?: string }[] {
  if ('workouts' in event) return [...event.workouts]
  return 'selections' in event ? Object.keys(event.selections).map((id) => ({ id })) : [{ id: event.workoutId }]
}
