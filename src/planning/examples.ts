import { encodeGlobalID } from '@pothos/plugin-relay'
import type { Example } from '../api/module.ts'
import { demoPlan, demoWorkout } from './demo.ts'

/** The tour through planning. */
export const examples: readonly Example[] = [
  {
    token: 'demo-learner-1',
    query: `
# A training plan. Dropping a workout on a
# calendar selects its day and its time of
# day. Leave one of them out of the
# variables: it is kept. Make it null: it is
# cleared. Two requests at once, one with the
# day and one with the time of day, make one
# selection with both.
mutation Select($input: UpdateSelectionInput!) {
  updateSelection(input: $input) {
    __typename
    ... on UpdateSelectionPayload {
      version cursor
      selection { currentPlanDay timeOfDay updatedAt }
      plan {
        title
        days(from: "2027-03-29", to: "2027-04-04") {
          day
          morning { workout { title } }
          afternoon { workout { title } }
          evening { workout { title } }
          anytime { workout { title } }
        }
      }
    }
    ... on DomainError { code message }
  }
}`,
    variables: {
      input: {
        workoutId: encodeGlobalID('Workout', demoWorkout('strength')),
        currentPlanDay: '2027-03-31',
        timeOfDay: 'EVENING',
      },
    },
  },
  {
    token: 'demo-learner-1',
    query: `
# Live: the plan on another screen. Run this,
# leave it running, and run the tab before in
# another window, with a day or a time of day
# that differs from the present one.
subscription Plan($planId: ID!, $after: Cursor) {
  planUpdates(planId: $planId, after: $after) {
    __typename
    ... on PlanSnapshot {
      reason cursor version
      plan { title }
      workouts { id title selection { currentPlanDay timeOfDay } }
    }
    ... on PlanChange {
      kind cursor version occurredAt
      workouts { id title selection { currentPlanDay timeOfDay } }
      removedWorkoutIds
    }
    ... on SubscriberTooSlow { cursor message }
  }
}`,
    variables: { planId: encodeGlobalID('Plan', demoPlan) },
  },
]
