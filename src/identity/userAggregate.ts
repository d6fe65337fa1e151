import { createHash, randomBytes } from 'node:crypto'
import { type Actor, type Aggregate, instant, type Wanted } from '../commit/aggregate.ts'
import { columns, moment, text, type Values } from '../commit/columns.ts'
import { DomainError, Forbidden } from '../commit/errors.ts'
import { sql } from '../database/client.ts'

/** There is no such user. */
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

/** One person and their sessions. Version 0: not registered. */
export interface UserState extends UserView {
  /** By id. */
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
export interface UserView extends Values<typeof own> {
  readonly id: string
  readonly version: number
}

/** The types of the user's aggregate. */
export interface Users {
  readonly state: UserState
  readonly event: UserEvent
  readonly view: UserView
}

/** A new token: 256 random bits, base64url. It is shown once and stored nowhere. */
export const newToken = () => randomBytes(32).toString('base64url')

/** What is stored of a token: its SHA-256, base64url. */
export const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url')

/** Only admins, and operators at the command line, register people and start sessions for them. */
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

/** Users, as commit() reads, changes and writes them. */
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
