import type { Aggregate } from '../commit/aggregate.ts'
import { codeOf, userOf } from './id.ts'
import { RecordNotFound } from './standingError.ts'
import { loadStandings, readStandings } from './standingQuery.ts'
import {
  beginner,
  type ExperienceGained,
  type LevelUpdated,
  type License,
  licenseColumns,
  type Progress,
  progressColumns,
  type StandingEvent,
  type Standings,
  sum,
} from './standingState.ts'

/** Standings, for commit(). The progress is the root and is locked first; the license is written after it. */
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
      const progressions = event.progressions ?? []
      const license = { currentLevel: 1, maxAchievedLevel: highest(1, progressions), issuedAt: at }
      return { ...state, progress: beginner, license, progressions }
    }
    const { advancedBy, reason } = event
    const made = changesOf(event).map(([from, to]) => {
      const version = state.version + 1
      return { at, version, from, to, advancedBy, reason }
    })
    if (event.kind === 'recordsSynced') {
      const { progress, license } = event
      const earlier = state.version ? state.progressions : event.progressions
      return { ...state, progress, license, progressions: [...earlier, ...made] }
    }
    return {
      ...state,
      progress: added(state.progress!, event),
      license: advanced(state.license!, event.level),
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

/** The highest of a level and all levels in the history of a license. A license deleted by hand leaves its history. */
export const highest = (
  level: number,
  progressions: readonly { readonly from: number; readonly to: number }[],
): number => progressions.reduce((most, { from, to }) => Math.max(most, from, to), level)

/** The license at another level. The highest level stays. */
export const advanced = (license: License, level: number): License => ({
  ...license,
  currentLevel: level,
  maxAchievedLevel: Math.max(license.maxAchievedLevel, level),
})

/** The progress after a gain or an update. */
function added(progress: Progress, event: ExperienceGained | LevelUpdated): Progress {
  const hours = event.kind === 'levelUpdated' ? event : { theoryHours: 0, practiceHours: 0 }
  return {
    currentLevel: event.level,
    totalXp: progress.totalXp + event.xp,
    completedSessions: progress.completedSessions + event.sessions,
    theoryHours: sum(progress.theoryHours, hours.theoryHours),
    practiceHours: sum(progress.practiceHours, hours.practiceHours),
  }
}

/** The changes of the license's level in an event: by XP one level at a time, otherwise in one step. */
function changesOf(event: StandingEvent): [from: number, to: number][] {
  if (event.kind === 'standingBegun') return []
  const { from } = event
  const to = event.kind === 'recordsSynced' ? event.license.currentLevel : event.level
  if (from === null || from === to) return []
  if (event.kind !== 'experienceGained') return [[from, to]]
  return Array.from({ length: to - from }, (_, i) => [from + i, from + i + 1])
}
