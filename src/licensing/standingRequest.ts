import { localId } from '../api/globalId.ts'
import { committedField } from '../api/history.ts'
import type { InputBuilder, PayloadBuilder } from '../api/mutation.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { codeIn, standingOf } from './id.ts'
import { LevelVersion } from './levelHistory.ts'
import { License, LicenseProgression, shownLicense, shownProgressions } from './license.ts'
import { shownProgress, SpecializationProgress } from './progress.ts'
import { standings } from './standingAggregate.ts'
import { RecordNotFound, SpecializationNotFound } from './standingError.ts'
import type { Progression, StandingState, StandingView } from './standingState.ts'

/** The part that all requests about a standing have. */
export interface StandingRequest {
  readonly userId: string
  readonly specialization: string
  /** For the history of the license. */
  readonly reason: string
}

/** What all verbs of a standing share. */
export const ofStanding = {
  aggregate: standings,
  creates: true,
  root: ({ userId, specialization }: StandingRequest) => standingOf(userId, specialization),
} as const

/** What all their answers have. */
export interface StandingAnswer {
  /** The changes of level that this request made. */
  readonly progressions: readonly Progression[]
}

/** The changes of level that were made between two states. */
export const progressionsSince = (before: StandingState, { progressions }: StandingState) =>
  progressions.slice(before.progressions.length)

/** What all mutations of a standing share. */
export const standingField = {
  input: (t: InputBuilder) => ({
    userId: t.id({ description: 'The user: a `User.id`.' }),
    specialization: t.string({ description: 'The specialization: a `Specialization.code`.' }),
    reason: t.string({
      description: 'The reason, for the history of the license: 1 to 500 printable characters, on one line.',
    }),
  }),

  /** The request in an input; throws InvalidInput. */
  ask: ({ userId, specialization, reason }: StandingRequest): StandingRequest => ({
    userId: localId('User', userId, 'input.userId'),
    specialization: codeIn(specialization, 'input.specialization'),
    reason,
  }),

  /** `description` is that of `progressions`. */
  payload: <Answer extends StandingAnswer>(t: PayloadBuilder<StandingView, Answer>, description: string) => ({
    progress: t.field({
      type: SpecializationProgress,
      description: 'The progress as it is now.',
      resolve: ({ now }) => shownProgress(now.view),
    }),
    license: t.field({
      type: License,
      description: 'The license as it is now.',
      resolve: ({ now, view }) => (shownLicense(now.view) ?? shownLicense(view))!, // every event leaves a license
    }),
    progressions: t.field({
      type: [LicenseProgression],
      description,
      resolve: ({ view, answer }) => shownProgressions(view, answer.progressions),
    }),
    ...committedField(t, standings, LevelVersion),
  }),

  errors: [SpecializationNotFound, UserNotFound, RecordNotFound],
}
