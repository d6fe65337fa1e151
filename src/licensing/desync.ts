import { resolveCursorConnection, type ResolveCursorConnectionArgs } from '@pothos/plugin-relay'
import { builder } from '../api/builder.ts'
import { raw, sql } from '../database/client.ts'
import { ConsistencyType, consistencyOf } from './consistency.ts'
import { codeOf, userOf } from './id.ts'

interface DesyncRow {
  readonly id: string
  readonly progress: number | null
  readonly license: number | null
}

const Desync = builder.objectRef<DesyncRow>('Desync').implement({
  description: 'Progress and license of one person in one specialization that do not say the same.',
  fields: (t) => ({
    userId: t.globalID({
      description: 'Whose they are, as `User.id`.',
      resolve: ({ id }) => ({ type: 'User', id: userOf(id) }),
    }),
    specialization: t.string({ description: 'In what, as `Specialization.code`.', resolve: ({ id }) => codeOf(id) }),
    consistency: t.field({
      type: ConsistencyType,
      description: 'What was found.',
      resolve: ({ progress, license }) => consistencyOf(progress, license),
    }),
  }),
})

const DESYNCS = sql`select coalesce(p.id, l.id) as id, p."currentLevel" as progress, l."currentLevel" as license
  from "SpecializationProgress" p full join "License" l on l.id = p.id where p."currentLevel" is distinct from l."currentLevel"`

builder.queryField('desyncs', (t) =>
  t.connection({
    type: Desync,
    description:
      'Everybody whose progress and license do not say the same, by id; for admins. It looks at all of them: ask it now and then, not often.',
    authScopes: { admin: true },
    resolve: (_, args, { db }) =>
      resolveCursorConnection(
        { args, defaultSize: 20, maxSize: 100, toCursor: ({ id }: DesyncRow) => id },
        ({ before, after, limit, inverted }: ResolveCursorConnectionArgs) =>
          db.$queryRaw<DesyncRow[]>(sql`select * from (${DESYNCS}) d
            where (${after ?? null}::text is null or id > ${after ?? null}::text) and (${before ?? null}::text is null or id < ${before ?? null}::text)
            order by id ${raw(inverted ? 'desc' : 'asc')} limit ${limit}::int`),
      ),
  }),
)
