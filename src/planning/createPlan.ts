import type { Verb } from '../commit/aggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { mutation } from '../api/mutation.ts'
import { Plan, shownPlan } from './plan.ts'
import { PlanNotFound, plans } from './planAggregate.ts'
import type { Planning } from './planState.ts'
import { titleIn } from './text.ts'

mutation('createPlan', {
  verb: () => createPlan,
  description: 'Makes a plan for the viewer, without workouts.',
  failed: 'Failed to create the plan.',
  keyRequired: true,
  input: (t) => ({ title: t.string({ description: 'What it is to be called: one line of 1 to 200 characters.' }) }),
  ask({ title: given, idempotencyKey }, { id: ownerId }) {
    const title = titleIn(given, 'input.title')
    return { planId: idOf(JSON.stringify(['plan', ownerId, idempotencyKey, title])), ownerId, title }
  },
  payload: (t) => ({
    plan: t.field({
      type: Plan,
      description: 'The plan, as it was committed.',
      resolve: ({ view }) => shownPlan(view),
    }),
  }),
  errors: [PlanNotFound],
})

/**
 * A plan is made once; its id follows from who asks, their key and what they ask, so that however late it is asked
 * again, it is the same plan.
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
