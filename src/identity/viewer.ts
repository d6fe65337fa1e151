import { setTimeout as sleep } from 'node:timers/promises'
import DataLoader from 'dataloader'
import type { Viewer } from '../api/context.ts'
import { type Db, sql } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { hashOf } from './userAggregate.ts'

const FOUND = sql`select s."tokenHash", s.id as "sessionId", s."expiresAt", u.id, u.role::text as role from "Session" s join "User" u on u.id = s."userId"`

/** Whose token it is, asked of the database each time, so that a session that has ended lets nobody in. */
export function viewers(db: Db) {
  const sessions = together(async (hashes) => {
    const found = await db.$queryRaw<(Viewer & { tokenHash: string })[]>(
      sql`${FOUND} where s."tokenHash" = any(${hashes}::text[]) and s."expiresAt" > now()`,
    )
    return new Map(found.map(({ tokenHash, ...viewer }) => [tokenHash, viewer]))
  })

  /** The viewer of an Authorization header; null: none, or one that no session answers to. */
  return async (authorization: string | null | undefined): Promise<Viewer | null> => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization?.trim() ?? '') ?? []
    return token ? sessions.load(hashOf(token)) : null
  }
}

/** Whose session it is, by its id, asked of the database each time; null: it has ended. */
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
 * Those who ask while others are being asked for go together in the next question; but none waits for long, since the
 * one that is under way may never be answered.
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
        if (isDisconnection(error)) return ask(keys) // on another connection
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
