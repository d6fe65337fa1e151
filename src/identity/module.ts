import type { Module } from '../api/module.ts'
import { commands } from './commands.ts'
import { demo } from './demo.ts'
import { endSession } from './endSession.ts'
import { expiredSessions } from './expiredSessions.ts'
import { registerUser } from './registerUser.ts'
import { removeExpiredSessions } from './removeExpiredSessions.ts'
import { startSession } from './startSession.ts'
import { User } from './user.ts'
import { users } from './userAggregate.ts'

/** Users and their sessions. */
export const identity: Module = {
  name: 'identity',
  aggregates: [users],
  verbs: [registerUser, startSession, endSession, removeExpiredSessions],
  nouns: [User],
  chores: [expiredSessions],
  commands,
  demo,
}
