import { setTimeout as sleep } from 'node:timers/promises'
import DataLoader from 'dataloader'
import type { Viewer } from '../api/context.ts'
import { type Db, sql } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { hashOf } from './userAggregate.ts'

const FOUND = sql`
  select s."tokenHash", s.id as "sessionId", s."expiresAt", u.id, u.role::text as role
  from "Session" s join "User" u on u.id = s."userId"`

/** Looks viewers up by their tokens. Every call asks the database, so a session that has ended admits nobody. */
export function viewers(db: Db) {
  const sessions = together(async (hashes) => {
    const found = await db.$queryRaw<(Viewer & { tokenHash: string })[]>(
      sql`${FOUND} where s."tokenHash" = any(${hashes}::text[]) and s."expiresAt" > now()`,
    )
    return new Map(found.map(({ tokenHash, ...viewer }) => [tokenHash, viewer]))
  })

  /** The viewer of an Authorization header; null if there is no header, or no session that is valid. */
  return async (authorization: string | null | undefined): Promise<Viewer | null> => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization?.trim() ?? '') ?? []
    return token ? sessions.load(hashOf(token)) : null
  }
}

/** Looks viewers up by the ids of their sessions. Every call asks the database; null if the session has ended. */
export function sessions(db: Db) {
  const byId = together(async (ids) => {
    const found = await db.$queryRaw<(Viewer & { tokenHash: string })[]>(
      sql`${FOUND} where s.id = any(${ids}::text[]) and s."expiresAt" > now()`,
    )
    return new Map(found.map(({ tokenHash: _, ...viewer }) => [viewer.sessionId, viewer]))
  })
  return (id: string): Promise<Viewer | null> => byId.load(id)
}

/**
 * Calls made during a query share the next query. They wait 50 ms at most, since the query under way may never be
 * answered.
 */
function together(find: (keys: readonly string[]) => Promise<Map<string, Viewer>>) {
  let asking: Promise<unknown> = Promise.resolve()
  const ask = async (keys: readonly string[]) => {
    const found = await find(keys)
    return keys.map((key) => found.get(key) ?? null)
  }
  return new DataLoader<string, Viewer | null>(
    (keys) => {
      const answer = ask(keys).catch((error) => {
        if (isDisconnection(error)) return ask(keys) // once more, on another connection
        throw error
      })
      asking = answer.catch(() => {})
      return answer
    },
    {
      cache: false,
      maxBatchSize: 500,
      batchScheduleFn: (go) =>
        void Promise.race([asking, sleep(50, undefined, { ref: false })]).then(() => setImmediate(go)),
    },
  )
}
