import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSnapshot, sees } from '../../src/journal/snapshot.ts'
import { outsiders } from '../classroom.ts'
import { world } from '../world.ts'
import { isSnapshotFunction } from './isSnapshot.ts'

const w = await world()
await w.query(isSnapshotFunction)
const { outsider } = await outsiders(w)

/** Numbers near each other, also where 32, 53 and 63 bits end. */
const start = fc.constantFrom(1n, 700n, 2n ** 32n - 5n, 2n ** 53n - 5n, 2n ** 63n - 5n, 2n ** 64n - 30n)
const snapshot = fc
  .record({
    start,
    gap: fc.bigInt(0n, 8n),
    width: fc.bigInt(0n, 12n),
    underWay: fc.uniqueArray(fc.bigInt(0n, 11n), { maxLength: 12 }),
  })
  .map(({ start, gap, width, underWay }) => {
    const xmin = start + gap
    const within = underWay.filter((i) => i < width).sort((a, b) => Number(a - b))
    return { xmin, text: `${xmin}:${xmin + width}:${within.map((i) => xmin + i).join()}` }
  })

test('a snapshot sees what PostgreSQL says that it sees', async () => {
  const seen = { yes: 0, no: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(snapshot, { minLength: 100, maxLength: 200 }), async (snapshots) => {
      const pairs = snapshots.flatMap(({ xmin, text }) =>
        Array.from({ length: 18 }, (_, i) => [text, xmin - 2n + BigInt(i)] as const).filter(
          ([, xid]) => xid >= 0n && xid < 2n ** 64n,
        ),
      )
      const said = await w.query<{ says: boolean | null }>(
        `select case when is_snapshot(s) then pg_visible_in_snapshot(x::xid8, s::pg_snapshot) end as says
          from unnest($1::text[], $2::text[]) with ordinality as p (s, x, n) order by n`,
        [pairs.map(([text]) => text), pairs.map(([, xid]) => String(xid))],
      )
      const ours = pairs.map(([text, xid]) => {
        const parsed = parseSnapshot(text)
        return parsed ? sees(parsed, xid) : null
      })
      expect(ours).toEqual(said.map(({ says }) => says))
      for (const says of ours) seen[says === null ? 'refused' : says ? 'yes' : 'no']++
    }),
    { numRuns: 12 },
  )
  expect(seen.yes).toBeGreaterThan(1_000)
  expect(seen.no).toBeGreaterThan(1_000)
})

test('a snapshot taken while others write is read as it is, and does not see their writes', async () => {
  const open = await Promise.all([outsider(), outsider(), outsider()])
  const xids = []
  for (const each of open) xids.push(BigInt((await each.query('select pg_current_xact_id()::text as xid')).rows[0].xid))
  await w.query('select pg_current_xact_id()') // one that is over, after those that are open
  await open[1]!.end('commit')
  const [row] = await w.query<{ text: string }>('select pg_current_snapshot()::text as text')
  const parsed = parseSnapshot(row!.text)!
  expect(parsed.text).toBe(row!.text)
  expect(xids.map((xid) => sees(parsed, xid))).toEqual([false, true, false])
})

test('PostgreSQL accepts each text that is read as a snapshot; other text is refused', async () => {
  const digits = fc
    .oneof(fc.bigInt(0n, 9n), fc.constantFrom(2n ** 32n, 2n ** 33n, 2n ** 64n - 1n, 2n ** 64n, 10n ** 20n))
    .map(String)
  const like = fc
    .tuple(digits, digits, fc.array(digits, { maxLength: 4 }))
    .map(([xmin, xmax, list]) => `${xmin}:${xmax}:${list.join()}`)
  const text = fc.oneof(
    { weight: 5, arbitrary: like },
    fc.string({ maxLength: 20 }),
    fc.stringMatching(/^[\d:, -]{0,12}$/),
  )
  let taken = 0
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 300, maxLength: 500 }), async (texts) => {
      const ours = texts.filter((each) => parseSnapshot(each))
      const said = await w.query<{ text: string; valid: boolean }>(
        `select s as text, is_snapshot(s) as valid from unnest($1::text[]) s`,
        [ours],
      )
      expect(new Set(said.flatMap(({ text, valid }) => (valid ? [] : [text])))).toEqual(new Set())
      taken += ours.length
    }),
    { numRuns: 12 },
  )
  expect(taken).toBeGreaterThan(100)
  for (const none of [
    '',
    '1',
    '1:2',
    '1:2:3',
    '2:1:',
    '0:5:',
    '1:5:3,2',
    '1:5:5',
    ' 1:5:',
    '1:5:,',
    '1:5:2\n',
    '-1:5:',
    '1:5:2,',
    '１:5:',
  ])
    expect(parseSnapshot(none), none).toBeUndefined()
})
