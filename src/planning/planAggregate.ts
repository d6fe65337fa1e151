import { type Actor, type Aggregate, EVERYTHING, instant, type Wanted } from '../commit/aggregate.ts'
import { join, sql } from '../database/client.ts'
import { DomainError } from '../commit/errors.ts'
import type { PlanEvent, Planning, PlanState, SelectionState, WorkoutState, WorkoutView } from './planState.ts'

/** There is no such plan, or not for this person. */
export class PlanNotFound extends DomainError {
  readonly planId: string
  constructor(planId: string) {
    super('There is no such plan, or it is not yours.')
    this.planId = planId
  }
}

/** There is no such workout, or not for this person. */
export class WorkoutNotFound extends DomainError {
  readonly workoutId: string
  constructor(workoutId: string) {
    super('There is no such workout, or it was removed, or it is not yours.')
    this.workoutId = workoutId
  }
}

/** The plan that a workout hangs below; its id says it. */
export const planOf = (workoutId: string) => workoutId.split('.', 1)[0]!

/** Only its owner changes a plan; to all others it is told that there is none, or no such workout. */
export function mayChange({ id, ownerId }: PlanState, actor: Actor, workoutId?: string): void {
  if (actor.id === ownerId) return
  throw workoutId === undefined ? new PlanNotFound(id) : new WorkoutNotFound(workoutId)
}

/** Throws WorkoutNotFound if the plan hasn't the workout. */
export function workoutIn({ workouts }: PlanState, workoutId: string): WorkoutState {
  const workout = workouts[workoutId]
  if (!workout) throw new WorkoutNotFound(workoutId)
  return workout
}

/** A workout as it will be committed, without its details. */
export function workoutView(state: PlanState, id: string): WorkoutView {
  const { position, title, selection } = workoutIn(state, id)
  return { id, position, title, selection }
}

/**
 * Roots come first, as UNION ALL keeps its order; the others fill in what those have. LATERAL … OFFSET 0: one look-up
 * by the whole key for each, whatever the planner believes of how many rows there are.
 */
function read({ ids, slices }: Wanted) {
  const named = ids.flatMap((id) =>
    (slices.get(id) ?? []).filter((part) => part !== EVERYTHING).map((workoutId) => ({ id, workoutId })),
  )
  const wholes = ids.filter((id) => slices.get(id)?.includes(EVERYTHING))
  const row = sql`json_build_array(1, w."planId", w.id, w.position, w.title, w.details, s.id, s."currentPlanDay", s."timeOfDay", s."updatedAt")`
  const selection = sql`left join lateral (select * from "WorkoutSelection" s where s."workoutId" = w.id offset 0) s on true`
  const parts = [
    sql`select json_build_array(0, p.id, p.version, p."ownerId", p.title, p."lastPosition", p."createdAt") as row from "Plan" p where p.id = any(${ids}::text[])`,
  ]
  if (named.length)
    parts.push(
      sql`select ${row} from unnest(${named.map(({ id }) => id)}::text[], ${named.map(({ workoutId }) => workoutId)}::text[]) as x (p, w)
      cross join lateral (select * from "Workout" w where w.id = x.w and w."planId" = x.p offset 0) w ${selection}`,
    )
  if (wholes.length)
    parts.push(sql`select ${row} from "Workout" w ${selection} where w."planId" = any(${wholes}::text[])`)
  return join(parts, ' union all ')
}

type RootRow = readonly [
  0,
  id: string,
  version: number,
  ownerId: string,
  title: string,
  lastPosition: number,
  createdAt: string,
]
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
      const [, id, version, ownerId, title, lastPosition, createdAt] = row
      states.set(id, { id, version, ownerId, title, lastPosition, createdAt: instant(createdAt), workouts: {} })
    } else {
      const [, planId, id, position, title, details, selectionId, currentPlanDay, timeOfDay, updatedAt] = row
      const selection =
        selectionId === null ? null : { id: selectionId, currentPlanDay, timeOfDay, updatedAt: instant(updatedAt) }
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
  blank: (id) => ({ id, version: 0, ownerId: '', title: '', lastPosition: 0, createdAt: '', workouts: {} }),
  missing: ({ id }) => new PlanNotFound(id),

  evolve(state, event, at) {
    const { workouts } = state
    switch (event.kind) {
      case 'planCreated':
        return { ...state, ownerId: event.ownerId, title: event.title, createdAt: at }
      case 'workoutsAdded':
        return {
          ...state,
          lastPosition: state.lastPosition + event.workouts.length,
          workouts: {
            ...workouts,
            ...Object.fromEntries(
              event.workouts.map(({ id, title, details }, i) => [
                id,
                { position: state.lastPosition + i + 1, title, details, selection: null },
              ]),
            ),
          },
        }
      case 'workoutsRevised': {
        const revised = event.workouts.map(({ id, title, details }) => [id, { ...workouts[id]!, title, details }])
        return { ...state, workouts: { ...workouts, ...Object.fromEntries(revised) } }
      }
      case 'workoutRenamed':
        return {
          ...state,
          workouts: { ...workouts, [event.workoutId]: { ...workouts[event.workoutId]!, title: event.title } },
        }
      case 'workoutRemoved': {
        const { [event.workoutId]: _, ...others } = workouts
        return { ...state, workouts: others }
      }
      case 'selectionsUpdated': {
        const updated = Object.entries(event.selections).map(([id, selected]) => {
          const workout = workouts[id]!
          return [id, { ...workout, selection: { id: workout.selection?.id ?? id, ...selected, updatedAt: at } }]
        })
        return { ...state, workouts: { ...workouts, ...Object.fromEntries(updated) } }
      }
      case 'selectionCleared':
        return {
          ...state,
          workouts: { ...workouts, [event.workoutId]: { ...workouts[event.workoutId]!, selection: null } },
        }
    }
  },

  rows({ id, version, ownerId, title, lastPosition, createdAt, workouts }) {
    const entries = Object.entries(workouts)
    return {
      Plan: [{ id, version, ownerId, title, lastPosition, createdAt }],
      Workout: entries.map(([workoutId, { position, title, details }]) => ({
        id: workoutId,
        planId: id,
        position,
        title,
        details,
      })),
      WorkoutSelection: entries.flatMap(([workoutId, { selection }]) => {
        if (!selection) return []
        const { id, currentPlanDay, timeOfDay, updatedAt } = selection
        return [{ id, workoutId, currentPlanDay, timeOfDay, updatedAt }]
      }),
    }
  },

  view(state, event) {
    const { id, version, ownerId, title, lastPosition, createdAt } = state
    const view = { id, version, ownerId, title, lastPosition, createdAt }
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

/** The workouts that an event is about, with their details where it bears them. */
function touched(
  event: Exclude<PlanEvent, { kind: 'planCreated' | 'workoutRemoved' }>,
): { readonly id: string; readonly details?: string }[] {
  if ('workouts' in event) return [...event.workouts]
  return 'selections' in event ? Object.keys(event.selections).map((id) => ({ id })) : [{ id: event.workoutId }]
}
