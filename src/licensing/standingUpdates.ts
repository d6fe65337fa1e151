import { builder, localId, SHOWN } from '../api/builder.ts'
import type { Context } from '../api/context.ts'
import type { ChangeItem, SnapshotItem } from '../journal/follow.ts'
import { codeIn, standingOf, userOf } from './id.ts'
import { License, LicenseProgression, shownLicense, shownProgressions } from './license.ts'
import { shownProgress, SpecializationProgress } from './progress.ts'
import { standings } from './standingAggregate.ts'
import type { StandingState, StandingView } from './standingState.ts'
import { seesAll } from './visibility.ts'
import { change } from '../api/change.ts'
import { NotFound, stream, Why } from '../api/stream.ts'

const StandingSnapshot = builder.objectRef<SnapshotItem<StandingState>>('StandingSnapshot').implement({
  description: 'How somebody stands in a specialization, at one version.',
  fields: (t) => ({
    why: t.expose('why', { type: Why, description: 'Why this is told, and not a change.' }),
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'Behind this; what to give as `after` to go on from here.',
    }),
    version: t.exposeInt('version', { description: 'The version that it is at.' }),
    progress: t.field({
      type: SpecializationProgress,
      grantScopes: SHOWN,
      description: 'The progress at this version.',
      resolve: ({ present }) => shownProgress(present)!,
    }),
    license: t.field({
      type: License,
      nullable: true,
      grantScopes: SHOWN,
      description: 'The license at this version; null if somebody has deleted it by hand.',
      resolve: ({ present }) => shownLicense(present),
    }),
  }),
})

const Kind = builder.enumType('StandingChangeKind', {
  description: 'What can happen to somebody’s standing in a specialization.',
  values: {
    STANDING_BEGUN: { value: 'standingBegun', description: 'It began: both records at level 1.' },
    EXPERIENCE_GAINED: { value: 'experienceGained', description: 'XP or sessions were added, and the level followed.' },
    LEVEL_UPDATED: {
      value: 'levelUpdated',
      description: 'An instructor or admin set the level, or changed the totals.',
    },
    RECORDS_SYNCED: {
      value: 'recordsSynced',
      description: 'Progress and license did not say the same, and an admin has mended that.',
    },
  },
})

const StandingChange = builder.objectRef<ChangeItem>('StandingChange').implement({
  description: 'One change of somebody’s standing in a specialization, as it was committed.',
  fields: (t) => ({
    ...change(t),
    kind: t.field({ type: Kind, description: 'What happened.', resolve: ({ event }) => event.kind as never }),
    progress: t.field({
      type: SpecializationProgress,
      grantScopes: SHOWN,
      description: 'The progress as this change left it.',
      resolve: ({ event }) => shownProgress(event.view as StandingView)!,
    }),
    license: t.field({
      type: License,
      nullable: true, // as in the snapshot, since a client asks both for it in one operation
      grantScopes: SHOWN,
      description: 'The license as this change left it: never null, and always at the level of the progress.',
      resolve: ({ event }) => shownLicense(event.view as StandingView),
    }),
    progressions: t.field({
      type: [LicenseProgression],
      description: 'The changes of level that were part of it.',
      resolve: ({ event }) =>
        shownProgressions(event.view as StandingView, (event.view as StandingView).progressions ?? []),
    }),
  }),
})

stream('standingUpdates', {
  description:
    'Follows how somebody stands in a specialization; for the person, instructors, and admins. There is something to follow once they have begun.',
  args: (t) => ({
    userId: t.id({ required: true, description: 'As `User.id`.' }),
    specialization: t.string({ required: true, description: 'As `Specialization.code`.' }),
  }),
  snapshot: StandingSnapshot,
  change: StandingChange,
  open({ userId, specialization }) {
    const id = standingOf(
      localId('User', userId as string, 'userId'),
      codeIn(specialization as string, 'specialization'),
    )
    return {
      source: {
        subject: { rootType: 'SpecializationProgress', rootId: id },
        read: standings.read({ ids: [id], slices: new Map() }),
        load: (rows) => (standings.load(rows) as readonly StandingState[]).find(({ version }) => version > 0),
        missing,
      },
      guards: [],
      authorize: ({ viewer }: Context) => {
        if (viewer?.id !== userOf(id) && !seesAll(viewer)) throw missing()
      },
    }
  },
})

const missing = () => new NotFound('There is no such standing, or you may not see it.')
