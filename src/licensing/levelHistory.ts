import { builder } from '../api/builder.ts'
import { history } from '../api/history.ts'
import { LevelChangeKind } from './levelUpdates.ts'
import { LicenseProgression, shownProgressions } from './license.ts'
import { SpecializationProgress } from './progress.ts'
import { standings } from './standingAggregate.ts'
import type { License, StandingView } from './standingState.ts'
import { visibleTo } from './visibility.ts'

const LicenseVersion = builder.objectRef<License>('LicenseVersion').implement({
  description: 'A license at one version of the progress. The present is `License`.',
  fields: (t) => ({
    currentLevel: t.exposeInt('currentLevel', { description: 'The level.' }),
    maxAchievedLevel: t.exposeInt('maxAchievedLevel', {
      description: 'The highest level that the license had had until then.',
    }),
    issuedAt: t.expose('issuedAt', { type: 'DateTime', description: 'When the license was issued.' }),
  }),
})

/** There is a progress from version 1 on. */
const progressOf = ({ view }: { readonly view: StandingView }) => view.progress!

/** One version of a progress and its license. For whoever may see the progress. */
export const LevelVersion = history({
  aggregate: standings,
  root: SpecializationProgress,
  name: 'Level',
  description: 'A user’s progress and license in a specialization at one version, and the change that made it.',
  kind: LevelChangeKind,
  visible: (ids, { db, viewer }) =>
    db.specializationProgress.findMany({
      where: { id: { in: [...ids] }, AND: visibleTo(viewer) },
      select: { id: true },
    }),
  fields: (t, { shown }) => ({
    progressions: t.field({
      type: [LicenseProgression],
      description: 'The changes of level that the change contains.',
      resolve: shown(({ view, changed }) => shownProgressions(view, changed?.progressions)),
    }),
    currentLevel: t.int({ description: 'The level.', resolve: shown((version) => progressOf(version).currentLevel) }),
    totalXp: t.int({
      description: 'The XP gained, minus what was subtracted.',
      resolve: shown((version) => progressOf(version).totalXp),
    }),
    completedSessions: t.int({
      description: 'The number of completed sessions.',
      resolve: shown((version) => progressOf(version).completedSessions),
    }),
    theoryHours: t.float({
      description: 'Hours of theory, with two decimals at most.',
      resolve: shown((version) => progressOf(version).theoryHours),
    }),
    practiceHours: t.float({
      description: 'Hours of practice, with two decimals at most.',
      resolve: shown((version) => progressOf(version).practiceHours),
    }),
    license: t.field({
      type: LicenseVersion,
      nullable: true,
      description: 'The license; null if somebody had deleted it by hand.',
      resolve: shown(({ view }) => view.license),
    }),
  }),
})
