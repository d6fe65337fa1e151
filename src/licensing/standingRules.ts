import type { Actor } from '../commit/aggregate.ts'
import { Forbidden, InvalidInput } from '../commit/errors.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { consistencyOf } from './consistency.ts'
import { codeOf, userOf } from './id.ts'
import { MAXIMUM, RecordsOutOfSync, SpecializationNotFound, type Total, TotalOutOfRange } from './standingError.ts'
import { type Signed, type Specialization, type StandingEvent, type StandingState, sum } from './standingState.ts'

/** Throws Forbidden for learners, and for instructors who change their own level. */
export function mayAdvance(actor: Actor, userId?: string): void {
  if (actor.role === 'LEARNER') throw new Forbidden('Only an instructor or an admin may change a level.')
  if (actor.role === 'INSTRUCTOR' && actor.id === userId)
    throw new Forbidden('Nobody changes their own level. Ask another instructor, or an admin.')
}

/** Returns the specialization. Throws SpecializationNotFound or UserNotFound. */
export function known({ id, specialization, registered }: StandingState): Specialization {
  if (!specialization) throw new SpecializationNotFound(codeOf(id))
  if (!registered) throw new UserNotFound(userOf(id))
  return specialization
}

/** Returns the specialization, as `known` does. Throws RecordsOutOfSync too: no level is changed on top of a desync. */
export function sound(state: StandingState): Specialization {
  const specialization = known(state)
  const consistency = consistencyOf(state.progress?.currentLevel ?? null, state.license?.currentLevel ?? null)
  if (!consistency.consistent) throw new RecordsOutOfSync(consistency)
  return specialization
}

/** The level that this much XP reaches. */
export const levelOf = ({ levels, maxLevel }: Specialization, totalXp: number): number =>
  levels.reduce((best, { level, xp }) => (xp <= totalXp && level <= maxLevel ? Math.max(best, level) : best), 1)

/** Throws TotalOutOfRange if the change would make the total negative or too great. */
export function checkTotal(total: Total, current: number, change: number): void {
  const wouldBe = sum(current, change)
  if (wouldBe < 0 || wouldBe > MAXIMUM[total]) throw new TotalOutOfRange(total, current, wouldBe)
}

/** The actor and the reason, for an event. Throws InvalidInput if the reason is blank, too long or not printable. */
export function signed(actor: Actor, reason: string): Signed {
  if (/^[^\p{Cc}\p{Cs}]{1,500}$/u.test(reason) && reason.trim()) return { advancedBy: actor.id, reason }
  throw new InvalidInput('input.reason', 'input.reason must be 1 to 500 printable characters, on one line.')
}

/** The event that begins a standing, at level 1; no event if there is one. */
export function begun({ version, progressions }: StandingState): StandingEvent[] {
  if (version) return []
  return [progressions.length ? { kind: 'standingBegun', progressions } : { kind: 'standingBegun' }]
}
