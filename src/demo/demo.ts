import type { ClientBase } from 'pg'
import { commits } from '../commit/commit.ts'
import { connect } from '../database/client.ts'
import { inSession } from '../database/session.ts'
import { demoTokenHashes, demoTokens, finishDemo, lastOfDemo } from '../identity/demo.ts'
import { modules } from '../modules.ts'
import type { Config } from '../operator/config.ts'

/** Whether the database accepts the demo's tokens. */
export const isDemo = (url: string): Promise<boolean> =>
  inSession(url, async (client) => {
    const { rows } = await client.query<{ found: boolean }>(
      'select exists (select from "Session" where "tokenHash" = any($1)) as found',
      [demoTokenHashes],
    )
    return rows[0]!.found
  })

/**
 * Whether the demo is to be made: there are no users but its own (whose ids are their tokens), and it was never
 * finished. A crash may have interrupted it. A finished demo stays as people have left it; its last step is the session
 * of its last user.
 */
export async function lacksDemo(client: Pick<ClientBase, 'query'>): Promise<boolean> {
  const { rows } = await client.query<{ lacks: boolean }>(
    `select not exists (select from "User" where id <> all($1))
      and not exists (select from "Event" where "rootType" = 'User' and "rootId" = $2 and version > 1) as lacks`,
    [demoTokens, lastOfDemo],
  )
  return rows[0]!.lacks
}

/** Fills the database with every module's demo. Safe to repeat. */
export async function seedDemo(
  url: string,
  { pool }: Pick<Config, 'pool'>,
  failed: (error: unknown) => void = () => {},
): Promise<void> {
  const db = connect(url, pool)
  const { commit } = commits(db, { watch: { failed } })
  try {
    for (const { demo } of modules) await demo?.({ db, commit })
    await finishDemo({ db, commit })
  } finally {
    await db.$disconnect()
  }
}
