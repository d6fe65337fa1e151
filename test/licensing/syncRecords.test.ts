import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { levelUp } from '../../src/licensing/levelUp.ts'
import { syncRecords } from '../../src/licensing/syncRecords.ts'
import { academy, type Person, system } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { outcome, race, world } from '../world.ts'
import { about, Desyncs, everything, expectSound } from './standing.ts'

const w = await world()
const { commit } = w.process()
const other = w.process()
const { person } = academy(commit)
const api = await serve(w)
const admin = await person('ADMIN')

/** Changes that are possible only in SQL. */
const byHand = {
  license: (id: string, level: number) =>
    w.query(
      'update "License" set "currentLevel" = $2, "maxAchievedLevel" = greatest("maxAchievedLevel", $2) where ' +
        '"userId" = $1',
      [id, level],
    ),
  progress: (id: string, level: number) =>
    w.query('update "SpecializationProgress" set "currentLevel" = $2 where "userId" = $1', [id, level]),
  noLicense: (id: string) => w.query('delete from "License" where "userId" = $1', [id]),
  noProgress: (id: string) => w.query('delete from "SpecializationProgress" where "userId" = $1', [id]),
  onlyLicense: (id: string, level: number) =>
    w.query('insert into "License" values ($1, $2, $3, $4, $4, $5)', [
      `${id}.PLAYER`,
      id,
      'PLAYER',
      level,
      '2020-02-02T00:00:00Z',
    ]),
  onlyProgress: (id: string, level: number) =>
    w.query('insert into "SpecializationProgress" values ($1, 1, $2, $3, $4, 700, 9, 0, 0)', [
      `${id}.PLAYER`,
      id,
      'PLAYER',
      level,
    ]),
}

/** A user who reached the level by XP. */
async function at(level: number): Promise<Person> {
  const learner = await person()
  payload(await about(api, admin, learner.id).up([0, 100, 250, 500, 900, 1_500, 2_400, 3_600][level - 1]!))
  return learner
}

const agree = (level: number | null) => ({
  ...{
    consistent: true,
    progressExists: level !== null,
    licenseExists: level !== null,
    progressLevel: level,
    licenseLevel: level,
  },
  ...{ difference: level === null ? null : 0, recommendedAction: 'NONE' },
})

/** Expects that both verbs are refused, with a recommended action, and that nothing changes. */
async function refusesToChange(id: string, recommendedAction: string) {
  const before = await everything(w, id)
  for (const refused of [await about(api, admin, id).up(500), await about(api, admin, id).update({ newLevel: 3 })])
    expect(refused).toMatchObject({ __typename: 'RecordsOutOfSync', code: 'RECORDS_OUT_OF_SYNC', recommendedAction })
  expect(await everything(w, id)).toEqual(before)
}

/** Expects that the standing is consistent, not listed as a desync, and can be changed again. */
async function goesOn(id: string, level: number) {
  expect(await about(api, admin, id).consistency()).toMatchObject(agree(level))
  expect(await found(id)).toEqual([])
  expect(payload(await about(api, admin, id).up(1))).toMatchObject({
    progress: { currentLevel: level },
    license: { currentLevel: level },
  })
  payload(await about(api, admin, id).update({ newLevel: 8 }))
}

const found = async (id: string) => {
  const { desyncs } = await api.get(Desyncs, { first: 100, after: null }, admin.token)
  return desyncs!.edges.flatMap(({ node: { userId, ...node } }) => (userId === globalId('User', id) ? [node] : []))
}

describe('a desync, made by hand, is found, no level is changed on top of it, and it is repaired', () => {
  test('the progress higher: the license gets its level', async () => {
    const { id } = await at(5)
    await byHand.license(id, 3)
    const desync = {
      ...{
        consistent: false,
        message: 'Desync detected: Progress=5, License=3',
        progressExists: true,
        licenseExists: true,
      },
      ...{ progressLevel: 5, licenseLevel: 3, difference: 2, recommendedAction: 'SYNC_TO_HIGHER_LEVEL' },
    }
    expect(await about(api, admin, id).consistency()).toEqual(desync)
    expect(await found(id)).toEqual([
      { specialization: 'PLAYER', consistency: { message: desync.message, recommendedAction: 'SYNC_TO_HIGHER_LEVEL' } },
    ])
    await refusesToChange(id, 'SYNC_TO_HIGHER_LEVEL')
    expect(payload(await about(api, admin, id).sync('PROGRESS'))).toMatchObject({
      version: 3,
      synced: true,
      progress: { currentLevel: 5 },
      license: { currentLevel: 5, maxAchievedLevel: 5 },
      progressions: [{ from: 3, to: 5, reason: 'mended' }],
    })
    await goesOn(id, 5)
    await expectSound(w, id)
  })

  test('the license higher: the progress gets its level, and keeps its totals', async () => {
    const { id } = await at(2)
    await byHand.license(id, 6)
    expect(await about(api, admin, id).consistency()).toMatchObject({
      message: 'Desync detected: Progress=2, License=6',
      difference: 4,
    })
    await refusesToChange(id, 'SYNC_TO_HIGHER_LEVEL')
    expect(payload(await about(api, admin, id).sync('LICENSE'))).toMatchObject({
      synced: true,
      progress: { currentLevel: 6, totalXp: 100 },
      license: { currentLevel: 6, maxAchievedLevel: 6 },
      progressions: [], // the license did not change
    })
    await goesOn(id, 6)
    await expectSound(w, id)
  })

  test('the lower one may be the source; the highest level stays', async () => {
    const { id } = await at(5)
    await byHand.progress(id, 4)
    payload(await about(api, admin, id).sync('PROGRESS'))
    expect(await w.query('select "currentLevel", "maxAchievedLevel" from "License" where "userId" = $1', [id])).toEqual(
      [{ currentLevel: 4, maxAchievedLevel: 5 }],
    )
    await goesOn(id, 4)
    await expectSound(w, id)
  })

  test('progress without license: the license is issued at the level of the progress', async () => {
    const { id } = await at(4)
    await byHand.noLicense(id)
    expect(await about(api, admin, id).consistency()).toEqual({
      ...{
        consistent: false,
        message: 'Desync detected: Progress=4, License=none',
        progressExists: true,
        licenseExists: false,
      },
      ...{ progressLevel: 4, licenseLevel: null, difference: null, recommendedAction: 'CREATE_LICENSE' },
    })
    expect(await found(id)).toHaveLength(1)
    await refusesToChange(id, 'CREATE_LICENSE')
    expect(await about(api, admin, id).sync('LICENSE')).toMatchObject({
      __typename: 'RecordNotFound',
      record: 'LICENSE',
    })
    expect(payload(await about(api, admin, id).sync('PROGRESS'))).toMatchObject({
      synced: true,
      license: { currentLevel: 4, maxAchievedLevel: 4 },
    })
    await goesOn(id, 4)
    await expectSound(w, id)
  })

  test('progress imported without license and without history: the history begins with the sync', async () => {
    const { id } = await person()
    await byHand.onlyProgress(id, 4)
    await refusesToChange(id, 'CREATE_LICENSE')
    expect(payload(await about(api, admin, id).sync('PROGRESS'))).toMatchObject({
      version: 2,
      progress: { totalXp: 700 },
      license: { currentLevel: 4 },
    })
    await goesOn(id, 4)
  })

  test(
    'license imported without progress: the progress begins at its level, and the license keeps ' + 'its date',
    async () => {
      const { id } = await person()
      await byHand.onlyLicense(id, 5)
      expect(await about(api, admin, id).consistency()).toEqual({
        ...{
          consistent: false,
          message: 'Desync detected: Progress=none, License=5',
          progressExists: false,
          licenseExists: true,
        },
        ...{ progressLevel: null, licenseLevel: 5, difference: null, recommendedAction: 'CREATE_PROGRESS' },
      })
      expect(await found(id)).toHaveLength(1)
      await refusesToChange(id, 'CREATE_PROGRESS')
      expect(await about(api, admin, id).sync('PROGRESS')).toMatchObject({
        __typename: 'RecordNotFound',
        record: 'PROGRESS',
      })
      expect(payload(await about(api, admin, id).sync('LICENSE'))).toMatchObject({
        version: 1,
        synced: true,
        progress: { currentLevel: 5, totalXp: 0 },
      })
      expect(await w.query('select "issuedAt" from "License" where "userId" = $1', [id])).toEqual([
        { issuedAt: new Date('2020-02-02T00:00:00Z') },
      ])
      await goesOn(id, 5)
      await expectSound(w, id)
    },
  )

  test('license whose progress was deleted: versions begin again at 1, and earlier changes of level stay', async () => {
    const { id } = await at(3)
    payload(await about(api, admin, id).update({ newLevel: 4 }))
    await byHand.noProgress(id)
    await refusesToChange(id, 'CREATE_PROGRESS')
    payload(await about(api, admin, id).sync('LICENSE'))
    // versions 2 to 4, as before
    for (const newLevel of [3, 4, 1]) payload(await about(api, admin, id).update({ newLevel }))
    expect(payload(await about(api, admin, id).up(100))).toMatchObject({ progress: { currentLevel: 2 } })
    const story = await w.query<{ change: string }>(
      `select version || ': ' || "from" || ' → ' || "to" as change from "LicenseProgression" where "userId" = $1
        order by at, version, "from"`,
      [id],
    )
    expect(story.map(({ change }) => change)).toEqual([
      '2: 1 → 2',
      '2: 2 → 3',
      '3: 3 → 4',
      '2: 4 → 3',
      '3: 3 → 4',
      '4: 4 → 1',
      '5: 1 → 2',
    ])
    await expectSound(w, id)
  })

  test('neither exists: that is consistent, and the user can begin', async () => {
    const { id } = await person()
    expect(await about(api, admin, id).consistency()).toEqual({
      ...agree(null),
      message: 'Neither progress nor license exists.',
    })
    expect(await found(id)).toEqual([])
    for (const source of ['PROGRESS', 'LICENSE'] as const)
      expect(await about(api, admin, id).sync(source)).toMatchObject({ __typename: 'RecordNotFound', record: source })
    payload(await about(api, admin, id).up(0))
    await goesOn(id, 1)
  })

  test('both deleted, their changes of level left: a new beginning keeps them, and folds to them', async () => {
    const { id } = await at(3)
    await byHand.noLicense(id)
    await byHand.noProgress(id)
    payload(await about(api, admin, id).up(100))
    expect(await w.query('select count(*)::int as count from "LicenseProgression" where "userId" = $1', [id])).toEqual([
      { count: 3 },
    ])
    await expectSound(w, id)
  })

  test('both at one level: syncing changes nothing and appends no event', async () => {
    const { id } = await at(5)
    expect(await about(api, admin, id).consistency()).toEqual({
      ...agree(5),
      message: 'Progress and license agree: level 5.',
    })
    const before = await everything(w, id)
    for (const source of ['PROGRESS', 'LICENSE'] as const)
      expect(payload(await about(api, admin, id).sync(source))).toMatchObject({
        version: 2,
        synced: false,
        progressions: [],
      })
    expect(await everything(w, id)).toEqual(before)
  })

  test('with a key it syncs once, however often and late it is sent', async () => {
    const { id } = await at(5)
    await byHand.license(id, 3)
    const idempotencyKey = randomUUID()
    const answers = (await race(20, () => about(api, admin, id).sync('LICENSE', { idempotencyKey }))).map(payload)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    await byHand.license(id, 2) // again
    expect(payload(await about(api, admin, id).sync('LICENSE', { idempotencyKey }))).toMatchObject({
      replayed: true,
      synced: true,
      progress: { currentLevel: 3 },
    })
    expect(await about(api, admin, id).consistency()).toMatchObject({ progressLevel: 3, licenseLevel: 2 })
  })
})

test('six syncs at once from two processes: one syncs, the others find it done', async () => {
  for (let round = 0; round < 10; round++) {
    const { id } = await person()
    await byHand.onlyLicense(id, 1 + (round % 8))
    const input = { userId: id, specialization: 'PLAYER', source: 'LICENSE', reason: 'race' } as const
    const answers = await race(6, (i) => (i % 2 ? commit : other.commit)(syncRecords, { actor: system, input }))
    expect(answers.filter(({ changed }) => changed)).toHaveLength(1)
    expect(await expectSound(w, id)).toHaveLength(1)
  }
})

test('if there is a license and no progress, only the progress is inserted; the license is not written', async () => {
  const { id } = await person()
  await byHand.onlyLicense(id, 3)
  await w.query('create table written (what text)')
  await w.query(
    `create function note() returns trigger language plpgsql as $$ begin insert into written
      values (tg_op || ' ' || tg_table_name); return null; end $$`,
  )
  for (const table of ['License', 'SpecializationProgress'])
    await w.query(`create trigger note after insert or update on "${table}" for each row execute function note()`)
  await commit(syncRecords, {
    actor: system,
    input: { userId: id, specialization: 'PLAYER', source: 'LICENSE', reason: 'from elsewhere' },
  })
  await w.query('drop function note cascade')
  // the license was not written
  expect(await w.query('select what from written')).toEqual([{ what: 'INSERT SpecializationProgress' }])
})

test('desyncs are listed page by page, in order, and nothing else is', async () => {
  const people = await Promise.all(Array.from({ length: 5 }, () => at(2)))
  for (const { id } of people) await byHand.license(id, 4)
  const all: string[] = []
  let after: string | null = null
  do {
    const {
      desyncs,
    }: {
      desyncs?: {
        totalCount: number
        pageInfo: { hasNextPage: boolean; endCursor?: string | null }
        edges: readonly { node: { userId: string } }[]
      } | null
    } = await api.get(Desyncs, { first: 2, after }, admin.token)
    expect(desyncs!.totalCount).toBeGreaterThanOrEqual(people.length)
    all.push(...desyncs!.edges.map(({ node }) => Buffer.from(node.userId, 'base64').toString().slice(5)))
    after = desyncs!.pageInfo.hasNextPage ? desyncs!.pageInfo.endCursor! : null
  } while (after)
  expect(all).toEqual([...all].sort())
  const [{ count }] = (await w.query<{ count: number }>(
    `select count(*)::int as count from "SpecializationProgress" p full join "License" l using (id)
      where p."currentLevel" is distinct from l."currentLevel"`,
  )) as [{ count: number }]
  expect(all).toHaveLength(count)
  expect(all).toEqual(expect.arrayContaining(people.map(({ id }) => id)))
})

test('during 400 requests at once, no reader sees a desync', async () => {
  const people = await Promise.all(Array.from({ length: 20 }, () => person()))
  let looks = 0
  let over = false
  const looking = (async () => {
    while (!over) {
      const seen = await w.query(
        `select from "SpecializationProgress" p full join "License" l using (id)
          where coalesce(p."userId", l."userId") = any($1) and p."currentLevel" is distinct from l."currentLevel"`,
        [people.map(({ id }) => id)],
      )
      expect(seen).toEqual([])
      looks++
    }
  })()
  await race(400, (i) =>
    outcome(
      commit(levelUp, {
        actor: system,
        input: {
          userId: people[i % 20]!.id,
          specialization: 'PLAYER',
          xpGained: 60,
          sessionsCompleted: 1,
          reason: 'race',
        },
      }),
    ),
  )
  over = true
  await looking
  expect(looks).toBeGreaterThan(2)
})

test('a level that the specialization does not have is not synced', async () => {
  const learner = await person()
  await byHand.onlyLicense(learner.id, 99)
  const before = await everything(w, learner.id)
  const mended = commit(syncRecords, {
    actor: system,
    input: { userId: learner.id, specialization: 'PLAYER', source: 'LICENSE', reason: 'By hand' },
  })
  expect(await outcome(mended)).toMatchObject({ code: 'LEVEL_OUT_OF_RANGE', requestedLevel: 99, maxLevel: 8 })
  expect(await everything(w, learner.id)).toEqual(before)
})

test('a license that is issued again keeps the highest level of its earlier changes', async () => {
  const learner = await at(7)
  payload(await about(api, admin, learner.id).update({ newLevel: 2 }))
  await byHand.noLicense(learner.id)
  const { view } = await commit(syncRecords, {
    actor: system,
    input: { userId: learner.id, specialization: 'PLAYER', source: 'PROGRESS', reason: 'Lost' },
  })
  expect(view.license).toMatchObject({ currentLevel: 2, maxAchievedLevel: 7 })
  await expectSound(w, learner.id)
})
