import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'
import { codeOf, userOf } from './id.ts'
import { HoursNotCounted, LevelOutOfRange, RecordsOutOfSync, TotalOutOfRange } from './standingError.ts'
import {
  ofStanding,
  progressionsSince,
  type StandingAnswer,
  standingField,
  type StandingRequest,
} from './standingRequest.ts'
import { begun, checkTotal, mayAdvance, signed, sound } from './standingRules.ts'
import { beginner, type Standings } from './standingState.ts'

/** The level to set, and what to add to the totals. */
export interface LevelUpdate extends StandingRequest {
  readonly newLevel: number
  readonly xpChange: number
  readonly sessionsChange: number
  readonly theoryHoursChange: number
  readonly practiceHoursChange: number
}

export interface UpdateLevelAnswer extends StandingAnswer {
  readonly message: string
}

/** Sets the level and adds to the totals, in both records. If that changes nothing, no event is appended. */
export const updateLevel: Verb<Standings, LevelUpdate, UpdateLevelAnswer> = {
  name: 'updateLevel',
  ...ofStanding,
  may: ({ id }, _, actor) => mayAdvance(actor, userOf(id)),

  decide(state, { newLevel, xpChange, sessionsChange, theoryHoursChange, practiceHoursChange, reason }, { actor }) {
    const { maxLevel, countsHours } = sound(state)
    const signature = signed(actor, reason)
    if (newLevel < 1 || newLevel > maxLevel) throw new LevelOutOfRange(newLevel, maxLevel)
    checkHours('input.theoryHoursChange', theoryHoursChange)
    checkHours('input.practiceHoursChange', practiceHoursChange)
    if ((theoryHoursChange || practiceHoursChange) && !countsHours) throw new HoursNotCounted(codeOf(state.id))
    const { currentLevel, totalXp, completedSessions, theoryHours, practiceHours } = state.progress ?? beginner
    checkTotal('XP', totalXp, xpChange)
    checkTotal('SESSIONS', completedSessions, sessionsChange)
    checkTotal('THEORY_HOURS', theoryHours, theoryHoursChange)
    checkTotal('PRACTICE_HOURS', practiceHours, practiceHoursChange)

    if (newLevel === currentLevel && !xpChange && !sessionsChange && !theoryHoursChange && !practiceHoursChange)
      return begun(state)
    const change = { from: currentLevel, level: newLevel, xp: xpChange, sessions: sessionsChange }
    const hours = { theoryHours: theoryHoursChange, practiceHours: practiceHoursChange }
    return [...begun(state), { kind: 'levelUpdated', ...change, ...hours, ...signature }]
  },

  answer(state, _, events, before) {
    const progressions = progressionsSince(before, state)
    const level = state.license!.currentLevel // every event leaves a license
    const [change] = progressions
    const unchanged = events.length ? `Level ${level}.` : 'Nothing changed.'
    return { progressions, message: change ? `Level ${change.from} → ${level}.` : unchanged }
  },
}

function checkHours(field: string, hours: number): void {
  if (Number.isFinite(hours) && Math.round(hours * 100) / 100 === hours) return
  throw new InvalidInput(field, `${field} is ${hours}. Wanted are hours with two decimals at most, such as 1.25.`)
}

/** The parts of the mutation, for updateLevels. */
export const updateLevelField = mutation(updateLevel, {
  description:
    'Sets a user’s level in a specialization and adds to the totals, in progress and license, both or neither. A ' +
    'user who has neither record gets both. The level stays until XP gained later passes the threshold of a further ' +
    'level. For instructors, but not about themselves, and for admins.',
  failed: 'Failed to update the level.',
  keyRequired: true,
  input: (t) => ({
    ...standingField.input(t),
    newLevel: t.int({
      description: 'The level for both records, from 1 to `Specialization.maxLevel`. It may be lower than before.',
    }),
    xpChange: t.int({
      defaultValue: 0,
      description:
        'XP to add. It may be negative if the total stays at 0 or more. It does not change the level by itself.',
    }),
    sessionsChange: t.int({ defaultValue: 0, description: 'Completed sessions to add. It may be negative.' }),
    theoryHoursChange: t.float({
      defaultValue: 0,
      description: 'Hours of theory to add, with two decimals at most. It may be negative.',
    }),
    practiceHoursChange: t.float({
      defaultValue: 0,
      description: 'Hours of practice to add, with two decimals at most. It may be negative.',
    }),
  }),
  ask: ({ newLevel, xpChange, sessionsChange, theoryHoursChange, practiceHoursChange, ...given }) => ({
    ...standingField.ask(given),
    ...{ newLevel, xpChange, sessionsChange, theoryHoursChange, practiceHoursChange },
  }),
  payload: (t) => ({
    ...standingField.payload(t, 'The change of level that this request made; empty if the level stayed the same.'),
    message: t.string({ description: 'What happened, for people.', resolve: ({ answer }) => answer.message }),
  }),
  errors: [...standingField.errors, LevelOutOfRange, TotalOutOfRange, HoursNotCounted, RecordsOutOfSync],
})
