import { builder } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import { sql } from '../database/client.ts'
import { standingArgs, standingIn } from './id.ts'
import { seenBy } from './visibility.ts'

/** Whether the progress and the license of a standing agree. The level of a missing record is null. */
export interface Consistency {
  readonly consistent: boolean
  readonly message: string
  readonly progressLevel: number | null
  readonly licenseLevel: number | null
  readonly recommendedAction: 'NONE' | 'SYNC_TO_HIGHER_LEVEL' | 'CREATE_LICENSE' | 'CREATE_PROGRESS'
}

/** Compares the levels of the two records, and recommends what to do if they differ. */
export function consistencyOf(progressLevel: number | null, licenseLevel: number | null): Consistency {
  const levels = { progressLevel, licenseLevel }
  if (progressLevel === licenseLevel) {
    const message =
      progressLevel === null
        ? 'Neither progress nor license exists.'
        : `Progress and license agree: level ${progressLevel}.`
    return { ...levels, consistent: true, message, recommendedAction: 'NONE' }
  }
  return {
    ...levels,
    consistent: false,
    message: `Desync detected: Progress=${progressLevel ?? 'none'}, License=${licenseLevel ?? 'none'}`,
    recommendedAction:
      progressLevel === null ? 'CREATE_PROGRESS' : licenseLevel === null ? 'CREATE_LICENSE' : 'SYNC_TO_HIGHER_LEVEL',
  }
}

/** How to repair a desync. */
export const RecommendedAction = builder.enumType('RecommendedAction', {
  description: 'How to repair a desync. Choose the other source if you know that it is right.',
  values: {
    NONE: { description: 'There is nothing to repair.' },
    SYNC_TO_HIGHER_LEVEL: { description: 'Use `syncRecords`; the source is the record with the higher level.' },
    CREATE_LICENSE: { description: 'There is no license. `syncRecords(source: PROGRESS)` issues it.' },
    CREATE_PROGRESS: {
      description: 'There is no progress. `syncRecords(source: LICENSE)` creates it at the level of the license.',
    },
  } as const,
})

/** Whether progress and license agree, as the API shows it. */
export const ConsistencyType = builder.objectRef<Consistency>('Consistency').implement({
  description:
    'Whether progress and license have the same level. No request can make them differ; SQL by hand or an import ' +
    'from elsewhere can.',
  fields: (t) => ({
    consistent: t.exposeBoolean('consistent', {
      description: 'True: both have the same level, or neither exists.',
    }),
    message: t.exposeString('message', {
      description: 'The same for people: "Desync detected: Progress=5, License=3".',
    }),
    progressExists: t.boolean({
      description: 'Whether there is a progress.',
      resolve: ({ progressLevel }) => progressLevel !== null,
    }),
    licenseExists: t.boolean({
      description: 'Whether there is a license.',
      resolve: ({ licenseLevel }) => licenseLevel !== null,
    }),
    progressLevel: t.exposeInt('progressLevel', {
      nullable: true,
      description: 'The level of the progress; null if there is none.',
    }),
    licenseLevel: t.exposeInt('licenseLevel', {
      nullable: true,
      description: 'The level of the license; null if there is none.',
    }),
    difference: t.int({
      nullable: true,
      description: 'The number of levels between the two; null unless both exist.',
      resolve: ({ progressLevel, licenseLevel }) =>
        progressLevel === null || licenseLevel === null ? null : Math.abs(progressLevel - licenseLevel),
    }),
    recommendedAction: t.expose('recommendedAction', { type: RecommendedAction, description: 'How to repair it.' }),
  }),
})

builder.queryField('consistency', (t) =>
  t.field({
    type: ConsistencyType,
    nullable: true,
    description:
      'Whether a user’s progress and license in a specialization agree. For the user, instructors and admins.',
    args: standingArgs(t.arg),
    authScopes: (_, { userId }) => ({ $any: seenBy(localId('User', userId, 'userId')) }),
    resolve: async (_, standing, { db }) => {
      const id = standingIn(standing)
      // One statement: between two, both records could change.
      const [row] = await db.$queryRaw<Levels[]>(sql`
        select (select "currentLevel" from "SpecializationProgress" where id = ${id}) as progress,
          (select "currentLevel" from "License" where id = ${id}) as license`)
      return consistencyOf(row!.progress, row!.license) // a select without from has one row
    },
  }),
)

interface Levels {
  readonly progress: number | null
  readonly license: number | null
}
