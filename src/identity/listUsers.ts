import { encodeGlobalID } from '@pothos/plugin-relay'
import { command, json } from '../api/command.ts'
import { type Db, sql } from '../database/client.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { aligned, commandLine, complain, print, printJson } from '../operator/print.ts'
import { roleIn, roles } from './role.ts'
import type { UserState } from './userAggregate.ts'

interface Listed {
  readonly id: string
  readonly globalId: string
  readonly name: string
  readonly role: string
  readonly createdAt: Date
  /** How many sessions have not ended. */
  readonly sessions: number
}

interface Wanted {
  readonly role: UserState['role'] | undefined
  readonly limit: number
  readonly after: string | undefined
}

const MOST = 10_000

/** `lockstep user list`: a page of the users. */
export const list = command({
  description: 'List users, sorted by id, each with the number of sessions that are valid',
  examples: ['user list', 'user list --role INSTRUCTOR --json', 'user list --limit 1000 --after ada'],
  args: {
    role: { type: 'string', description: `Only those with this role: one of ${roles.join(', ')}` },
    limit: { type: 'string', default: '100', description: `How many at most, up to ${MOST}` },
    after: { type: 'string', valueHint: 'ID', description: 'Only those that are sorted after this id: the next page' },
    json: { ...json, description: 'Answer in JSON lines: an object for each user' },
  },
  async run(args, { look }) {
    const role = args.role === undefined ? undefined : roleIn(args.role)
    const wanted = { role, limit: limitIn(args.limit), after: args.after }
    const found = await look({ empty: () => [], found: ({ db }) => find(db, wanted) })
    const page = found.slice(0, wanted.limit)
    if (args.json) for (const user of page) printJson(user)
    else if (page.length === 0) print(`There are no users${which(wanted)}.`)
    else sayPage(page, wanted, found.length > page.length)
  },
})

/** One more than wanted, if there are more. */
async function find(db: Db, { role, limit, after }: Wanted): Promise<readonly Listed[]> {
  const rows = await db.$queryRaw<Omit<Listed, 'globalId'>[]>(sql`
    select u.id, u.name, u.role::text as role, u."createdAt", (
      select count(*)::int from "Session" s where s."userId" = u.id and s."expiresAt" > now()) as sessions
    from "User" u
    where (${role ?? null}::text is null or u.role::text = ${role ?? null}::text)
      and (${after ?? null}::text is null or u.id > ${after ?? null}::text)
    order by u.id limit ${limit + 1}::int`)
  return rows.map(({ id, ...more }) => ({ id, globalId: encodeGlobalID('User', id), ...more }))
}

const which = ({ role, after }: Wanted) =>
  `${role ? ` with the role ${role}` : ''}${after === undefined ? '' : ` after ${after}`}`

function sayPage(page: readonly Listed[], { role, limit }: Wanted, isMore: boolean): void {
  const rows = page.map(({ id, globalId, role, createdAt, sessions, name }) => [
    ...[id, globalId, role, createdAt.toISOString(), String(sessions)],
    name, // last: letters of some scripts are wider than others
  ])
  print(aligned([['id', 'globalId', 'role', 'createdAt', 'sessions', 'name'], ...rows]))
  if (!isMore) return
  const options = `${role ? `--role ${role} ` : ''}--limit ${limit} --after ${page.at(-1)!.id}`
  complain(`There are more: ${commandLine(`user list ${options}`)}`)
}

function limitIn(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= MOST) return Number(text)
  throw new OperatorError(
    `--limit must be a whole number from 1 to ${MOST}, and is ${JSON.stringify(text)}.`,
    exitCode.usage,
  )
}
