import { columns, moment, number, text, type Values } from '../commit/columns.ts'
import { codeOf, userOf } from './id.ts'

/** One person in one specialization: their progress, which is the root, and the license below it. */
export interface StandingState {
  /** `<user>.<specialization>` */
  readonly id: string
  /** 0: there is no progress. */
  readonly version: number
  readonly progress: Progress | null
  /** There is none, or there is one without progress, only where somebody has been at it by hand. */
  readonly license: License | null
  /**
   * The changes of level that this state has seen happen; earlier ones are read only where they are asked for, or where
   * there is no progress.
   */
  readonly progressions: readonly Progression[]
  /** What the specialization asks; null: there is none. Not part of the history. */
  readonly specialization: Specialization | null
  /** Whether the user is registered. Not part of the history. */
  readonly registered: boolean
}

/** The columns of "SpecializationProgress": what somebody has earned. */
export const progressColumns = columns(
  {
    currentLevel: number(1),
    totalXp: number(),
    completedSessions: number(),
    /** With two decimals at most, as all hours. */
    theoryHours: number(),
    practiceHours: number(),
  },
  { userId: userOf, code: codeOf },
)
export type Progress = Values<typeof progressColumns>

/** The columns of "License". */
export const licenseColumns = columns(
  {
    currentLevel: number(1),
    /** The highest level that it ever had. */
    maxAchievedLevel: number(1),
    issuedAt: moment(),
  },
  { userId: userOf, code: codeOf },
)
export type License = Values<typeof licenseColumns>

/** The columns of "LicenseProgression": one change of the license's level. */
export const progressionColumns = columns({
  at: moment(),
  /** The version of the event that it is part of. */
  version: number(),
  from: number(),
  to: number(),
  /** The id of a user, or `system`. */
  advancedBy: text(''),
  reason: text(''),
})
export type Progression = Values<typeof progressionColumns>

/** What a specialization asks. */
export interface Specialization {
  readonly maxLevel: number
  readonly countsHours: boolean
  /** How much XP each level takes. */
  readonly levels: readonly { readonly level: number; readonly xp: number }[]
}

/** Which of the two records. */
export type Source = 'PROGRESS' | 'LICENSE'

interface Advance {
  /** The level that both records had before it, and have after it. */
  readonly from: number
  readonly level: number
  readonly xp: number
  readonly sessions: number
  readonly advancedBy: string
  readonly reason: string
}

/**
 * What can happen to a standing. None of them needs the specialization's thresholds to be told again: they bear what
 * came of those.
 */
export type StandingEvent =
  | {
      readonly kind: 'standingBegun'
      /** What licenses that somebody has deleted by hand had been through. */
      readonly progressions?: readonly Progression[]
    }
  /** The level followed from XP; each level on the way is a change of its own. */
  | ({ readonly kind: 'experienceGained' } & Advance)
  /** The level was set. */
  | ({ readonly kind: 'levelUpdated'; readonly theoryHours: number; readonly practiceHours: number } & Advance)
  /** What somebody did by hand can't be in the history; what it led to can. So this bears all, as it is after it. */
  | {
      readonly kind: 'recordsSynced'
      readonly source: Source
      readonly progress: Progress
      readonly license: License
      /** The level that the license had; null: there was none. */
      readonly from: number | null
      /** What a license that had no progress, and so no history, had been through. */
      readonly progressions: readonly Progression[]
      readonly advancedBy: string
      readonly reason: string
    }

/**
 * A standing as answers and subscribers are shown it; the event's view also bears the changes of level that it made.
 */
export interface StandingView {
  readonly id: string
  readonly version: number
  readonly progress: Progress | null
  readonly license: License | null
  readonly progressions?: readonly Progression[]
}

/** The types of the standing's aggregate. */
export interface Standings {
  readonly state: StandingState
  readonly event: StandingEvent
  readonly view: StandingView
}
