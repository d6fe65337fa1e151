import { expect, test } from 'vitest'
import { beginHistories } from '../../src/journal/beginHistories.ts'
import { prune } from '../../src/journal/prune.ts'
import { evolved } from '../../src/journal/fold.ts'
import { levelUp } from '../../src/licensing/levelUp.ts'
import { standings } from '../../src/licensing/standingAggregate.ts'
import { updateLevel } from '../../src/licensing/updateLevel.ts'
import type { Aggregate, Shape } from '../../src/commit/aggregate.ts'
import { academy, system } from '../academy.ts'
import { world } from '../world.ts'
import { expectRows } from './standing.ts'

const w = await world()
const { commit, db } = w.process()
const { person } = academy(commit)
const aggregates = [standings] as unknown as readonly Aggregate<Shape>[]

/** Expects that the history folds to the rows; returns the kinds of its events. */
async function expectFold(id: string) {
  const history = await w.history('SpecializationProgress', id)
  const state = history.reduce(
    (state, event) => evolved(standings, state, { ...event, rootId: id, at: event.at.toISOString() }),
    standings.blank(id),
  )
  await expectRows(w, state)
  return history.map(({ kind }) => kind)
}
const input = { specialization: 'COACH', reason: 'a test' }
const update = { xpChange: 1, sessionsChange: 1, theoryHoursChange: 0.75, practiceHoursChange: 1.1 }

test('a pruned history still folds to the rows, changes of level included, and continues', async () => {
  const { id: userId } = await person()
  const id = `${userId}.COACH`
  await commit(levelUp, { actor: system, input: { ...input, userId, xpGained: 1_100, sessionsCompleted: 2 } })
  await commit(updateLevel, { actor: system, input: { ...input, ...update, userId, newLevel: 2 } })
  await prune({ db, aggregates, days: 0 })
  expect(await expectFold(id)).toEqual(['genesis'])
  await commit(updateLevel, { actor: system, input: { ...input, ...update, userId, newLevel: 6 } })
  expect(await expectFold(id)).toEqual(['genesis', 'levelUpdated'])
  expect(await w.query('select count(*)::int as count from "LicenseProgression" where "licenseId" = $1', [id])).toEqual(
    [{ count: 5 }],
  )
})

test('a standing that was imported by SQL gets a history that folds to its rows', async () => {
  const { id: userId } = await person()
  const id = `${userId}.COACH`
  await w.query('insert into "SpecializationProgress" values ($1, 7, $2, $3, 4, 1200, 30, 12.25, 8.5)', [
    id,
    userId,
    'COACH',
  ])
  await w.query('insert into "License" values ($1, $2, $3, 4, 5, now())', [id, userId, 'COACH'])
  await w.query(
    `insert into "LicenseProgression" values ($1, now() - interval '1 day', 5, 3, 5, $2, 'system', 'elsewhere'), ($1,
      now(), 7, 5, 4, $2, 'system', 'elsewhere')`,
    [id, userId],
  )
  await beginHistories({ db, aggregates })
  expect(await expectFold(id)).toEqual(['genesis'])
  const { version } = await commit(updateLevel, { actor: system, input: { ...input, ...update, userId, newLevel: 8 } })
  expect(version).toBe(8)
  expect(await expectFold(id)).toEqual(['genesis', 'levelUpdated'])
})
