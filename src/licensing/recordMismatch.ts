import { encodeGlobalID, resolveCursorConnection, type ResolveCursorConnectionArgs } from '@pothos/plugin-relay'
import { builder, LARGEST_PAGE, PAGE } from '../api/builder.ts'
import { connectionOf, type PageArguments } from '../api/connection.ts'
import { type Db, raw, sql } from '../database/client.ts'
import { ConsistencyType, consistencyOf } from './consistency.ts'
import { codeOf, userOf } from './id.ts'

interface MismatchRow {
  readonly id: string
  readonly progress: number | null
  readonly license: number | null
}

/** A standing whose records do not agree. */
export const RecordMismatch = builder.objectRef<MismatchRow>('RecordMismatch').implement({
  description: 'A user’s progress and license in a specialization that do not have the same level.',
  fields: (t) => ({
    id: t.id({
      description: 'An id for caches, always the same for the same two records. There is no `node` for it.',
      resolve: ({ id }) => encodeGlobalID('RecordMismatch', id),
    }),
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

const MISMATCHES = sql`
  select coalesce(p.id, l.id) as id, p."currentLevel" as progress, l."currentLevel" as license
  from "SpecializationProgress" p full join "License" l on l.id = p.id
  where p."currentLevel" is distinct from l."currentLevel"`

builder.queryField('desyncs', (t) =>
  t.connection(
    {
      type: RecordMismatch,
      nullable: true,
      description:
        'All progress and licenses that do not agree, ordered by id. For admins. The query reads all of them: use ' +
        'it seldom.',
      authScopes: { admin: true },
      resolve: async (_, args, { db }) => ({
        ...(await pageOfMismatches(args, db)),
        totalCount: () => countMismatches(db),
      }),
    },
    connectionOf(RecordMismatch, 'RecordMismatch'),
  ),
)

const pageOfMismatches = (args: PageArguments, db: Db) =>
  resolveCursorConnection(
    { args, defaultSize: PAGE, maxSize: LARGEST_PAGE, toCursor: ({ id }: MismatchRow) => id },
    ({ before, after, limit, inverted }: ResolveCursorConnectionArgs) => {
      const [from, to] = [after ?? null, before ?? null]
      return db.$queryRaw<MismatchRow[]>(sql`
        select * from (${MISMATCHES}) d
        where (${from}::text is null or id > ${from}::text) and (${to}::text is null or id < ${to}::text)
        order by id ${raw(inverted ? 'desc' : 'asc')} limit ${limit}::int`)
    },
  )

async function countMismatches(db: Db): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>(sql`select count(*)::int as count from (${MISMATCHES}) d`)
  return row!.count
}
