import { expect, test } from 'vitest'
import { forgetOldKeys } from '../../src/commit/oldKeys.ts'
import { world } from '../world.ts'

const w = await world()
const { db } = w.process()

test('keys are kept for the configured number of days, and then deleted, however many there are', async () => {
  await w.query(
    `insert into "IdempotencyKey" select 'ada', 'old' || n, '', 1, '{}', now() - interval '30 days 1 minute'
      from generate_series(1, 12000) n`,
  )
  await w.query(
    `insert into "IdempotencyKey" select 'ada', 'young' || n, '', 1, '{}', now() - interval '29 days 23 hours'
      from generate_series(1, 10) n`,
  )
  expect(await forgetOldKeys(db, 30)).toBe(12_000)
  expect(await forgetOldKeys(db, 30)).toBe(0)
  expect(await w.query('select count(*)::int as count from "IdempotencyKey"')).toEqual([{ count: 10 }])
})
