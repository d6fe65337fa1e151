import { columns, moment, number, text, type Values } from '../commit/columns.ts'
import { codeOf, userOf } from './id.ts'

/**
 * The standing of one user in one specialization: two records with the same level, the progress, which is the root, and
 * the license.
 *
 *     none ──standingBegun──▶ both at level 1 ──experienceGained, levelUpdated──▶ both at another level
 *
 *     by hand: levels that differ, or one record without the other ──recordsSynced──▶ both at the source's level
 */
export interface StandingState {
  /** `<user>.<specialization>` */
  readonly id: string
  /** 0: there is no progress. */
  readonly version: number
  readonly progress: Progress | null
  /** Null with a progress, or present without one, only if somebody changed the database by hand. */
  readonly license: License | null
  /**
   * Changes of level, in order: those since the state was read; earlier ones only if the slice is EVERYTHING, or if
   * there is no progress.
   */
  readonly progressions: readonly Progression[]
  /** Null: it does not exist. Not part of the history. */
  readonly specialization: Specialization | null
  /** Whether the user is registered. Not part of the history. */
  readonly registered: boolean
}

/** The columns of "SpecializationProgress": the level and the totals. */
export const progressColumns = columns(
  {
    currentLevel: number(1),
    totalXp: number(),
    completedSessions: number(),
    /** Two decimals at most, as in all hours. */
    theoryHours: number(),
    practiceHours: number(),
  },
  { userId: userOf, code: codeOf },
)
export type Progress = Values<typeof progressColumns>
/** The progress of a user who begins. */
export const beginner: Progress = progressColumns.blank
/** The exact sum of numbers with two decimals; adding them as binary fractions is not exact. */
export const sum = (one: number, other: number) => (Math.round(one * 100) + Math.round(other * 100)) / 100

/** The columns of "License". */
export const licenseColumns = columns(
  {
    currentLevel: number(1),
    /** The highest level that the license ever had. It never falls. */
    maxAchievedLevel: number(1),
    issuedAt: moment(),
  },
  { userId: userOf, code: codeOf },
)
export type License = Values<typeof licenseColumns>

/** The columns of "LicenseProgression": one change of the license's level. */
export const progressionColumns = columns({
  at: moment(),
  /** The version of the event that made the change. */
  version: number(),
  from: number(),
  to: number(),
  /** The id of the actor: a user, or `system`. */
  advancedBy: text(''),
  reason: text(''),
})
export type Progression = Values<typeof progressionColumns>

/** The rules of a specialization. */
export interface Specialization {
  readonly maxLevel: number
  readonly countsHours: boolean
  /** The XP that each level requires. */
  readonly levels: readonly { readonly level: number; readonly xp: number }[]
}

/** One of the two records. */
export type Source = 'PROGRESS' | 'LICENSE'

/** Who changed a level, and why. */
export interface Signed {
  /** The id of the actor: a user, or `system`. */
  readonly advancedBy: string
  readonly reason: string
}

interface Advance extends Signed {
  /** The level of both records before the event. */
  readonly from: number
  /** The level of both records after the event. */
  readonly level: number
  /** XP added. */
  readonly xp: number
  /** Sessions added. */
  readonly sessions: number
}

/** Both records were created at level 1. */
interface StandingBegun {
  readonly kind: 'standingBegun'
  /** The history that licenses deleted by hand have left. */
  readonly progressions?: readonly Progression[]
}
/** XP or sessions were added, and the level followed. Each level passed is a change of its own. */
export interface ExperienceGained extends Advance {
  readonly kind: 'experienceGained'
}
/** The level was set, and the totals were changed. */
export interface LevelUpdated extends Advance {
  readonly kind: 'levelUpdated'
  /** Hours added. */
  readonly theoryHours: number
  readonly practiceHours: number
}
/** A desync was repaired. It was made by hand and is not in the history, so the event has both records whole. */
interface RecordsSynced extends Signed {
  readonly kind: 'recordsSynced'
  readonly source: Source
  /** Both records after the event. */
  readonly progress: Progress
  readonly license: License
  /** The level of the license before; null: there was none. */
  readonly from: number | null
  /** The history of a license that had no progress, and so no events. */
  readonly progressions: readonly Progression[]
}

/** What can happen to a standing. Events contain the resulting levels, so replay needs no thresholds. */
export type StandingEvent = StandingBegun | ExperienceGained | LevelUpdated | RecordsSynced

/** A standing as answers and subscriptions show it. The view of an event also has the changes of level that it made. */
export interface StandingView {
  readonly id: string
  readonly version: number
  readonly progress: Progress | null
  readonly license: License | null
  readonly progressions?: readonly Progression[]
}

/** The types of the aggregate. */
export interface Standings {
  readonly state: StandingState
  readonly event: StandingEvent
  readonly view: StandingView
}
