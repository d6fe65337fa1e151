import { expect, test } from 'vitest'
import { academy, type Person } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { about } from './standing.ts'
import { world } from '../world.ts'
import { socketClient, subscribe, subscribeEvents } from '../live/client.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const [api, elsewhere] = [await serve(w), await serve(w)]
const [instructor, admin] = await Promise.all([person('INSTRUCTOR'), person('ADMIN')])

const STANDING = `
  subscription Standing($userId: ID!, $specialization: String!, $after: Cursor) {
    levelUpdates(userId: $userId, specialization: $specialization, after: $after) {
      __typename
      ... on LevelSnapshot { reason cursor version progress { version currentLevel totalXp } license { currentLevel
      maxAchievedLevel } }
      ... on LevelChange { cursor version kind actorId progress { version currentLevel totalXp } license {
      currentLevel maxAchievedLevel } progressions { from to reason } }
      ... on SubscriberTooSlow { cursor }
    }
  }`

interface Update {
  readonly __typename: string
  readonly cursor: string
  readonly version: number
  readonly kind?: string
  readonly why?: string
  readonly actorId?: string
  readonly progress: { readonly version: number; readonly currentLevel: number; readonly totalXp: number }
  readonly license: { readonly currentLevel: number; readonly maxAchievedLevel: number } | null
  readonly progressions?: readonly { readonly from: number; readonly to: number }[]
}
type Data = { levelUpdates: Update }
const of = (userId: string, after: string | null = null) => ({
  userId: globalId('User', userId),
  specialization: 'PLAYER',
  after,
})
const items = (all: readonly Data[]) => all.map(({ levelUpdates }) => levelUpdates)

async function begun(): Promise<Person> {
  const learner = await person()
  payload(await about(api, instructor, learner.id).up(50))
  return learner
}

test.each(['WebSocket', 'server-sent events'])(
  'over %s: first a snapshot, then each change of both records as committed, whichever process made it',
  async (transport) => {
    const learner = await begun()
    const client = socketClient(api.url, learner.token)
    const stream =
      transport === 'WebSocket'
        ? subscribe<Data>(client, STANDING, of(learner.id))
        : subscribeEvents<Data>(api.url, STANDING, of(learner.id), learner.token)
    await stream.until(1)
    const { up, update } = about(elsewhere, instructor, learner.id)
    payload(await up(250))
    expect(await update({ newLevel: 999 })).toMatchObject({ code: 'LEVEL_OUT_OF_RANGE' }) // not sent to anybody
    payload(await update({ newLevel: 6, xpChange: -10 }))
    payload(await update({ newLevel: 2 }))
    const received = items(await stream.until(4))
    expect(received).toMatchObject([
      {
        __typename: 'LevelSnapshot',
        reason: 'INITIAL',
        version: 2,
        progress: { version: 2, currentLevel: 1, totalXp: 50 },
        license: { currentLevel: 1 },
      },
      {
        ...{
          __typename: 'LevelChange',
          kind: 'EXPERIENCE_GAINED',
          version: 3,
          actorId: globalId('User', instructor.id),
        },
        ...{
          progress: { version: 3, currentLevel: 3, totalXp: 300 },
          license: { currentLevel: 3, maxAchievedLevel: 3 },
        },
        progressions: [
          { from: 1, to: 2 },
          { from: 2, to: 3 },
        ],
      },
      {
        kind: 'LEVEL_UPDATED',
        version: 4,
        progress: { currentLevel: 6, totalXp: 290 },
        license: { currentLevel: 6 },
        progressions: [{ from: 3, to: 6 }],
      },
      {
        kind: 'LEVEL_UPDATED',
        version: 5,
        license: { currentLevel: 2, maxAchievedLevel: 6 },
        progressions: [{ from: 6, to: 2 }],
      },
    ])
    stream.stop()

    // A subscription with a cursor gets the changes since, then the new ones.
    payload(await up(1))
    const again = subscribe<Data>(client, STANDING, of(learner.id, received[1]!.cursor))
    await again.until(3)
    payload(await update({ newLevel: 1 }))
    expect(items(await again.until(4)).map(({ version }) => version)).toEqual([4, 5, 6, 7])
    again.stop()
    await client.dispose()
  },
)

test(
  '100 changes at once: each is sent once, in order, with both records at one level; a payload’s cursor continues ' +
    'after it',
  async () => {
    const learner = await begun()
    const client = socketClient(api.url, admin.token)
    const stream = subscribe<Data>(client, STANDING, of(learner.id))
    await stream.until(1)
    const answers = (
      await Promise.all(Array.from({ length: 100 }, () => about(api, instructor, learner.id).up(37)))
    ).map(payload)
    const received = items(await stream.until(101))
    expect(received.map(({ version }) => version)).toEqual(Array.from({ length: 101 }, (_, i) => i + 2))
    for (const { version, progress, license } of received)
      expect(progress).toEqual({ version, currentLevel: license!.currentLevel, totalXp: 50 + 37 * (version - 2) })
    stream.stop()
    const behind = subscribe<Data>(
      client,
      STANDING,
      of(learner.id, String(answers.find(({ version }) => version === 99)!.cursor)),
    )
    expect(items(await behind.until(3)).map(({ version }) => version)).toEqual([100, 101, 102])
    behind.stop()
    await client.dispose()
  },
)

test('a snapshot shows a desync as it is, and syncing it is a change', async () => {
  const learner = await begun()
  await w.query('delete from "License" where "userId" = $1', [learner.id])
  const client = socketClient(api.url, instructor.token)
  const stream = subscribe<Data>(client, STANDING, of(learner.id))
  expect(items(await stream.until(1))).toMatchObject([{ __typename: 'LevelSnapshot', license: null }])
  payload(await about(api, admin, learner.id).sync('PROGRESS'))
  expect(items(await stream.until(2))[1]).toMatchObject({
    kind: 'RECORDS_SYNCED',
    license: { currentLevel: 1 },
    progressions: [],
  })
  stream.stop()
  await client.dispose()
})

test(
  'it is for the user, instructors and admins; for others, and for a user who has not begun, it is ' + 'NOT_FOUND',
  async () => {
    const [learner, other] = [await begun(), await person()]
    for (const { token, see } of [
      ...[learner, instructor, admin].map(({ token }) => ({ token, see: learner.id })),
      { token: other.token, see: '' },
    ]) {
      const client = socketClient(api.url, token)
      const stream = subscribe<Data>(client, STANDING, of(see || learner.id))
      if (see) expect(items(await stream.until(1))).toMatchObject([{ version: 2 }])
      else {
        await stream.end()
        expect(JSON.stringify(stream.errors)).toContain('NOT_FOUND')
      }
      stream.stop()
      await client.dispose()
    }
    const client = socketClient(api.url, other.token)
    const nothing = subscribe<Data>(client, STANDING, of(other.id))
    await nothing.end()
    expect(JSON.stringify(nothing.errors)).toContain('NOT_FOUND')
    await client.dispose()
  },
)
