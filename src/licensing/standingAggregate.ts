import type { Actor, Aggregate } from '../commit/aggregate.ts'
import { DomainError, Forbidden, InvalidInput } from '../commit/errors.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { type Consistency, consistencyOf } from './consistency.ts'
import { codeOf, userOf } from './id.ts'
import { loadStandings, readStandings } from './standingQuery.ts'
import {
  type License,
  licenseColumns,
  type Progress,
  progressColumns,
  type Source,
  type Specialization,
  type StandingEvent,
  type Standings,
  type StandingState,
} from './standingState.ts'

/** There is no such specialization. */
export class SpecializationNotFound extends DomainError {
  readonly specialization: string
  constructor(specialization: string) {
    super(`There is no specialization ${specialization}.`)
    this.specialization = specialization
  }
}

/** The specialization has no such level. */
export class LevelOutOfRange extends DomainError {
  readonly found: number
  readonly maxLevel: number
  constructor(found: number, maxLevel: number) {
    super(`${found} is no level of this specialization. Wanted is one from 1 to ${maxLevel}.`)
    this.found = found
    this.maxLevel = maxLevel
  }
}

/** What is counted. */
export type Total = 'XP' | 'SESSIONS' | 'THEORY_HOURS' | 'PRACTICE_HOURS'

/** A total would be less than nothing, or more than is counted. */
export class TotalOutOfRange extends DomainError {
  readonly total: Total
  readonly now: number
  readonly wouldBe: number
  readonly most: number
  constructor(total: Total, now: number, wouldBe: number) {
    super(`${total} is ${now} and would be ${wouldBe}. Wanted is a change that leaves it at 0 to ${MOST[total]}.`)
    this.total = total
    this.now = now
    this.wouldBe = wouldBe
    this.most = MOST[total]
  }
}
const MOST: Record<Total, number> = {
  XP: 2_000_000_000,
  SESSIONS: 2_000_000_000,
  THEORY_HOURS: 9_999_999,
  PRACTICE_HOURS: 9_999_999,
}

/** The specialization counts no hours. */
export class HoursNotCounted extends DomainError {
  readonly specialization: string
  constructor(specialization: string) {
    super(`The specialization ${specialization} counts no hours. Leave theoryHoursChange and practiceHoursChange out.`)
    this.specialization = specialization
  }
}

/** Progress and license don't say the same, so that there is nothing to go on from. */
export class RecordsDisagree extends DomainError {
  readonly consistency: Consistency
  constructor(consistency: Consistency) {
    super(`${consistency.message}. An admin has to mend that first, by syncRecords; then ask again.`)
    this.consistency = consistency
  }
}

/** The record that was to be gone by isn't there. */
export class RecordNotFound extends DomainError {
  readonly record: Source
  constructor(record: Source) {
    super(`There is no ${record === 'PROGRESS' ? 'progress' : 'license'} of this person in this specialization.`)
    this.record = record
  }
}

/** Levels are advanced by instructors and admins; an instructor’s own by another. */
export function mayAdvance(actor: Actor, userId?: string): void {
  if (actor.role === 'LEARNER') throw new Forbidden('Only an instructor or an admin may change a level.')
  if (actor.role === 'INSTRUCTOR' && actor.id === userId)
    throw new Forbidden('Nobody changes their own level. Ask another instructor, or an admin.')
}

/**
 * What the specialization asks. Throws if there is no such specialization, no such person, or if the two records
 * disagree: nothing is built on a desync.
 */
export function sound({ id, progress, license, specialization, registered }: StandingState): Specialization {
  if (!specialization) throw new SpecializationNotFound(codeOf(id))
  if (!registered) throw new UserNotFound(userOf(id))
  const consistency = consistencyOf(progress?.currentLevel ?? null, license?.currentLevel ?? null)
  if (!consistency.consistent) throw new RecordsDisagree(consistency)
  return specialization
}

/** The level that so much XP amounts to. */
export const levelOf = ({ levels, maxLevel }: Specialization, totalXp: number): number =>
  levels.reduce((best, { level, xp }) => (xp <= totalXp && level <= maxLevel ? Math.max(best, level) : best), 1)

/** A sum, exact: hours have two decimals, which binary fractions don't. */
export const sum = (one: number, other: number) => (Math.round(one * 100) + Math.round(other * 100)) / 100

/** Throws if a total would leave its bounds. */
export function within(total: Total, current: number, change: number): void {
  const wouldBe = sum(current, change)
  if (wouldBe < 0 || wouldBe > MOST[total]) throw new TotalOutOfRange(total, current, wouldBe)
}

/** A reason as it is kept; throws InvalidInput for none. */
export function reasonIn(text: string): string {
  if (/^[^\p{Cc}\p{Cs}]{1,500}$/u.test(text) && text.trim()) return text
  throw new InvalidInput('input.reason', 'input.reason must be 1 to 500 printable characters, on one line.')
}

/** The progress of somebody who has done nothing yet. */
export const beginner: Progress = progressColumns.blank

/** Whoever has no standing begins one, at level 1; nothing for those who have. */
export function begun({ version, progressions }: StandingState): StandingEvent[] {
  if (version) return []
  return [progressions.length ? { kind: 'standingBegun', progressions } : { kind: 'standingBegun' }]
}

/**
 * Standings, as commit() reads, changes and writes them: the progress is the root and is locked first, its license is
 * written with it.
 */
export const standings: Aggregate<Standings> = {
  root: 'SpecializationProgress',
  tables: { License: ['id'], LicenseProgression: ['licenseId', 'at', 'version', 'from'] },
  alternateKeys: { SpecializationProgress: ['userId', 'code'], License: ['userId', 'code'] },
  read: readStandings,
  load: loadStandings,
  blank: (id) => ({
    id,
    version: 0,
    progress: null,
    license: null,
    progressions: [],
    specialization: null,
    registered: false,
  }),
  missing: () => new RecordNotFound('PROGRESS'),

  evolve(state, event, at) {
    if (event.kind === 'standingBegun') {
      const license = { currentLevel: 1, maxAchievedLevel: highest(1, event.progressions ?? []), issuedAt: at }
      return { ...state, progress: beginner, license, progressions: event.progressions ?? [] }
    }
    const { advancedBy, reason } = event
    const made = changesOf(event).map(([from, to]) => ({
      at,
      version: state.version + 1,
      from,
      to,
      advancedBy,
      reason,
    }))
    if (event.kind === 'recordsSynced') {
      const { progress, license, progressions } = event
      return {
        ...state,
        progress,
        license,
        progressions: [...(state.version ? state.progressions : progressions), ...made],
      }
    }
    const [progress, license] = [state.progress!, state.license!]
    const { level } = event
    const hours = event.kind === 'levelUpdated' ? event : { theoryHours: 0, practiceHours: 0 }
    return {
      ...state,
      progress: {
        currentLevel: level,
        totalXp: progress.totalXp + event.xp,
        completedSessions: progress.completedSessions + event.sessions,
        theoryHours: sum(progress.theoryHours, hours.theoryHours),
        practiceHours: sum(progress.practiceHours, hours.practiceHours),
      },
      license: advanced(license, level),
      progressions: [...state.progressions, ...made],
    }
  },

  rows({ id, version, progress, license, progressions }) {
    return {
      SpecializationProgress: progress ? [progressColumns.row({ id, version, ...progress })] : [],
      License: license ? [licenseColumns.row({ id, ...license })] : [],
      LicenseProgression: progressions.map((progression) => ({ licenseId: id, userId: userOf(id), ...progression })),
    }
  },

  view({ id, version, progress, license, progressions }, event) {
    const view = { id, version, progress, license }
    const made = event ? changesOf(event).length : 0
    return made ? { ...view, progressions: progressions.slice(-made) } : view
  },

  topic: ({ id }) => `Specialization:${codeOf(id)}`,
}

/** The highest level that the story of a license knows of; a license that was deleted by hand left its story. */
export const highest = (
  level: number,
  progressions: readonly { readonly from: number; readonly to: number }[],
): number => progressions.reduce((most, { from, to }) => Math.max(most, from, to), level)

/** The license at another level. The highest that it had stays. */
export const advanced = (license: License, level: number): License => ({
  ...license,
  currentLevel: level,
  maxAchievedLevel: Math.max(license.maxAchievedLevel, level),
})

/** From which level to which the license goes: by XP one at a time, and otherwise at once. */
function changesOf(event: StandingEvent): [from: number, to: number][] {
  if (event.kind === 'standingBegun') return []
  const { from } = event
  const to = event.kind === 'recordsSynced' ? event.license.currentLevel : event.level
  if (from === null || from === to) return []
  if (event.kind !== 'experienceGained') return [[from, to]]
  return Array.from({ length: to - from }, (_, i) => [from + i, from + i + 1])
}
