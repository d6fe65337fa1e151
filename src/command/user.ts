import { randomUUID } from 'node:crypto'
import { defineCommand } from 'citty'
import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { endSession } from '../identity/endSession.ts'
import { registerUser } from '../identity/registerUser.ts'
import { startSession } from '../identity/startSession.ts'
import { hashOf, newToken, type UserState } from '../identity/userAggregate.ts'
import { assignInstructor } from '../learning/assignInstructor.ts'
import { dismissInstructor } from '../learning/dismissInstructor.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { columns, commandLine, print, printJson } from '../operator/print.ts'
import { withDatabase } from './withDatabase.ts'

const roles: readonly UserState['role'][] = ['LEARNER', 'INSTRUCTOR', 'ADMIN']

const json = { type: 'boolean', default: false, description: 'Answer in JSON' } as const
const id = { type: 'positional', required: true, description: 'The id of the user' } as const
const days = { type: 'string', default: '90', description: 'After how many days the token ends' } as const

const add = defineCommand({
  meta: { name: 'add', description: 'Register a user, and let them in with a token that is shown once' },
  args: {
    name: { type: 'positional', required: true, description: 'What they are called' },
    role: { type: 'string', default: 'LEARNER', description: `One of ${roles.join(', ')}` },
    id: { type: 'string', description: 'The id to give them, letters, digits, - and _; without it, a new one' },
    days,
    json,
  },
  run: ({ args }) =>
    withDatabase(async ({ commit }) => {
      const role = roles.find((role) => role === args.role)
      if (!role)
        throw new OperatorError(
          `--role must be one of ${roles.join(', ')}, and is ${JSON.stringify(args.role)}.`,
          exitCode.usage,
        )
      const lasts = daysIn(args.days)
      const userId = args.id ?? randomUUID()
      const { changed } = await commit(registerUser, { actor: system, input: { userId, name: args.name, role } })
      if (!changed)
        throw new OperatorError(
          `There is a user ${userId} already. ${commandLine(`user token ${userId}`)} lets them in.`,
          exitCode.data,
        )
      tell({ id: userId, name: args.name, role, ...(await letIn(commit, userId, lasts)) }, args.json)
    }),
})

const token = defineCommand({
  meta: { name: 'token', description: 'Let a user in with another token, which is shown once' },
  args: { id, days, json },
  run: ({ args }) =>
    withDatabase(async ({ commit }) =>
      tell({ id: args.id, ...(await letIn(commit, args.id, daysIn(args.days))) }, args.json),
    ),
})

const out = defineCommand({
  meta: { name: 'out', description: 'End all sessions of a user, at once' },
  args: { id, json },
  run: ({ args }) =>
    withDatabase(async ({ db, commit }) => {
      if (!(await db.user.findUnique({ where: { id: args.id } })))
        throw new OperatorError(`There is no user ${args.id}.`, exitCode.data)
      const sessions = await db.session.findMany({ where: { userId: args.id }, select: { id: true } })
      for (const { id: sessionId } of sessions)
        await commit(endSession, { actor: system, input: { userId: args.id, sessionId } })
      tell({ id: args.id, ended: sessions.length }, args.json)
    }),
})

const teach = defineCommand({
  meta: { name: 'teach', description: 'Let an instructor see the learners of a course' },
  args: { id, course: { type: 'positional', required: true, description: 'The slug of the course' }, json },
  run: ({ args }) =>
    withDatabase(async ({ db, commit }) => {
      const course = await db.course.findUnique({ where: { slug: args.course } })
      if (!course) throw new OperatorError(`There is no course ${JSON.stringify(args.course)}.`, exitCode.data)
      const user = await db.user.findUnique({ where: { id: args.id } })
      if (!user) throw new OperatorError(`There is no user ${args.id}.`, exitCode.data)
      if (user.role !== 'INSTRUCTOR')
        throw new OperatorError(
          `The user ${args.id} is no INSTRUCTOR, but a ${user.role}: what teaching lets one see, they would not.`,
          exitCode.data,
        )
      const { changed } = await commit(assignInstructor, {
        actor: system,
        input: { courseId: course.id, userId: args.id },
      })
      tell({ id: args.id, course: args.course, changed }, args.json)
    }),
})

const unteach = defineCommand({
  meta: { name: 'unteach', description: 'No longer let them: what they watch of the course ends' },
  args: { id, course: { type: 'positional', required: true, description: 'The slug of the course' }, json },
  run: ({ args }) =>
    withDatabase(async ({ db, commit }) => {
      const course = await db.course.findUnique({ where: { slug: args.course } })
      if (!course) throw new OperatorError(`There is no course ${JSON.stringify(args.course)}.`, exitCode.data)
      if (!(await db.user.findUnique({ where: { id: args.id } })))
        throw new OperatorError(`There is no user ${args.id}.`, exitCode.data)
      const { changed } = await commit(dismissInstructor, {
        actor: system,
        input: { courseId: course.id, userId: args.id },
      })
      tell({ id: args.id, course: args.course, changed }, args.json)
    }),
})

/** People and their tokens, for those who run a server: the API registers nobody yet. */
export const user = defineCommand({
  meta: { name: 'user', description: 'Register people, and let them in and out' },
  subCommands: { add, token, out, teach, unteach },
})

/** With a token that is shown once and stored nowhere. */
async function letIn(commit: Commit, userId: string, lasts: number) {
  const token = newToken()
  const expiresAt = new Date(Date.now() + lasts * 86_400_000).toISOString()
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

function tell(told: Record<string, string | number | boolean>, asJson: boolean) {
  if (asJson) printJson(told)
  else print(columns(Object.entries(told).map(([name, value]) => [name, String(value)])))
}
