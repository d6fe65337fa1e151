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

/** A standing whose records do not agree. */
export const Desync = builder.objectRef<DesyncRow>('Desync').implement({
  description: 'A user’s progress and license in a specialization that do not agree.',
  fields: (t) => ({
    userId: t.globalID({
      description: 'The id of the user.',
      resolve: ({ id }) => ({ type: 'User', id: userOf(id) }),
    }),
    specialization: t.string({ description: 'The code of the specialization.', resolve: ({ id }) => codeOf(id) }),
    consistency: t.field({
      type: ConsistencyType,
      description: 'How the two records differ.',
      resolve: ({ progress, license }) => consistencyOf(progress, license),
    }),
  }),
})

const DESYNCS = sql`
  select coalesce(p.id, l.id) as id, p."currentLevel" as progress, l."currentLevel" as license
  from "SpecializationProgress" p full join "License" l on l.id = p.id
  where p."currentLevel" is distinct from l."currentLevel"`

builder.queryField('desyncs', (t) =>
  t.connection({
    type: Desync,
    description:
      'All progress and licenses that do not agree, ordered by id. For admins. The query reads all of them: use ' +
      'it seldom.',
    authScopes: { admin: true },
    resolve: (_, args, { db }) =>
      resolveCursorConnection(
        { args, defaultSize: 20, maxSize: 100, toCursor: ({ id }: DesyncRow) => id },
        ({ before, after, limit, inverted }: ResolveCursorConnectionArgs) => {
          const [from, to] = [after ?? null, before ?? null]
          return db.$queryRaw<DesyncRow[]>(sql`
            select * from (${DESYNCS}) d
            where (${from}::text is null or id > ${from}::text) and (${to}::text is null or id < ${to}::text)
            order by id ${raw(inverted ? 'desc' : 'asc')} limit ${limit}::int`)
        },
      ),
  }),
)
