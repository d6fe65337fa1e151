import { mutation } from '../api/mutation.ts'
import { type Actor, EVERYTHING, type Verb } from '../commit/aggregate.ts'
import { Forbidden } from '../commit/errors.ts'
import { RecordSource } from './progress.ts'
import { advanced, highest } from './standingAggregate.ts'
import { LevelOutOfRange, RecordNotFound } from './standingError.ts'
import {
  ofStanding,
  progressionsSince,
  type StandingAnswer,
  standingField,
  type StandingRequest,
} from './standingRequest.ts'
import { known, signed } from './standingRules.ts'
import { beginner, type License, type Source, type Standings } from './standingState.ts'

/** The standing to sync, and which of its records is right. */
export interface Sync extends StandingRequest {
  readonly source: Source
}

export interface SyncRecordsAnswer extends StandingAnswer {
  /** False: the records agreed already. */
  readonly synced: boolean
}

/**
 * Gives one record the level of the other, or creates it. The desync was made by hand and is not in the history. So the
 * event contains both records whole.
 */
export const syncRecords: Verb<Standings, Sync, SyncRecordsAnswer> = {
  name: 'syncRecords',
  ...ofStanding,
  slice: () => [EVERYTHING],
  may: (_, __, actor) => maySync(actor),

  decide(state, { source, reason }, { actor, now }) {
    const { maxLevel } = known(state)
    const signature = signed(actor, reason)
    const { version, progress, license, progressions } = state
    const right = source === 'PROGRESS' ? progress : license
    if (!right) throw new RecordNotFound(source)
    const level = right.currentLevel
    if (level > maxLevel) throw new LevelOutOfRange(level, maxLevel)
    if (progress?.currentLevel === license?.currentLevel) return []

    const issued: License = { currentLevel: level, maxAchievedLevel: highest(level, progressions), issuedAt: now }
    const after = {
      progress: { ...(progress ?? beginner), currentLevel: level },
      license: license ? advanced(license, level) : issued,
    }
    const before = { from: license?.currentLevel ?? null, progressions: version ? [] : progressions }
    return [{ kind: 'recordsSynced', source, ...after, ...before, ...signature }]
  },

  answer: (state, _, events, before) => ({
    progressions: progressionsSince(before, state),
    synced: events.length > 0,
  }),
}

function maySync(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may sync records.')
}

mutation(syncRecords, {
  description:
    'Makes progress and license agree again. The source is right; the other record gets its level, or is ' +
    'created. If they agree already, nothing changes. For admins.',
  failed: 'Failed to sync the records.',
  input: (t) => ({
    ...standingField.input(t),
    source: t.field({
      type: RecordSource,
      description:
        'The record that is right. If in doubt, the one with the higher level, so that nobody loses a level.',
    }),
  }),
  ask: ({ source, ...given }) => ({ ...standingField.ask(given), source }),
  payload: (t) => ({
    ...standingField.payload(t, 'The change of the license’s level that this request made; empty if it made none.'),
    synced: t.boolean({
      description: 'False: the records agreed already, and nothing changed.',
      resolve: ({ answer }) => answer.synced,
    }),
  }),
  errors: [...standingField.errors, LevelOutOfRange],
})
