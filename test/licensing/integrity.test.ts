import { beforeAll, describe, expect, test } from 'vitest'
import { levelUp } from '../../src/licensing/levelUp.ts'
import { academy, system } from '../academy.ts'
import { outcome, world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)

async function refusal(statement: string, values: unknown[] = []) {
  const error = (await outcome(w.query(statement, values))) as { code?: string; constraint?: string }
  return error.code ? { code: error.code, constraint: error.constraint } : undefined
}
const copyOf = (table: string, where: string, changes: object = {}) =>
  `insert into "${table}" select (jsonb_populate_record(t, '${JSON.stringify(changes)}'::jsonb)).* from "${table}" t
    where ${where}`

let id = ''
let other = ''
beforeAll(async () => {
  ;[{ id }, { id: other }] = [await person(), await person()]
  await commit(levelUp, {
    actor: system,
    key: 'k',
    input: { userId: id, specialization: 'PLAYER', xpGained: 300, sessionsCompleted: 1, reason: 'a test' },
  })
})

describe('the database refuses', () => {
  test.each([
    ['SpecializationProgress', {}, 'SpecializationProgress_pkey', '23505'],
    ['SpecializationProgress', { id: 'x' }, 'SpecializationProgress_id_is_its_key', '23514'],
    ['License', {}, 'License_pkey', '23505'],
    ['License', { id: 'x' }, 'License_id_is_its_key', '23514'],
    ['LicenseProgression', {}, 'LicenseProgression_pkey', '23505'],
  ])('a second row of %s (%o) for the same user and specialization', async (table, changes, constraint, code) => {
    expect(await refusal(copyOf(table, `"userId" = '${id}'`, changes))).toEqual({ code, constraint })
  })

  test('a second row for the same user and specialization, also by a unique key', async () => {
    for (const table of ['SpecializationProgress', 'License']) {
      await w.query(`alter table "${table}" drop constraint "${table}_id_is_its_key"`)
      expect(await refusal(copyOf(table, `"userId" = '${id}'`, { id: 'x' }))).toEqual({
        code: '23505',
        constraint: `${table}_userId_code_key`,
      })
      await w.query(
        `alter table "${table}" add constraint "${table}_id_is_its_key" check (id = "userId" || '.' || code)`,
      )
    }
  })

  test.each([
    ['update "SpecializationProgress" set "totalXp" = -1', 'SpecializationProgress_totalXp_from_0'],
    ['update "SpecializationProgress" set "completedSessions" = -1', 'SpecializationProgress_completedSessions_from_0'],
    ['update "SpecializationProgress" set "theoryHours" = -0.01', 'SpecializationProgress_theoryHours_from_0'],
    ['update "SpecializationProgress" set "practiceHours" = -0.01', 'SpecializationProgress_practiceHours_from_0'],
    ['update "SpecializationProgress" set "currentLevel" = 0', 'SpecializationProgress_currentLevel_from_1'],
    ['update "License" set "maxAchievedLevel" = 2', 'License_maxAchievedLevel_not_below'],
    ['update "License" set "currentLevel" = 0', 'License_currentLevel_from_1'],
    ['update "LicenseProgression" set "to" = "from"', 'LicenseProgression_is_a_change'],
    [`update "SpecializationLevel" set xp = 1 where level = 1`, 'SpecializationLevel_begins_at_0'],
    [`insert into "Specialization" values ('a.b', 'A', 8, false)`, 'Specialization_code_is_plain'],
    [`insert into "Specialization" values ('A', 'A', 0, false)`, 'Specialization_maxLevel_in_bounds'],
  ])('%s', async (statement, constraint) => {
    expect(await refusal(statement)).toEqual({ code: '23514', constraint })
  })

  test('progress and licenses of unknown users or in unknown specializations', async () => {
    for (const table of ['SpecializationProgress', 'License']) {
      expect(await refusal(copyOf(table, `"userId" = '${id}'`, { id: 'nobody.PLAYER', userId: 'nobody' }))).toEqual({
        code: '23503',
        constraint: `${table}_userId_fkey`,
      })
      expect(await refusal(copyOf(table, `"userId" = '${id}'`, { id: `${id}.CHEF`, code: 'CHEF' }))).toEqual({
        code: '23503',
        constraint: `${table}_code_fkey`,
      })
    }
  })

  test('to delete a specialization in which somebody has begun', async () => {
    expect(await refusal(`delete from "Specialization" where code = 'PLAYER'`)).toMatchObject({
      code: expect.stringMatching(/^(23001|23503)$/),
    })
    await w.query(`insert into "Specialization" values ('REFEREE', 'Referee', 3, false)`)
    await w.query(`insert into "SpecializationLevel" values ('REFEREE', 1, 0), ('REFEREE', 2, 50), ('REFEREE', 3, 80)`)
    expect(await refusal(`delete from "Specialization" where code = 'REFEREE'`)).toBeUndefined()
    expect(await w.query(`select * from "SpecializationLevel" where code = 'REFEREE'`)).toEqual([])
  })
})

test('a specialization is data: a new one needs no deployment', async () => {
  await w.query(`insert into "Specialization" values ('GOALKEEPER', 'Goalkeeper', 3, false)`)
  await w.query(
    `insert into "SpecializationLevel" values ('GOALKEEPER', 1, 0), ('GOALKEEPER', 2, 50), ('GOALKEEPER', 3, 80),
      ('GOALKEEPER', 4, 90)`,
  )
  const { view } = await commit(levelUp, {
    actor: system,
    input: { userId: other, specialization: 'GOALKEEPER', xpGained: 95, sessionsCompleted: 0, reason: 'a test' },
  })
  expect(view.progress).toMatchObject({ currentLevel: 3 }) // the highest level, although there is a threshold above it
})

test('deleting a user deletes their progress, license, changes of level and history', async () => {
  await w.query('delete from "User" where id = $1', [id])
  for (const table of ['SpecializationProgress', 'License', 'LicenseProgression'])
    expect(await w.query(`select * from "${table}" where "userId" = $1`, [id])).toEqual([])
  expect(await w.history('SpecializationProgress', `${id}.PLAYER`)).toEqual([])
})
