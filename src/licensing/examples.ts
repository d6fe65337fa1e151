import { encodeGlobalID } from '@pothos/plugin-relay'
import type { Example } from '../api/module.ts'

const player = { userId: encodeGlobalID('User', 'demo-learner-2'), specialization: 'PLAYER' }

/** The tour through licensing. */
export const examples: readonly Example[] = [
  {
    token: 'demo-instructor',
    query: `
# Level up: XP is added. If it passes the
# threshold of a level, progress and license
# get that level, both or neither. Run it
# twice: the second time, nothing changes,
# and the answer has replayed: true.
mutation LevelUp($input: LevelUpInput!) {
  levelUp(input: $input) {
    __typename
    ... on LevelUpPayload {
      version replayed leveledUp
      progress { currentLevel totalXp completedSessions specialization { levels { level xp } } }
      license { currentLevel maxAchievedLevel }
      progressions { from to reason occurredAt }
    }
    ... on RecordsOutOfSync { message recommendedAction }
    ... on DomainError { code message }
  }
}`,
    variables: {
      input: {
        ...{ ...player, xpGained: 250, sessionsCompleted: 1 },
        ...{ reason: 'Summer camp', idempotencyKey: 'tour-level-up' },
      },
    },
  },
  {
    token: 'demo-learner-2',
    query: `
# Live: progress and license. Leave this
# running, and run the tab before in another
# window, with a new key.
subscription Levels($userId: ID!, $specialization: String!, $after: Cursor) {
  levelUpdates(userId: $userId, specialization: $specialization, after: $after) {
    __typename
    ... on LevelSnapshot {
      reason cursor version
      progress { currentLevel totalXp }
      license { currentLevel maxAchievedLevel }
    }
    ... on LevelChange {
      kind cursor version occurredAt
      progress { currentLevel totalXp }
      license { currentLevel maxAchievedLevel }
      progressions { from to reason }
    }
    ... on SubscriberTooSlow { cursor message }
  }
}`,
    variables: player,
  },
]
