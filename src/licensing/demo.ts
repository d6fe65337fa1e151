import type { Workplace } from '../api/workplace.ts'
import { system } from '../commit/aggregate.ts'
import { levelUp } from './levelUp.ts'
import { updateLevel } from './updateLevel.ts'

/** A player who has gained XP, and a coach who came with a license. */
export async function demo({ commit }: Workplace): Promise<void> {
  const gain = {
    userId: 'demo-learner-2',
    specialization: 'PLAYER',
    xpGained: 320,
    sessionsCompleted: 4,
    reason: 'Spring training',
  }
  await commit(levelUp, { actor: system, key: 'demo-player', input: gain })
  const coach = {
    userId: 'demo-instructor',
    specialization: 'COACH',
    newLevel: 4,
    reason: 'Came with a license of another academy',
  }
  const totals = { xpChange: 1_000, sessionsChange: 12, theoryHoursChange: 40, practiceHoursChange: 62.5 }
  await commit(updateLevel, { actor: system, key: 'demo-coach', input: { ...coach, ...totals } })
}
