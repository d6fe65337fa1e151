import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { InvalidInput } from '../commit/errors.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { mutation } from '../api/mutation.ts'
import { codeIn, codeOf, standingOf, userOf } from './id.ts'
import { recordsIn } from './recordsPayload.ts'
import {
  beginner,
  begun,
  HoursNotCounted,
  LevelOutOfRange,
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

/** The field; a batch of levels is many of these. */
export const updateLevelField = mutation('updateLevel', {
  verb: () => updateLevel,
  description:
    'Sets somebody’s level and adds to their totals, in progress and license at once or not at all; for instructors (of others) and admins. Whoever had neither gets both. What was set stands until XP that is gained later passes a further threshold.',
  failed: 'Failed to update the level.',
  keyRequired: true,
  input: (t) => ({
    userId: t.id({ description: 'Whose level, as `User.id`.' }),
    specialization: t.string({ description: 'In what, as `Specialization.code`.' }),
    newLevel: t.int({
      description: 'The level that both records shall have, from 1 to `Specialization.maxLevel`; it may be lower.',
    }),
    xpChange: t.int({
      defaultValue: 0,
      description: 'What to add to the XP; it may be negative, but not the total. It does not change the level.',
    }),
    sessionsChange: t.int({ defaultValue: 0, description: 'What to add to the completed sessions.' }),
    theoryHoursChange: t.float({
      defaultValue: 0,
      description: 'What to add to the hours of theory, to the hundredth.',
    }),
    practiceHoursChange: t.float({
      defaultValue: 0,
      description: 'What to add to the hours of practice, to the hundredth.',
    }),
    reason: t.string({ description: 'Why, for the history of the license: 1 to 500 characters on one line.' }),
  }),
  ask: ({
    userId,
    specialization,
    newLevel,
    xpChange,
    sessionsChange,
    theoryHoursChange,
    practiceHoursChange,
    reason,
  }) => ({
    userId: localId('User', userId, 'input.userId'),
    specialization: codeIn(specialization, 'input.specialization'),
    ...{ newLevel, xpChange, sessionsChange, theoryHoursChange, practiceHoursChange, reason },
  }),
  payload: (t) => ({
    ...recordsIn(t, 'The change of level that this request made; none if it changed no level.'),
    message: t.string({ description: 'What happened, for a person.', resolve: ({ answer }) => answer.message }),
  }),
  errors: [
    SpecializationNotFound,
    UserNotFound,
    LevelOutOfRange,
    TotalOutOfRange,
    HoursNotCounted,
    RecordsDisagree,
    RecordNotFound,
  ],
})

/** What to set, and what to add. */
export interface LevelUpdate {
  readonly userId: string
  readonly specialization: string
  readonly newLevel: number
  readonly xpChange: number
  readonly sessionsChange: number
  readonly theoryHoursChange: number
  readonly practiceHoursChange: number
  readonly reason: string
}

export interface LevelAnswer {
  /** The changes of level that this request made. */
  readonly progressions: readonly Progression[]
  readonly message: string
}

/**
 * Sets a level and adds to the totals, in both records. What changes nothing at all is a success that appends nothing.
 */
export const updateLevel: Verb<Standings, LevelUpdate, LevelAnswer> = {
  name: 'updateLevel',
  aggregate: standings,
  creates: true,
  root: ({ userId, specialization }) => standingOf(userId, specialization),
  may: ({ id }, _, actor) => mayAdvance(actor, userOf(id)),

  decide(state, { newLevel, xpChange, sessionsChange, theoryHoursChange, practiceHoursChange, reason }, { actor }) {
    const { maxLevel, countsHours } = sound(state)
    const told = reasonIn(reason)
    if (newLevel < 1 || newLevel > maxLevel) throw new LevelOutOfRange(newLevel, maxLevel)
    checkHours('input.theoryHoursChange', theoryHoursChange)
    checkHours('input.practiceHoursChange', practiceHoursChange)
    if ((theoryHoursChange || practiceHoursChange) && !countsHours) throw new HoursNotCounted(codeOf(state.id))
    const { currentLevel, totalXp, completedSessions, theoryHours, practiceHours } = state.progress ?? beginner
    within('XP', totalXp, xpChange)
    within('SESSIONS', completedSessions, sessionsChange)
    within('THEORY_HOURS', theoryHours, theoryHoursChange)
    within('PRACTICE_HOURS', practiceHours, practiceHoursChange)

    if (newLevel === currentLevel && !xpChange && !sessionsChange && !theoryHoursChange && !practiceHoursChange)
      return begun(state)
    const change = { from: currentLevel, level: newLevel, xp: xpChange, sessions: sessionsChange }
    const hours = { theoryHours: theoryHoursChange, practiceHours: practiceHoursChange }
    return [...begun(state), { kind: 'levelUpdated', ...change, ...hours, advancedBy: actor.id, reason: told }]
  },

  answer({ license, progressions }, _, events, before) {
    const made = progressions.slice(before.progressions.length)
    const level = license!.currentLevel
    return {
      progressions: made,
      message: made[0]
        ? `Level ${made[0].from} → ${level}.`
        : events.length
          ? `Level ${level}.`
          : 'There was nothing to change.',
    }
  },
}

function checkHours(field: string, hours: number): void {
  if (Number.isFinite(hours) && Math.round(hours * 100) / 100 === hours) return
  throw new InvalidInput(field, `${field} is ${hours}. Wanted are hours with two decimals at most, such as 1.25.`)
}
