import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { race, world } from '../world.ts'
import { about, everything, expectSound, UpdateLevels } from './standing.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const api = await serve(w)
const [instructor, admin] = await Promise.all([person('INSTRUCTOR'), person('ADMIN')])

describe('updateLevel', () => {
  test('sets the level of both records, adds to the totals and records the change', async () => {
    const { id } = await person()
    const { update } = about(api, instructor, id)
    expect(
      payload(await update({ newLevel: 3, xpChange: 260, sessionsChange: 4, reason: 'came from another club' })),
    ).toMatchObject({
      version: 2, // version 1 is the beginning
      replayed: false,
      message: 'Level 1 → 3.',
      progress: { version: 2, currentLevel: 3, totalXp: 260, completedSessions: 4, theoryHours: 0, practiceHours: 0 },
      license: { currentLevel: 3, maxAchievedLevel: 3 },
      progressions: [
        { version: 2, from: 1, to: 3, actorId: globalId('User', instructor.id), reason: 'came from another club' },
      ],
    })
    expect(payload(await update({ newLevel: 3, xpChange: 40, sessionsChange: 1 }))).toMatchObject({
      version: 3,
      progress: { currentLevel: 3, totalXp: 300, completedSessions: 5 },
      progressions: [],
    })
    expect((await expectSound(w, id)).map(({ kind }) => kind)).toEqual([
      'standingBegun',
      'levelUpdated',
      'levelUpdated',
    ])
  })

  test('counts hours of theory and practice for a coach, exactly', async () => {
    const { id } = await person()
    const { update } = about(api, admin, id, 'COACH')
    await race(30, (i) => update({ theoryHoursChange: 0.1, practiceHoursChange: i % 3 ? 0.07 : 1.15 }))
    expect(payload(await update({ newLevel: 2 }))).toMatchObject({
      progress: { theoryHours: 3, practiceHours: 12.9, currentLevel: 2 },
      progressions: [{ actorId: globalId('User', admin.id) }],
    })
    expect(
      await w.query(
        'select "theoryHours"::text as theory, "practiceHours"::text as practice from "SpecializationProgress" ' +
          'where "userId" = $1',
        [id],
      ),
    ).toEqual([{ theory: '3.00', practice: '12.90' }])
    await expectSound(w, id, 'COACH')
  })

  test('refuses hours if the specialization does not count them, and hours with more than two decimals', async () => {
    const { id } = await person()
    expect(await about(api, admin, id).update({ theoryHoursChange: 1 })).toMatchObject({
      __typename: 'HoursNotCounted',
      code: 'HOURS_NOT_COUNTED',
      specialization: 'PLAYER',
    })
    expect(await about(api, admin, id, 'COACH').update({ practiceHoursChange: 0.333 })).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'input.practiceHoursChange',
    })
    expect(await everything(w, id)).toMatchObject({ progress: [], license: [], events: [{ count: 0 }] })
  })

  test.each([999, 9, 0, -1])('refuses level %i and changes nothing', async (newLevel) => {
    const { id } = await person()
    const { update } = about(api, admin, id)
    payload(await update({ newLevel: 2, xpChange: 120 }))
    const before = await everything(w, id)
    expect(await update({ newLevel, xpChange: 50, sessionsChange: 1 })).toMatchObject({
      __typename: 'LevelOutOfRange',
      code: 'LEVEL_OUT_OF_RANGE',
      requestedLevel: newLevel,
      maxLevel: 8,
    })
    expect(await everything(w, id)).toEqual(before)
  })

  test('subtracts from totals, but not below zero', async () => {
    const { id } = await person()
    const { update } = about(api, admin, id, 'COACH')
    payload(await update({ xpChange: 100, sessionsChange: 2, theoryHoursChange: 1.5, practiceHoursChange: 0.25 }))
    const before = await everything(w, id)
    const refused = [
      [{ xpChange: -101 }, { total: 'XP', currentTotal: 100, requestedTotal: -1 }],
      [{ sessionsChange: -3 }, { total: 'SESSIONS', currentTotal: 2, requestedTotal: -1 }],
      [{ theoryHoursChange: -1.51 }, { total: 'THEORY_HOURS', currentTotal: 1.5, requestedTotal: -0.01 }],
      [{ practiceHoursChange: -0.26 }, { total: 'PRACTICE_HOURS', currentTotal: 0.25, requestedTotal: -0.01 }],
      [{ xpChange: 2_000_000_000 }, { total: 'XP', maxTotal: 2_000_000_000 }],
      [{ theoryHoursChange: 1e12 }, { total: 'THEORY_HOURS', maxTotal: 9_999_999 }],
    ] as const
    for (const [change, error] of refused)
      expect(await update({ newLevel: 4, ...change })).toMatchObject({ __typename: 'TotalOutOfRange', ...error })
    expect(await everything(w, id)).toEqual(before)
    expect(
      payload(
        await update({ xpChange: -100, sessionsChange: -2, theoryHoursChange: -1.5, practiceHoursChange: -0.25 }),
      ),
    ).toMatchObject({
      progress: { totalXp: 0, completedSessions: 0, theoryHours: 0, practiceHours: 0 },
    })
    await expectSound(w, id, 'COACH')
  })

  test('sets lower levels too; the highest level stays', async () => {
    const { id } = await person()
    const { update } = about(api, admin, id)
    for (const newLevel of [6, 2, 4]) payload(await update({ newLevel }))
    expect(payload(await update({ newLevel: 1 }))).toMatchObject({
      license: { currentLevel: 1, maxAchievedLevel: 6 },
      progressions: [{ from: 4, to: 1 }],
    })
    await expectSound(w, id)
  })

  test('if nothing would change, it succeeds and appends no event', async () => {
    const { id } = await person()
    const { update } = about(api, admin, id)
    payload(await update({ newLevel: 2 }))
    const before = await everything(w, id)
    expect(payload(await update({ newLevel: 2 }))).toMatchObject({
      version: 2,
      replayed: false,
      message: 'Nothing changed.',
      progressions: [],
    })
    expect(await everything(w, id)).toEqual(before)
  })

  test('refuses unknown specializations and users, and invalid codes and reasons', async () => {
    const { id } = await person()
    expect(await about(api, admin, id, 'REFEREE').update({})).toMatchObject({
      __typename: 'SpecializationNotFound',
      specialization: 'REFEREE',
    })
    expect(await about(api, admin, 'nobody').update({})).toMatchObject({
      __typename: 'UserNotFound',
      userId: globalId('User', 'nobody'),
    })
    for (const code of ['player', 'PLAYER.COACH', '', 'Ä', 'P'.repeat(41)])
      expect(await about(api, admin, id, code).update({})).toMatchObject({
        __typename: 'InvalidInput',
        field: 'input.specialization',
      })
    for (const reason of ['', ' ', 'a\nb', 'a'.repeat(501)])
      expect(await about(api, admin, id).update({ reason })).toMatchObject({ field: 'input.reason' })
    expect(await everything(w, id)).toMatchObject({ progress: [], license: [], events: [{ count: 0 }] })
  })

  test(
    'takes an expectedVersion, 0 if the user has not begun; on conflict it returns the current ' + 'progress',
    async () => {
      const { id } = await person()
      const { update } = about(api, admin, id, 'COACH')
      payload(await update({ newLevel: 2, theoryHoursChange: 0.5, expectedVersion: 0 }))
      expect(await update({ newLevel: 3, expectedVersion: 1 })).toMatchObject({
        __typename: 'VersionConflict',
        currentVersion: 2,
        current: {
          __typename: 'SpecializationProgress',
          id: globalId('SpecializationProgress', `${id}.COACH`),
          version: 2,
          currentLevel: 2,
          theoryHours: 0.5,
        },
      })
    },
  )

  test('one key, 20 times at once, makes one change; sent again later, it gets the first answer', async () => {
    const { id } = await person()
    const { update } = about(api, admin, id)
    const once = { newLevel: 5, xpChange: 70, idempotencyKey: randomUUID() }
    const answers = (await race(20, () => update(once))).map(payload)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    for (const { replayed: _, ...answer } of answers) expect(answer).toEqual({ ...answers[0]!, replayed: undefined })
    payload(await update({ newLevel: 2, xpChange: 5 }))
    expect(payload(await update(once))).toMatchObject({
      replayed: true,
      version: 2,
      committed: { currentLevel: 5, totalXp: 70 },
      progress: { currentLevel: 2, totalXp: 75 },
      progressions: [{ from: 1, to: 5 }],
    })
    expect(await update({ ...once, xpChange: 71 })).toMatchObject({ __typename: 'IdempotencyKeyReused' })
    expect((await about(api, admin, id).up(0)).__typename).toBe('LevelUpPayload')
    expect(
      await w.query('select "totalXp", "currentLevel" from "SpecializationProgress" where "userId" = $1', [id]),
    ).toEqual([{ totalXp: 75, currentLevel: 2 }])
    await expectSound(w, id)
  })
})

describe('updateLevels', () => {
  const item = (userId: string, newLevel: number, more: object = {}) => ({
    ...{ userId: globalId('User', userId), specialization: 'PLAYER', newLevel, xpChange: 10, reason: 'end of season' },
    ...{ idempotencyKey: randomUUID(), ...more },
  })

  test('sets many levels, and an item that fails does not affect the others', async () => {
    const people = await Promise.all(Array.from({ length: 6 }, () => person()))
    const items = people.map(({ id }, i) => item(id, i === 2 ? 999 : 3, i === 4 ? { specialization: 'REFEREE' } : {}))
    const { updateLevels } = await api.get(
      UpdateLevels,
      { input: { items: [...items, item(people[0]!.id, 4), items[1]!] } },
      instructor.token,
    )
    expect(updateLevels).toMatchObject({ __typename: 'UpdateLevelsSummary', succeeded: 6, failed: 2 })
    if (updateLevels.__typename !== 'UpdateLevelsSummary') throw new Error('not the payload')
    expect(
      updateLevels.results.map((result) =>
        'code' in result ? result.code : [result.committed!.currentLevel, result.committed!.totalXp, result.replayed],
      ),
    ).toEqual([
      [3, 10, false],
      [3, 10, false],
      'LEVEL_OUT_OF_RANGE',
      [3, 10, false],
      'SPECIALIZATION_NOT_FOUND',
      [3, 10, false],
      [4, 20, false],
      [3, 10, true], // the second item again
    ])
    for (const i of [0, 1, 3, 5]) await expectSound(w, people[i]!.id)

    // the whole request again, as after a lost answer
    const again = await api.get(UpdateLevels, { input: { items } }, instructor.token)
    expect(again.updateLevels).toMatchObject({
      succeeded: 4,
      failed: 2,
      results: expect.arrayContaining([expect.objectContaining({ replayed: true })]),
    })
    expect(
      await w.query('select sum("totalXp")::int as xp from "SpecializationProgress" where "userId" = any($1)', [
        people.map(({ id }) => id),
      ]),
    ).toEqual([{ xp: 50 }])
  })

  test('an error has the path of the item', async () => {
    const { id } = await person()
    const items = [item(id, 2), item(id, 3, { userId: 'nobody' }), item(id, 3, { idempotencyKey: '' })]
    const { updateLevels } = await api.get(UpdateLevels, { input: { items } }, admin.token)
    expect(updateLevels).toMatchObject({
      succeeded: 1,
      results: [
        { __typename: 'UpdateLevelPayload' },
        { field: 'input.items[1].userId', message: expect.stringContaining('input.items[1].userId') },
        { field: 'input.items[2].idempotencyKey', message: expect.stringContaining('input.items[2].idempotencyKey') },
      ],
    })
  })

  test('sets 500 levels at once; refuses 501 items, no items, a learner, and a viewer without a token', async () => {
    const people = await Promise.all(Array.from({ length: 20 }, () => person()))
    const items = Array.from({ length: 500 }, (_, i) => item(people[i % 20]!.id, 1 + (i % 8), { xpChange: 1 }))
    const { updateLevels } = await api.get(UpdateLevels, { input: { items } }, admin.token)
    expect(updateLevels).toMatchObject({ succeeded: 500, failed: 0 })
    expect(
      await w.query('select sum("totalXp")::int as xp from "SpecializationProgress" where "userId" = any($1)', [
        people.map(({ id }) => id),
      ]),
    ).toEqual([{ xp: 500 }])
    for (const { id } of people) await expectSound(w, id)

    const refused = async (input: object, token?: string) =>
      (await api.get(UpdateLevels, { input } as never, token)).updateLevels
    expect(await refused({ items: [...items, items[0]!] }, admin.token)).toMatchObject({ __typename: 'InvalidInput' })
    expect(await refused({ items: [] }, admin.token)).toMatchObject({ __typename: 'InvalidInput' })
    expect(await refused({ items: items.slice(0, 1) }, people[0]!.token)).toMatchObject({ __typename: 'Forbidden' })
    expect(await refused({ items: items.slice(0, 1) })).toMatchObject({ __typename: 'Unauthenticated' })
  })
})

test('infinite hours are refused, also as a literal', async () => {
  const learner = await person()
  for (const hours of ['1e999', '-1e999']) {
    const { data, errors } = await api.ask(
      `mutation { updateLevel(input: { userId: "${globalId('User', learner.id)}", specialization: "COACH", newLevel:
        2, theoryHoursChange: ${hours}, reason: "x", idempotencyKey: "endless" }) { __typename ... on InvalidInput {
        field } } }`,
      {},
      admin.token,
    )
    expect({ data, errors }).toEqual({
      data: { updateLevel: { __typename: 'InvalidInput', field: 'input.theoryHoursChange' } },
      errors: undefined,
    })
  }
})
