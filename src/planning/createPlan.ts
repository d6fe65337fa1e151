import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { planIn } from './ownWorkout.ts'
import { PlanNotFound, plans } from './planAggregate.ts'
import type { Planning } from './planState.ts'
import { parseTitle } from './text.ts'

/**
 * Creates a plan. Its id is derived from the owner, the key and the title, so that a retry creates no second plan, even
 * after the key is forgotten.
 */
export const createPlan: Verb<Planning, { planId: string; ownerId: string; title: string }> = {
  name: 'createPlan',
  aggregate: plans,
  creates: true,
  root: ({ planId }) => planId,
  slice: () => [],

  may({ id, version, ownerId }, _, actor) {
    if (version && ownerId !== actor.id) throw new PlanNotFound(id)
  },

  decide: ({ version }, { ownerId, title }) => (version ? [] : [{ kind: 'planCreated', ownerId, title }]),
}

mutation(createPlan, {
  description: 'Creates a plan for the viewer, without workouts.',
  failed: 'Failed to create the plan.',
  keyRequired: true,
  input: (t) => ({
    title: t.string({ description: 'The title, shown in lists: one line of 1 to 200 characters.' }),
  }),
  ask({ title: given, idempotencyKey }, { id: ownerId }) {
    const title = parseTitle(given, 'input.title')
    return { planId: idOf(JSON.stringify(['plan', ownerId, idempotencyKey, title])), ownerId, title }
  },
  payload: planIn,
  errors: [PlanNotFound],
})
