import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'
import { userOf } from './id.ts'
import { RecordsOutOfSync, TotalOutOfRange } from './standingError.ts'
import {
  ofStanding,
  progressionsSince,
  type StandingAnswer,
  standingField,
  type StandingRequest,
} from './standingRequest.ts'
import { begun, checkTotal, levelOf, mayAdvance, signed, sound } from './standingRules.ts'
import { beginner, type Standings } from './standingState.ts'

/** What a user gained in a specialization. */
export interface Gain extends StandingRequest {
  readonly xpGained: number
  readonly sessionsCompleted: number
}

/**
 * Adds XP and sessions. If the XP passes the threshold of a further level, the level becomes the one that the XP
 * reaches, unless a higher level was set by hand. Otherwise the level stays: XP never lowers it.
 */
export const levelUp: Verb<Standings, Gain, StandingAnswer> = {
  name: 'levelUp',
  ...ofStanding,
  may: ({ id }, _, actor) => mayAdvance(actor, userOf(id)),

  decide(state, { xpGained, sessionsCompleted, reason }, { actor }) {
    const specialization = sound(state)
    const signature = signed(actor, reason)
    checkGain('input.xpGained', xpGained)
    checkGain('input.sessionsCompleted', sessionsCompleted)
    const { currentLevel, totalXp, completedSessions } = state.progress ?? beginner
    checkTotal('XP', totalXp, xpGained)
    checkTotal('SESSIONS', completedSessions, sessionsCompleted)

    if (!xpGained && !sessionsCompleted) return begun(state)
    const earned = levelOf(specialization, totalXp + xpGained)
    const level = earned > levelOf(specialization, totalXp) ? Math.max(currentLevel, earned) : currentLevel
    const gain = { from: currentLevel, level, xp: xpGained, sessions: sessionsCompleted }
    return [...begun(state), { kind: 'experienceGained', ...gain, ...signature }]
  },

  answer: (state, _, __, before) => ({ progressions: progressionsSince(before, state) }),
}

function checkGain(field: string, gain: number): void {
  if (gain < 0) throw new InvalidInput(field, `${field} is ${gain}. Wanted is 0 or more; to subtract, use updateLevel.`)
}

mutation(levelUp, {
  description:
    'Adds XP and completed sessions to a user’s progress in a specialization. If the XP passes the threshold of ' +
    'a further level, progress and license get that level, both or neither. One request may pass several levels. A ' +
    'user who has neither record begins at level 1. For instructors, but not about themselves, and for admins.',
  failed: 'Failed to level up.',
  keyRequired: true,
  input: (t) => ({
    ...standingField.input(t),
    xpGained: t.int({ description: 'The XP to add, from 0.' }),
    sessionsCompleted: t.int({ defaultValue: 0, description: 'The completed sessions to add, from 0.' }),
  }),
  ask: ({ xpGained, sessionsCompleted, ...given }) => ({ ...standingField.ask(given), xpGained, sessionsCompleted }),
  payload: (t) => ({
    ...standingField.payload(t, 'The changes of level that this request made, one for each level passed.'),
    leveledUp: t.boolean({
      description: 'True: this request changed the level.',
      resolve: ({ answer }) => answer.progressions.length > 0,
    }),
  }),
  errors: [...standingField.errors, TotalOutOfRange, RecordsOutOfSync],
})
