import DataLoader from 'dataloader'
import { type Db, sql } from '../database/client.ts'
import { hashOf } from './userAggregate.ts'

/** Who is looking, and until when. */
export interface Viewer {
  readonly id: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN'
  readonly sessionId: string
  readonly expiresAt: Date
}

/** Whose token it is, asked of the database each time, so that a session that has ended lets nobody in; the tokens of requests that arrive together are asked for together. */
export function viewers(db: Db) {
  const sessions = new DataLoader<string, Viewer | null>(
    async (hashes) => {
      const found = await db.$queryRaw<(Viewer & { tokenHash: string })[]>(
        sql`select s."tokenHash", s.id as "sessionId", s."expiresAt", u.id, u.role::text as role from "Session" s join "User" u on u.id = s."userId" where s."tokenHash" = any(${hashes}::text[]) and s."expiresAt" > now()`,
      )
      const byHash = new Map(found.map(({ tokenHash, ...viewer }) => [tokenHash, viewer]))
      return hashes.map((hash) => byHash.get(hash) ?? null)
    },
    { cache: false, maxBatchSize: 500 },
  )
  /** The viewer of an Authorization header; null: none, or one that no session answers to. */
  return async (authorization: string | null | undefined): Promise<Viewer | null> => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization?.trim() ?? '') ?? []
    return token ? sessions.load(hashOf(token)) : null
  }
}
