import type { Verb } from '../commit/aggregate.ts'
import { mayAdminister } from '../identity/userAggregate.ts'
import { plans } from './planAggregate.ts'
import type { NewWorkout, PlanEvent, Planning } from './planState.ts'

/** A plan, or a part of one, as `fillPlan` makes it. */
export interface PlanDefinition {
  readonly planId: string
  readonly ownerId: string
  readonly title: string
  readonly workouts: readonly NewWorkout[]
}

/** Whether the plan was created, and how many workouts were added and revised. */
export interface FillPlanAnswer {
  readonly created: boolean
  readonly added: number
  readonly revised: number
}

/**
 * Makes the workouts of a plan match a definition: adds the missing ones, revises those that differ, and leaves all
 * others alone. If all match, nothing changes. For operators and admins.
 */
export const fillPlan: Verb<Planning, PlanDefinition, FillPlanAnswer> = {
  name: 'fillPlan',
  aggregate: plans,
  creates: true,
  root: ({ planId }) => planId,
  slice: ({ workouts }) => workouts.map(({ id }) => id),
  may: (_, __, actor) => mayAdminister(actor),

  decide(state, { ownerId, title, workouts }) {
    const added = workouts.filter(({ id }) => !state.workouts[id])
    const revised = workouts.filter(({ id, title, details }) => {
      const before = state.workouts[id]
      return before && (before.title !== title || before.details !== details)
    })
    const events: PlanEvent[] = []
    if (!state.version) events.push({ kind: 'planCreated', ownerId, title })
    if (revised.length) events.push({ kind: 'workoutsRevised', workouts: revised })
    if (added.length) events.push({ kind: 'workoutsAdded', workouts: added })
    return events
  },

  answer: (_, __, events, before) => ({
    created: before.version === 0,
    added: countOf(events, 'workoutsAdded'),
    revised: countOf(events, 'workoutsRevised'),
  }),
}

const countOf = (events: readonly PlanEvent[], kind: 'workoutsAdded' | 'workoutsRevised') =>
  events.reduce((sum, event) => (event.kind === kind ? sum + event.workouts.length : sum), 0)
