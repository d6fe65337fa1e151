import { setTimeout as sleep } from 'node:timers/promises'
import DataLoader from 'dataloader'
import { type Db, sql } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { hashOf } from './userAggregate.ts'

/** Who is looking, and until when. */
export interface Viewer {
  readonly id: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN'
  readonly sessionId: string
  readonly expiresAt: Date
}

/** Whose token it is, asked of the database each time, so that a session that has ended lets nobody in. The tokens of requests that arrive while others are being asked for go together in the next question; but none waits for long, since the one that is under way may never be answered. */
export function viewers(db: Db) {
  let asking: Promise<unknown> = Promise.resolve()

  async function ask(hashes: readonly string[]): Promise<(Viewer | null)[]> {
    const found = await db.$queryRaw<(Viewer & { tokenHash: string })[]>(
      sql`select s."tokenHash", s.id as "sessionId", s."expiresAt", u.id, u.role::text as role from "Session" s join "User" u on u.id = s."userId" where s."tokenHash" = any(${hashes}::text[]) and s."expiresAt" > now()`,
    )
    const byHash = new Map(found.map(({ tokenHash, ...viewer }) => [tokenHash, viewer]))
    return hashes.map((hash) => byHash.get(hash) ?? null)
  }

  const sessions = new DataLoader<string, Viewer | null>(
    (hashes) => {
      const answer = ask(hashes).catch((error) => {
        if (isDisconnection(error)) return ask(hashes) // on another connection
        throw error
      })
      asking = answer.catch(() => {})
      return answer
    },
    {
      cache: false,
      maxBatchSize: 500,
      batchScheduleFn: (go) => void Promise.race([asking, sleep(50, undefined, { ref: false })]).then(() => setImmediate(go)),
    },
  )

  /** The viewer of an Authorization header; null: none, or one that no session answers to. */
  return async (authorization: string | null | undefined): Promise<Viewer | null> => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization?.trim() ?? '') ?? []
    return token ? sessions.load(hashOf(token)) : null
  }
}
