import type { PayloadBuilder } from '../api/mutation.ts'
import { License, LicenseProgression, shownLicense, shownProgressions } from './license.ts'
import { shownProgress, SpecializationProgress } from './progress.ts'
import type { Progression, StandingView } from './standingState.ts'

/** What each mutation that changes levels answers with: both records, and the changes of level that it made. */
export const recordsIn = <Answer extends { readonly progressions: readonly Progression[] }>(
  t: PayloadBuilder<StandingView, Answer>,
  progressions: string,
) => ({
  progress: t.field({
    type: SpecializationProgress,
    description: 'The progress, as it was committed.',
    resolve: ({ view }) => shownProgress(view)!,
  }),
  license: t.field({
    type: License,
    description: 'The license, as it was committed.',
    resolve: ({ view }) => shownLicense(view)!,
  }),
  progressions: t.field({
    type: [LicenseProgression],
    description: progressions,
    resolve: ({ view, answer }) => shownProgressions(view, answer.progressions),
  }),
})
