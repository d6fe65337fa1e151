import { randomUUID } from 'node:crypto'
import { encodeGlobalID } from '@pothos/plugin-relay'
import { command, json } from '../api/command.ts'
import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { commandLine, printAnswer } from '../operator/print.ts'
import { endSession } from './endSession.ts'
import { registerUser } from './registerUser.ts'
import { startSession } from './startSession.ts'
import { roleIn, roles } from './role.ts'
import { hashOf, newToken } from './userAggregate.ts'

const id = { type: 'positional', required: true, description: 'The id of the user' } as const
const days = { type: 'string', default: '90', description: 'After how many days the token ends' } as const

/** `lockstep user add`: registers a user and prints a token for them. */
export const add = command({
  description: 'Register a user, and let them in with a token that is shown once',
  examples: ['user add "Ada Lovelace" --role INSTRUCTOR --id ada', 'user add Bao --days 7'],
  args: {
    name: { type: 'positional', required: true, description: 'What they are called' },
    role: { type: 'string', default: 'LEARNER', description: `One of ${roles.join(', ')}` },
    id: { type: 'string', description: 'The id to give them, letters, digits, - and _; without it, a new one' },
    days,
    json,
  },
  run: (args, { work }) =>
    work(async ({ commit }) => {
      const role = roleIn(args.role)
      const duration = daysIn(args.days)
      const userId = args.id ?? randomUUID()
      const { changed } = await commit(registerUser, { actor: system, input: { userId, name: args.name, role } })
      if (!changed)
        throw new OperatorError(
          `There is a user ${userId} already. ${commandLine(`user token ${userId}`)} lets them in.`,
          exitCode.data,
        )
      const session = await letIn(commit, userId, duration)
      printAnswer({ ...idsOf(userId), name: args.name, role, ...session }, args.json)
    }),
})

/** `lockstep user token`: prints another token for a user. */
export const token = command({
  description: 'Let a user in with another token, which is shown once',
  examples: ['user token ada --days 30'],
  args: { id, days, json },
  run: (args, { work }) =>
    work(async ({ commit }) => {
      const session = await letIn(commit, args.id, daysIn(args.days))
      printAnswer({ ...idsOf(args.id), ...session }, args.json)
    }),
})

/** `lockstep user out`: ends all sessions of a user. */
export const out = command({
  description: 'End all sessions of a user, at once',
  examples: ['user out ada'],
  args: { id, json },
  run: (args, { work }) =>
    work(async ({ db, commit }) => {
      if (!(await db.user.findUnique({ where: { id: args.id } })))
        throw new OperatorError(`There is no user ${args.id}.`, exitCode.data)
      const sessions = await db.session.findMany({ where: { userId: args.id }, select: { id: true } })
      for (const { id: sessionId } of sessions)
        await commit(endSession, { actor: system, input: { userId: args.id, sessionId } })
      printAnswer({ id: args.id, ended: sessions.length }, args.json)
    }),
})

/** The id for commands, and the one by which the API knows the user. */
const idsOf = (id: string) => ({ id, globalId: encodeGlobalID('User', id) })

/** Starts a session. Its token is stored nowhere, only its hash. */
async function letIn(commit: Commit, userId: string, days: number) {
  const token = newToken()
  const expiresAt = new Date(Date.now() + days * 86_400_000).toISOString()
  await commit(startSession, { actor: system, input: { userId, tokenHash: hashOf(token), expiresAt } })
  return { token, expiresAt }
}

function daysIn(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text)
  throw new OperatorError(
    `--days must be a whole number from 1 to 99999, and is ${JSON.stringify(text)}.`,
    exitCode.usage,
  )
}
