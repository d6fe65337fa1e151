import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import type { Db } from '../database/client.ts'
import { idOf } from '../commit/derivedId.ts'
import type { Exercise } from './exercises.ts'
import { fillPlan, type FillPlanAnswer, type PlanDefinition } from './fillPlan.ts'
import { plans } from './planAggregate.ts'
import type { PlanState } from './planState.ts'

/**
 * So many workouts go into a commit: a subscriber is told that many at once, and a writer of the same plan waits for no
 * more.
 */
const CHUNK = 100

/**
 * Exercises as a plan. Whose it is and what it is called is which plan it is, and the file's id of an exercise which
 * workout.
 */
export function planFrom(exercises: readonly Exercise[], ownerId: string, title: string): PlanDefinition {
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
 * Makes a plan what a definition says, as far as it names workouts; what is so already is not written. Ends early if it
 * is told to, with what was done.
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

/** What an import of this definition would do now. Writes nothing. */
export async function planImport(db: Db, definition: PlanDefinition): Promise<FillPlanAnswer> {
  const { planId, workouts } = definition
  const rows = await db.$queryRaw<{ row: unknown }[]>(
    plans.read({ ids: [planId], slices: new Map([[planId, workouts.map(({ id }) => id)]]) }),
  )
  let state = plans.load(rows.map(({ row }) => row) as never)[0] ?? plans.blank(planId)
  let total = NOTHING
  for (const input of chunksOf(definition)) {
    const at = new Date(0).toISOString() // shown to nobody
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
