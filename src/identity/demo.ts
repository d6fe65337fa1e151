import type { Workplace } from '../api/workplace.ts'
import { system } from '../commit/aggregate.ts'
import { registerUser } from './registerUser.ts'
import { startSession } from './startSession.ts'
import { hashOf } from './userAggregate.ts'

/** The users of the demo. The token of each is also their id. */
const people = [
  ...['Ada', 'Bao', 'Chidi', 'Dana', 'Emil'].map((name, i) => ({
    token: `demo-learner-${i + 1}`,
    name,
    role: 'LEARNER' as const,
  })),
  { token: 'demo-instructor', name: 'Inés', role: 'INSTRUCTOR' as const },
  { token: 'demo-admin', name: 'Ama', role: 'ADMIN' as const },
]

/** The tokens of the demo's users, in order. They are public, and valid only where there is a demo. */
export const demoTokens: readonly string[] = people.map(({ token }) => token)

/** Their hashes, as "Session"."tokenHash" has them. */
export const demoTokenHashes: readonly string[] = demoTokens.map(hashOf)

const LAST = people.at(-1)!

/** The user that the demo registers last, when everything else is made. */
export const lastOfDemo = LAST.token

/** The demo's users, each with a session that lasts ten years, but for the last one. */
export async function demo({ commit }: Workplace): Promise<void> {
  await Promise.all(people.filter((person) => person !== LAST).map((person) => letIn(person, commit)))
}

/** Registers the last user of the demo, and so marks the demo as finished. */
export const finishDemo = ({ commit }: Workplace): Promise<void> => letIn(LAST, commit)

async function letIn({ token, name, role }: (typeof people)[number], commit: Workplace['commit']): Promise<void> {
  await commit(registerUser, { actor: system, input: { userId: token, name, role } })
  const expiresAt = new Date(Date.now() + 10 * 365 * 86_400_000).toISOString()
  await commit(startSession, { actor: system, input: { userId: token, tokenHash: hashOf(token), expiresAt } })
}
