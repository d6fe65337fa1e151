import { builder, SHOWN } from '../api/builder.ts'
import { followRoot, stream } from '../api/stream.ts'
import { standingArgs, standingIn, userOf } from './id.ts'
import { License, LicenseProgression, shownLicense, shownProgressions } from './license.ts'
import { shownProgress, SpecializationProgress } from './progress.ts'
import { standings } from './standingAggregate.ts'
import type { StandingView } from './standingState.ts'
import { seesAll } from './visibility.ts'

/** What can happen to a standing, by the names of its events. */
export const LevelChangeKind = builder.enumType('LevelChangeKind', {
  description: 'What can happen to a user’s progress and license in a specialization.',
  values: {
    RECORDS_CREATED: { value: 'standingBegun', description: 'Both records were created, at level 1.' },
    EXPERIENCE_GAINED: {
      value: 'experienceGained',
      description: 'XP or sessions were added, and the level followed.',
    },
    LEVEL_UPDATED: {
      value: 'levelUpdated',
      description: 'An instructor or an admin set the level or changed the totals.',
    },
    RECORDS_SYNCED: {
      value: 'recordsSynced',
      description: 'Progress and license did not agree, and an admin synced them.',
    },
  },
})

/** The journal has views of all kinds of roots; in this stream they are of standings. */
const viewOf = ({ view }: { readonly view: object }) => view as StandingView

export const levelUpdates = stream('levelUpdates', {
  description:
    'Follows a user’s progress and license in a specialization, from when the user begins. For the user, ' +
    'instructors and admins.',
  args: standingArgs,
  open(standing) {
    const id = standingIn(standing)
    return followRoot(standings, id, {
      missing: 'There is no such progress, or you may not see it.',
      may: ({ viewer }) => viewer?.id === userOf(id) || seesAll(viewer),
    })
  },
  snapshot: {
    description: 'A user’s progress and license in a specialization, at one version.',
    ofRoot: true,
    fields: (t) => ({
      progress: t.field({
        type: SpecializationProgress,
        grantScopes: SHOWN,
        description: 'The progress at this version.',
        resolve: ({ present }) => shownProgress(present),
      }),
      license: t.field({
        type: License,
        nullable: true,
        grantScopes: SHOWN,
        description: 'The license at this version; null if somebody deleted it by hand.',
        resolve: ({ present }) => shownLicense(present),
      }),
    }),
  },
  change: {
    description: 'One change of a user’s progress and license in a specialization, as committed.',
    kind: LevelChangeKind,
    fields: (t) => ({
      progress: t.field({
        type: SpecializationProgress,
        grantScopes: SHOWN,
        description: 'The progress after this change.',
        resolve: ({ event }) => shownProgress(viewOf(event)),
      }),
      license: t.field({
        type: License,
        nullable: true, // as in the snapshot: a client selects it from both in one operation
        grantScopes: SHOWN,
        description: 'The license after this change. Never null, and always at the level of the progress.',
        resolve: ({ event }) => shownLicense(viewOf(event)),
      }),
      progressions: t.field({
        type: [LicenseProgression],
        description: 'The changes of level that this change contains.',
        resolve: ({ event }) => shownProgressions(viewOf(event), viewOf(event).progressions),
      }),
    }),
  },
})
