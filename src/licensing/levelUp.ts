import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { InvalidInput } from '../commit/errors.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { mutation } from '../api/mutation.ts'
import { codeIn, standingOf, userOf } from './id.ts'
import { recordsIn } from './recordsPayload.ts'
import {
  beginner,
  begun,
  levelOf,
  mayAdvance,
  RecordNotFound,
  RecordsDisagree,
  reasonIn,
  SpecializationNotFound,
  sound,
  standings,
  TotalOutOfRange,
  within,
} from './standingAggregate.ts'
import type { Progression, Standings } from './standingState.ts'

mutation('levelUp', {
  verb: () => levelUp,
  description:
    'Adds XP and sessions; where XP passes the threshold of a further level, progress and license get it, several at once if so much was gained; for instructors (of others) and admins. Whoever had neither record begins at level 1.',
  failed: 'Failed to level up.',
  keyRequired: true,
  input: (t) => ({
    userId: t.id({ description: 'Who, as `User.id`.' }),
    specialization: t.string({ description: 'In what, as `Specialization.code`.' }),
    xpGained: t.int({ description: 'How much XP was gained, from 0.' }),
    sessionsCompleted: t.int({ defaultValue: 0, description: 'How many sessions were completed, from 0.' }),
    reason: t.string({ description: 'Why, for the history of the license: 1 to 500 characters on one line.' }),
  }),
  ask: ({ userId, specialization, xpGained, sessionsCompleted, reason }) => ({
    userId: localId('User', userId, 'input.userId'),
    specialization: codeIn(specialization, 'input.specialization'),
    ...{ xpGained, sessionsCompleted, reason },
  }),
  payload: (t) => ({
    ...recordsIn(t, 'The changes of level that this request made, one a level.'),
    leveledUp: t.boolean({
      description: 'Whether it was enough for a further level.',
      resolve: ({ answer }) => answer.progressions.length > 0,
    }),
  }),
  errors: [SpecializationNotFound, UserNotFound, TotalOutOfRange, RecordsDisagree, RecordNotFound],
})

/** What was gained. */
export interface Gain {
  readonly userId: string
  readonly specialization: string
  readonly xpGained: number
  readonly sessionsCompleted: number
  readonly reason: string
}

/**
 * XP adds up, and a level follows from it when its threshold is passed. A level that was set by hand stands until then:
 * the level is the higher of the two where XP passes a further threshold, and otherwise what it was. XP never lowers a
 * level.
 */
export const levelUp: Verb<Standings, Gain, { progressions: readonly Progression[] }> = {
  name: 'levelUp',
  aggregate: standings,
  creates: true,
  root: ({ userId, specialization }) => standingOf(userId, specialization),
  may: ({ id }, _, actor) => mayAdvance(actor, userOf(id)),

  decide(state, { xpGained, sessionsCompleted, reason }, { actor }) {
    const specialization = sound(state)
    const told = reasonIn(reason)
    checkGain('input.xpGained', xpGained)
    checkGain('input.sessionsCompleted', sessionsCompleted)
    const { currentLevel, totalXp, completedSessions } = state.progress ?? beginner
    within('XP', totalXp, xpGained)
    within('SESSIONS', completedSessions, sessionsCompleted)

    if (!xpGained && !sessionsCompleted) return begun(state)
    const earned = levelOf(specialization, totalXp + xpGained)
    const level = earned > levelOf(specialization, totalXp) ? Math.max(currentLevel, earned) : currentLevel
    const gain = { from: currentLevel, level, xp: xpGained, sessions: sessionsCompleted }
    return [...begun(state), { kind: 'experienceGained', ...gain, advancedBy: actor.id, reason: told }]
  },

  answer: ({ progressions }, _, __, before) => ({ progressions: progressions.slice(before.progressions.length) }),
}

function checkGain(field: string, gain: number): void {
  if (gain < 0) throw new InvalidInput(field, `${field} is ${gain}. Wanted is 0 or more; updateLevel takes back.`)
}
