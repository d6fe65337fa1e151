import { builder, localId } from '../api/builder.ts'
import { sql } from '../database/client.ts'
import { codeIn, standingOf } from './id.ts'

/** How progress and license stand to each other; what a level is null of isn't there. */
export interface Consistency {
  readonly consistent: boolean
  readonly message: string
  readonly progressLevel: number | null
  readonly licenseLevel: number | null
  readonly recommendedAction: 'NONE' | 'SYNC_TO_HIGHER_LEVEL' | 'CREATE_LICENSE' | 'CREATE_PROGRESS'
}

/** Whether the two records say the same, and what to do if they don't. */
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

/** What mends a desync. */
export const RecommendedAction = builder.enumType('RecommendedAction', {
  description: 'What mends a desync. Whoever knows better which of the two records is right chooses the other source.',
  values: {
    NONE: { description: 'There is nothing to mend.' },
    SYNC_TO_HIGHER_LEVEL: { description: '`syncRecords` with the record that has the higher level as its source.' },
    CREATE_LICENSE: { description: 'There is no license: `syncRecords(source: PROGRESS)` issues it.' },
    CREATE_PROGRESS: {
      description: 'There is no progress: `syncRecords(source: LICENSE)` begins it, at the level of the license.',
    },
  } as const,
})

/** How progress and license stand to each other, as the API shows it. */
export const ConsistencyType = builder.objectRef<Consistency>('Consistency').implement({
  description:
    'Whether progress and license say the same. Nothing that this API does makes them differ; SQL by hand can, or an import from elsewhere.',
  fields: (t) => ({
    consistent: t.exposeBoolean('consistent', { description: 'True: both have the same level, or neither is there.' }),
    message: t.exposeString('message', {
      description: 'The same, for a person: "Desync detected: Progress=5, License=3".',
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
      description: 'The level that the progress has; null if there is none.',
    }),
    licenseLevel: t.exposeInt('licenseLevel', {
      nullable: true,
      description: 'The level that the license has; null if there is none.',
    }),
    difference: t.int({
      nullable: true,
      description: 'How many levels they are apart; null unless both are there.',
      resolve: ({ progressLevel, licenseLevel }) =>
        progressLevel === null || licenseLevel === null ? null : Math.abs(progressLevel - licenseLevel),
    }),
    recommendedAction: t.expose('recommendedAction', { type: RecommendedAction, description: 'What to do about it.' }),
  }),
})

builder.queryField('consistency', (t) =>
  t.field({
    type: ConsistencyType,
    description:
      'Whether somebody’s progress and license in a specialization say the same; for the person, instructors and admins.',
    args: {
      userId: t.arg.id({ description: 'As `User.id`.' }),
      specialization: t.arg.string({ description: 'As `Specialization.code`.' }),
    },
    authScopes: (_, { userId }) => ({
      $any: { self: localId('User', userId, 'userId'), instructor: true, admin: true },
    }),
    resolve: async (_, { userId, specialization }, { db }) => {
      const id = standingOf(localId('User', userId, 'userId'), codeIn(specialization, 'specialization'))
      // one statement: between two, both could have changed
      const [row] = await db.$queryRaw<Levels[]>(
        sql`select (select "currentLevel" from "SpecializationProgress" where id = ${id}) as progress, (select "currentLevel" from "License" where id = ${id}) as license`,
      )
      return consistencyOf(row!.progress, row!.license)
    },
  }),
)

interface Levels {
  readonly progress: number | null
  readonly license: number | null
}
