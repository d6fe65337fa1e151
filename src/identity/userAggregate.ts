import { createHash, randomBytes } from 'node:crypto'
import { type Actor, type Aggregate, instant, type Wanted } from '../commit/aggregate.ts'
import { columns, moment, text, type Values } from '../commit/columns.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'
import { sql } from '../database/client.ts'

/** The user does not exist. */
export class UserNotFound extends DomainError {
  readonly userId: string
  constructor(userId: string) {
    super('There is no such user.')
    this.userId = userId
  }
}

const own = columns({
  name: text(''),
  role: text<'LEARNER' | 'INSTRUCTOR' | 'ADMIN'>('LEARNER'),
  createdAt: moment(),
})

/**
 * A user and their sessions.
 *
 *     version 0 ──userRegistered──▶ registered
 *     no session ──sessionStarted──▶ session ──sessionEnded──▶ no session
 *
 * A session that has expired admits nobody; its row stays until it is removed.
 */
export interface UserState extends UserView {
  /** By session id. */
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

/** A user as answers and subscriptions show it: without sessions. */
export interface UserView extends Values<typeof own> {
  readonly id: string
  readonly version: number
}

/** The types of the aggregate. */
export interface Users {
  readonly state: UserState
  readonly event: UserEvent
  readonly view: UserView
}

/** A new token: 256 random bits as base64url. Show it once; it is stored nowhere. */
export const newToken = () => randomBytes(32).toString('base64url')

/** The hash of a token, which is stored in its place: its SHA-256 as base64url. */
export const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url')

/** Throws Forbidden unless the actor is an admin or the operator. */
export function mayAdminister(actor: Actor): void {
  if (actor.role !== 'ADMIN' && actor.role !== 'SYSTEM') throw new Forbidden('Only an admin may do this.')
}

const read = ({ ids }: Wanted) => sql`
  select json_build_array(u.id, u.version, ${own.select('u')}, (
    select json_agg(json_build_array(s.id, s."tokenHash", s."createdAt", s."expiresAt")) from "Session" s
    where s."userId" = u.id)) as row
  from "User" u where u.id = any(${ids}::text[])`

type UserRow = readonly [id: string, version: number, own: readonly unknown[], sessions: readonly SessionRow[] | null]
type SessionRow = readonly [id: string, tokenHash: string, createdAt: string, expiresAt: string]

const session = ([id, tokenHash, createdAt, expiresAt]: SessionRow): [string, SessionState] => [
  id,
  { tokenHash, createdAt: instant(createdAt), expiresAt: instant(expiresAt) },
]

/** Users, for commit(). */
export const users: Aggregate<Users> = {
  root: 'User',
  tables: { Session: ['id'] },
  read,
  load: (rows: readonly UserRow[]) =>
    rows.map(([id, version, found, sessions]) => ({
      ...{ id, version, ...own.load(found) },
      sessions: Object.fromEntries((sessions ?? []).map(session)),
    })),
  blank: (id) => ({ id, version: 0, ...own.blank, sessions: {} }),
  missing: ({ id }) => new UserNotFound(id),

  evolve(state, event, at) {
    switch (event.kind) {
      case 'userRegistered':
        return { ...state, name: event.name, role: event.role, createdAt: at }
      case 'sessionStarted': {
        const { sessionId, tokenHash, expiresAt } = event
        return { ...state, sessions: { ...state.sessions, [sessionId]: { tokenHash, createdAt: at, expiresAt } } }
      }
      case 'sessionEnded': {
        const { [event.sessionId]: _, ...others } = state.sessions
        return { ...state, sessions: others }
      }
    }
  },

  rows: (state) => ({
    User: [own.row(state)],
    Session: Object.entries(state.sessions).map(([id, session]) => ({ id, userId: state.id, ...session })),
  }),

  view: (state) => ({ id: state.id, version: state.version, ...own.of(state) }),

  topic: ({ id }) => `User:${id}`,
}
