import { type Actor, EVERYTHING, type Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { Forbidden } from '../commit/errors.ts'
import { UserNotFound } from '../identity/userAggregate.ts'
import { mutation } from '../api/mutation.ts'
import { codeIn, codeOf, standingOf, userOf } from './id.ts'
import { RecordSource } from './progress.ts'
import { recordsIn } from './recordsPayload.ts'
import {
  advanced,
  beginner,
  highest,
  LevelOutOfRange,
  RecordNotFound,
  reasonIn,
  SpecializationNotFound,
  standings,
} from './standingAggregate.ts'
import type { License as LicenseState, Progression, Source, Standings } from './standingState.ts'

mutation('syncRecords', {
  verb: () => syncRecords,
  description:
    'Mends progress and license that do not say the same: the source is right, and the other record follows it, or is made. Where they agree already it is a success that changes nothing. For admins.',
  failed: 'Failed to sync the records.',
  input: (t) => ({
    userId: t.id({ description: 'Whose records, as `User.id`.' }),
    specialization: t.string({ description: 'In what, as `Specialization.code`.' }),
    source: t.field({
      type: RecordSource,
      description:
        'Which record is right. Where nothing else is known, the one with the higher level: nobody loses what they had.',
    }),
    reason: t.string({ description: 'Why, for the history of the license: 1 to 500 characters on one line.' }),
  }),
  ask: ({ userId, specialization, source, reason }) => ({
    userId: localId('User', userId, 'input.userId'),
    specialization: codeIn(specialization, 'input.specialization'),
    ...{ source, reason },
  }),
  payload: (t) => ({
    ...recordsIn(t, 'The change of the license’s level, if this request made one.'),
    synced: t.boolean({
      description: 'False: they agreed already, and nothing was changed.',
      resolve: ({ answer }) => answer.synced,
    }),
  }),
  errors: [SpecializationNotFound, UserNotFound, RecordNotFound, LevelOutOfRange],
})

/** Which records, and which of them is right. */
export interface Sync {
  readonly userId: string
  readonly specialization: string
  readonly source: Source
  readonly reason: string
}

/**
 * One record follows the other. What somebody did by hand to get them apart is in no history, so that the event bears
 * all that both say after it.
 */
export const syncRecords: Verb<Standings, Sync, { progressions: readonly Progression[]; synced: boolean }> = {
  name: 'syncRecords',
  aggregate: standings,
  creates: true,
  slice: () => [EVERYTHING],
  root: ({ userId, specialization }) => standingOf(userId, specialization),
  may: (_, __, actor) => mayMend(actor),

  decide(
    { id, version, progress, license, progressions, specialization, registered },
    { source, reason },
    { actor, now },
  ) {
    if (!specialization) throw new SpecializationNotFound(codeOf(id))
    if (!registered) throw new UserNotFound(userOf(id))
    const told = reasonIn(reason)
    const right = source === 'PROGRESS' ? progress : license
    if (!right) throw new RecordNotFound(source)
    const level = right.currentLevel
    if (level > specialization.maxLevel) throw new LevelOutOfRange(level, specialization.maxLevel)
    if (progress?.currentLevel === license?.currentLevel) return []

    const issued: LicenseState = { currentLevel: level, maxAchievedLevel: highest(level, progressions), issuedAt: now }
    const after = {
      progress: { ...(progress ?? beginner), currentLevel: level },
      license: license ? advanced(license, level) : issued,
    }
    const from = license?.currentLevel ?? null
    return [
      {
        kind: 'recordsSynced',
        source,
        ...after,
        from,
        progressions: version ? [] : progressions,
        advancedBy: actor.id,
        reason: told,
      },
    ]
  },

  answer: ({ progressions }, _, events, before) => ({
    progressions: progressions.slice(before.progressions.length),
    synced: events.length > 0,
  }),
}

function mayMend(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may mend records.')
}
