import { createHash, randomBytes } from 'node:crypto'
import { type Actor, type Aggregate, instant, type Wanted } from '../commit/aggregate.ts'
import { sql } from '../database/client.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'

/** There is no such user. */
export class UserNotFound extends DomainError {
  readonly userId: string
  constructor(userId: string) {
    super('There is no such user.')
    this.userId = userId
  }
}

/** One person and their sessions. */
export interface UserState {
  readonly id: string
  /** 0: not registered. */
  readonly version: number
  readonly name: string
  readonly role: 'LEARNER' | 'INSTRUCTOR' | 'ADMIN'
  readonly createdAt: string
  readonly sessions: Readonly<Record<string, SessionState>>
}
interface SessionState {
  readonly tokenHash: string
  readonly createdAt: string
  readonly expiresAt: string
}

/** What can happen to a user. */
export type UserEvent =
  | { readonly kind: 'userRegistered'; readonly name: string; readonly role: UserState['role'] }
  | {
      readonly kind: 'sessionStarted'
      readonly sessionId: string
      readonly tokenHash: string
      readonly expiresAt: string
    }
  | { readonly kind: 'sessionEnded'; readonly sessionId: string }

/** A user as answers and subscribers are shown them. */
export type UserView = Pick<UserState, 'id' | 'version' | 'name' | 'role' | 'createdAt'>

/** The types of the user's aggregate. */
export interface Users {
  readonly state: UserState
  readonly event: UserEvent
  readonly view: UserView
}

/** A new token: 256 random bits. It is shown once and stored nowhere. */
export const newToken = () => randomBytes(32).toString('base64url')
/** What is stored of a token. */
export const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url')

/** People are registered, and sessions begun for them, by admins and by operators at the command line. */
export function mayAdminister(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may do this.')
}

const read = ({ ids }: Wanted) => sql`
  select json_build_object('id', u.id, 'version', u.version, 'name', u.name, 'role', u.role, 'createdAt', u."createdAt", 'sessions',
    (select coalesce(json_object_agg(s.id, json_build_object('tokenHash', s."tokenHash", 'createdAt', s."createdAt", 'expiresAt', s."expiresAt")), '{}') from "Session" s where s."userId" = u.id)) as row
  from "User" u where u.id = any(${ids}::text[])`

/** Users, as commit() reads, changes and writes them. */
export const users: Aggregate<Users> = {
  root: 'User',
  tables: { Session: ['id'] },
  read,
  load: (rows: readonly UserState[]) =>
    rows.map((row) => ({
      ...row,
      createdAt: instant(row.createdAt),
      sessions: Object.fromEntries(
        Object.entries(row.sessions).map(([id, { tokenHash, createdAt, expiresAt }]) => [
          id,
          { tokenHash, createdAt: instant(createdAt), expiresAt: instant(expiresAt) },
        ]),
      ),
    })),
  blank: (id) => ({ id, version: 0, name: '', role: 'LEARNER', createdAt: '', sessions: {} }),
  missing: ({ id }) => new UserNotFound(id),

  evolve(state, event, at) {
    switch (event.kind) {
      case 'userRegistered':
        return { ...state, name: event.name, role: event.role, createdAt: at }
      case 'sessionStarted':
        return {
          ...state,
          sessions: {
            ...state.sessions,
            [event.sessionId]: { tokenHash: event.tokenHash, createdAt: at, expiresAt: event.expiresAt },
          },
        }
      case 'sessionEnded':
        return {
          ...state,
          sessions: Object.fromEntries(Object.entries(state.sessions).filter(([id]) => id !== event.sessionId)),
        }
    }
  },

  rows: ({ id, version, name, role, createdAt, sessions }) => ({
    User: [{ id, version, name, role, createdAt }],
    Session: Object.entries(sessions).map(([sessionId, { tokenHash, createdAt, expiresAt }]) => ({
      id: sessionId,
      userId: id,
      tokenHash,
      createdAt,
      expiresAt,
    })),
  }),

  view: ({ id, version, name, role, createdAt }) => ({ id, version, name, role, createdAt }),

  topic: ({ id }) => `User:${id}`,
}
