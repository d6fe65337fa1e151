import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { levelUp } from '../../src/licensing/levelUp.ts'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { race, world } from '../world.ts'
import { about, everything, expectSound } from './standing.ts'

const w = await world()
const [one, other] = [w.process(), w.process({ isolation: 'repeatable-read' })]
const { person } = academy(one.commit)
const api = await serve(w)
const [instructor, admin] = await Promise.all([person('INSTRUCTOR'), person('ADMIN')])

const LicenseStory = graphql(`
  query LicenseStory($userId: ID!, $first: Int!, $after: String) {
    license(userId: $userId, specialization: "PLAYER") {
      currentLevel maxAchievedLevel
      user { id }
      specialization { code name maxLevel countsHours levels { level xp } }
      progressions(first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor } edges { node {
      from to reason actorId } } }
    }
  }
`)

describe('levelUp', () => {
  test(
    'creates both records, and the level follows from the XP: no level, one level, several ' + 'levels at once',
    async () => {
      const { id } = await person()
      const { up } = about(api, instructor, id)
      expect(payload(await up(99, { sessionsCompleted: 1 }))).toMatchObject({
        version: 2,
        leveledUp: false,
        progress: { currentLevel: 1, totalXp: 99, completedSessions: 1 },
        license: { currentLevel: 1, maxAchievedLevel: 1 },
        progressions: [],
      })
      expect(payload(await up(1))).toMatchObject({
        version: 3,
        leveledUp: true,
        progress: { currentLevel: 2, totalXp: 100 },
        progressions: [{ from: 1, to: 2 }],
      })
      expect(payload(await up(850))).toMatchObject({
        version: 4, // one event
        progress: { currentLevel: 5, totalXp: 950 },
        license: { currentLevel: 5, maxAchievedLevel: 5 },
        progressions: [
          { from: 2, to: 3 },
          { from: 3, to: 4 },
          { from: 4, to: 5 },
        ],
      })
      expect(payload(await up(1_000_000))).toMatchObject({ progress: { currentLevel: 8 } })
      expect((await expectSound(w, id)).map(({ kind }) => kind)).toEqual([
        'standingBegun',
        ...Array.from({ length: 4 }, () => 'experienceGained'),
      ])
    },
  )

  test('with nothing gained it begins at level 1; the second time it changes nothing', async () => {
    const { id } = await person()
    const { up } = about(api, instructor, id)
    expect(payload(await up(0))).toMatchObject({ version: 1, leveledUp: false })
    expect(payload(await up(0))).toMatchObject({ version: 1 })
    expect(await expectSound(w, id)).toHaveLength(1)
  })

  test('refuses to subtract, and to exceed the maximum', async () => {
    const { id } = await person()
    const { up } = about(api, instructor, id)
    expect(await up(-1)).toMatchObject({ __typename: 'InvalidInput', field: 'input.xpGained' })
    expect(await up(1, { sessionsCompleted: -1 })).toMatchObject({ field: 'input.sessionsCompleted' })
    payload(await up(2_000_000_000))
    expect(await up(1)).toMatchObject({ __typename: 'TotalOutOfRange', total: 'XP', maxTotal: 2_000_000_000 })
    await expectSound(w, id)
  })

  describe('a level that an admin set, and XP gained after it', () => {
    test('set higher: it stays until XP passes the threshold of a level above it', async () => {
      const { id } = await person()
      const { up, update } = about(api, admin, id)
      payload(await up(120)) // 2
      payload(await update({ newLevel: 5 }))
      // would be 4
      expect(payload(await up(400))).toMatchObject({ leveledUp: false, progress: { currentLevel: 5, totalXp: 520 } })
      // would be 5
      expect(payload(await up(400))).toMatchObject({ leveledUp: false, progress: { currentLevel: 5, totalXp: 920 } })
      expect(payload(await up(600))).toMatchObject({
        progressions: [{ from: 5, to: 6 }],
        progress: { currentLevel: 6, totalXp: 1_520 },
      })
      await expectSound(w, id)
    })

    test(
      'set lower: it stays until XP passes a further threshold, and then the level is the one that the ' + 'XP reaches',
      async () => {
        const { id } = await person()
        const { up, update } = about(api, admin, id)
        payload(await up(950)) // 5
        payload(await update({ newLevel: 2 }))
        expect(payload(await up(500))).toMatchObject({
          leveledUp: false,
          progress: { currentLevel: 2, totalXp: 1_450 },
        })
        expect(payload(await up(50))).toMatchObject({
          progress: { currentLevel: 6, totalXp: 1_500 },
          progressions: [2, 3, 4, 5].map((from) => ({ from, to: from + 1 })),
        })
        await expectSound(w, id)
      },
    )

    test('subtracting XP does not lower the level, and earning it again does not raise it', async () => {
      const { id } = await person()
      const { up, update } = about(api, admin, id)
      payload(await up(950)) // 5
      payload(await update({ newLevel: 5, xpChange: -900 }))
      // thresholds 2, 3 and 4 again
      expect(payload(await up(500))).toMatchObject({ leveledUp: false, progress: { currentLevel: 5, totalXp: 550 } })
      await expectSound(w, id)
    })
  })

  test('one key, 20 times at once and once more later, adds once', async () => {
    const { id } = await person()
    const { up } = about(api, instructor, id)
    const idempotencyKey = randomUUID()
    const answers = (await race(20, () => up(130, { idempotencyKey }))).map(payload)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    payload(await up(1_000))
    expect(payload(await up(130, { idempotencyKey }))).toMatchObject({
      replayed: true,
      committed: { totalXp: 130, currentLevel: 2 },
      progress: { totalXp: 1_130 },
      progressions: [{ from: 1, to: 2 }],
    })
    expect(await w.query('select "totalXp" from "SpecializationProgress" where "userId" = $1', [id])).toEqual([
      { totalXp: 1_130 },
    ])
    await expectSound(w, id)
  })

  test.each([2, 100])(
    '%i at once on one user, from two processes: each is added once, and no version is missing',
    async (times) => {
      const { id } = await person()
      const answers = await race(times, (i) =>
        (i % 2 ? one : other).commit(levelUp, {
          actor: instructor.actor,
          key: `race ${id} ${i}`,
          input: { userId: id, specialization: 'PLAYER', xpGained: i + 1, sessionsCompleted: 1, reason: 'race' },
        }),
      )
      const history = await expectSound(w, id)
      expect(history).toHaveLength(times + 1)
      expect(new Set(answers.map(({ version }) => version)).size).toBe(times)
      const [row] = await w.query<Record<string, number>>(
        'select "totalXp", "completedSessions", version from "SpecializationProgress" where "userId" = $1',
        [id],
      )
      expect(row).toEqual({ totalXp: (times * (times + 1)) / 2, completedSessions: times, version: times + 1 })
    },
  )

  test('100 at once over HTTP: each caller gets the sum at its own version', async () => {
    const { id } = await person()
    const { up } = about(api, instructor, id)
    const answers = (await race(100, () => up(10, { sessionsCompleted: 1 }))).map(payload)
    expect(answers.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 2),
    )
    for (const { version, committed, progress } of answers) {
      expect(committed).toEqual({
        ...{ version, currentLevel: expect.any(Number) },
        ...{ totalXp: (version - 1) * 10, completedSessions: version - 1 },
      })
      expect(progress.totalXp).toBeGreaterThanOrEqual(committed!.totalXp) // as the last of its batch left it
    }
    await expectSound(w, id)
  })
})

test('a license lists its changes of level page by page, and the XP that its levels require', async () => {
  const learner = await person()
  const { up, update } = about(api, instructor, learner.id)
  payload(await up(1_000, { reason: 'a good season' }))
  payload(await update({ newLevel: 1, reason: 'a bad one' }))
  const userId = globalId('User', learner.id)
  const page = async (after?: string) =>
    (await api.get(LicenseStory, { userId, first: 2, after: after ?? null }, learner.token)).license!
  const first = await page()
  expect(first).toMatchObject({
    currentLevel: 1,
    maxAchievedLevel: 5,
    user: { id: userId },
    specialization: { code: 'PLAYER', name: 'Player', maxLevel: 8, countsHours: false },
  })
  expect(first.specialization!.levels[1]).toEqual({ level: 2, xp: 100 })
  const pages = [first]
  while (pages.at(-1)!.progressions!.pageInfo.hasNextPage)
    pages.push(await page(pages.at(-1)!.progressions!.pageInfo.endCursor!))
  const story = pages.flatMap(({ progressions }) => progressions!.edges.map(({ node }) => node))
  expect(first.progressions!.totalCount).toBe(5)
  expect(story.map(({ from, to, reason }) => `${from} → ${to} ${reason}`)).toEqual([
    ...[1, 2, 3, 4].map((from) => `${from} → ${from + 1} a good season`),
    '5 → 1 a bad one',
  ])
  expect(story[0]!.actorId).toBe(globalId('User', instructor.id))
})

test('if any step fails, nothing is changed', async () => {
  const { id } = await person()
  const { up } = about(api, instructor, id)
  payload(await up(50))
  const before = await everything(w, id)
  await w.query(
    `create function broken() returns trigger language plpgsql as $$ begin raise exception 'broken' using errcode =
      'ZZ001'; end $$`,
  )
  for (const table of ['SpecializationProgress', 'License', 'LicenseProgression', 'Event', 'IdempotencyKey']) {
    const statement = `after insert or update on "${table}" for each statement execute function broken()`
    await w.query(`create trigger broken ${statement}`)
    expect(await up(100), table).toMatchObject({ __typename: 'OperationFailed', code: 'OPERATION_FAILED' })
    await w.query(`drop trigger broken on "${table}"`)
    expect(await everything(w, id)).toEqual(before)
  }
  expect(payload(await up(100))).toMatchObject({ progress: { currentLevel: 2, totalXp: 150 } })
  await expectSound(w, id)
})
