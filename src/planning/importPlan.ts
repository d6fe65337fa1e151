import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { idOf } from '../commit/derivedId.ts'
import type { Db } from '../database/client.ts'
import type { Exercise } from './exerciseFile.ts'
import { fillPlan, type FillPlanAnswer, type PlanDefinition } from './fillPlan.ts'
import { plans } from './planAggregate.ts'
import type { PlanState } from './planState.ts'

/**
 * The most workouts in one commit. A subscriber receives them in one item, and other writers of the plan wait for the
 * commit.
 */
const CHUNK = 100

/**
 * The plan of these exercises. Its id is derived from its owner and its title; a workout's id, from the plan's and from
 * the exercise's in the file.
 */
export function definitionOf(exercises: readonly Exercise[], ownerId: string, title: string): PlanDefinition {
  const planId = idOf(JSON.stringify(['exercises', ownerId, title]))
  return {
    planId,
    ownerId,
    title,
    workouts: exercises.map(({ id, title, details }) => ({
      id: `${planId}.${idOf(JSON.stringify(id))}`,
      title,
      details,
    })),
  }
}

/**
 * Makes the workouts of a plan match a definition; workouts that match already are not written. An aborted `signal`
 * stops it between two commits. `done` is the number of workouts that have been dealt with, changed or not.
 */
export async function importPlan({
  commit,
  definition,
  onProgress,
  signal,
}: {
  readonly commit: Commit
  readonly definition: PlanDefinition
  readonly onProgress?: (done: number) => void
  readonly signal?: AbortSignal
}): Promise<FillPlanAnswer & { readonly done: number }> {
  let [total, done] = [NOTHING, 0]
  for (const input of chunksOf(definition)) {
    if (signal?.aborted) break
    const { answer } = await commit(fillPlan, { actor: system, input })
    total = sum(total, answer)
    done += input.workouts.length
    onProgress?.(done)
  }
  return { ...total, done }
}

/** Returns what importing this definition would change now. Writes nothing. */
export async function previewImport(db: Db, definition: PlanDefinition): Promise<FillPlanAnswer> {
  let state = await stateOf(db, definition)
  let total = NOTHING
  for (const input of chunksOf(definition)) {
    const at = new Date(0).toISOString() // not shown anywhere
    const before = state
    const events = fillPlan.decide(state, input, { actor: system, now: at })
    state = events.reduce<PlanState>(
      (state, event) => ({ ...plans.evolve(state, event, at), version: state.version + 1 }),
      state,
    )
    total = sum(total, fillPlan.answer!(state, input, events, before))
  }
  return total
}

/** The plan as it is now, with those workouts of the definition that it has. */
async function stateOf(db: Db, { planId, workouts }: PlanDefinition): Promise<PlanState> {
  const slices = new Map([[planId, workouts.map(({ id }) => id)]])
  const rows = await db.$queryRaw<{ row: unknown }[]>(plans.read({ ids: [planId], slices }))
  const [state] = plans.load(rows.map(({ row }) => row) as never) // as `read` selected them
  return state ?? plans.blank(planId)
}

const NOTHING: FillPlanAnswer = { created: false, added: 0, revised: 0 }

const sum = (one: FillPlanAnswer, other: FillPlanAnswer): FillPlanAnswer => ({
  created: one.created || other.created,
  added: one.added + other.added,
  revised: one.revised + other.revised,
})

function chunksOf({ workouts, ...plan }: PlanDefinition): PlanDefinition[] {
  return Array.from({ length: Math.ceil(workouts.length / CHUNK) }, (_, i) => ({
    ...plan,
    workouts: workouts.slice(i * CHUNK, (i + 1) * CHUNK),
  }))
}
