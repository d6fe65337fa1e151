import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Cursor, parseCursor, rootCursor, topicCursor } from '../../src/journal/cursor.ts'
import { world } from '../world.ts'
import { isSnapshotFunction } from './isSnapshot.ts'

const w = await world()
await w.query(isSnapshotFunction)

// as PostgreSQL has it
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((each) => !each.includes('\0'))
const version = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.constantFrom(0, 1, 2 ** 31 - 1))
const snapshot = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 30 }).map((steps) => {
  let at = 800n
  const xids = steps.map((step) => (at += BigInt(step)))
  return `${xids[0]}:${at + 1n}:${xids.join()}`
})
const root = fc.record({ epoch: text, rootType: text, rootId: text, version })
const topic = fc.record({
  ...{ epoch: text, topic: text, from: snapshot, to: snapshot },
  place: fc.option(fc.tuple(text, text, version)),
})
const written = fc.oneof(root.map(rootCursor), topic.map(topicCursor))
const encode = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
const decode = (cursor: string) => JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]

test('a cursor is read as it was written, and fits into a URL unescaped', () => {
  fc.assert(
    fc.property(fc.oneof(root, topic) as fc.Arbitrary<Cursor>, (cursor) => {
      const kept = 'topic' in cursor ? topicCursor(cursor) : rootCursor(cursor)
      expect(kept).toMatch(/^[\w-]+$/)
      expect(parseCursor(kept)).toEqual(cursor)
    }),
    { numRuns: 2_000 },
  )
})

test('a cursor is accepted while a thousand transactions are under way', () => {
  const many = (first: bigint) =>
    `${first}:${first + 3_000n}:${Array.from({ length: 1_000 }, (_, i) => first + BigInt(3 * i)).join()}`
  const cursor = {
    ...{ epoch: 'AAAAAAAA', topic: 'Course:0123456789abcdef', from: many(10n ** 13n), to: many(10n ** 13n + 5_000n) },
    place: ['Enrollment', 'somebody.0123456789abcdef', 12] as const,
  }
  expect(parseCursor(topicCursor(cursor))).toEqual(cursor)
})

test('other text is no cursor, and never makes it throw', () => {
  const garbage = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.base64String({ maxLength: 200 }),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc.json(),
    fc.array(fc.jsonValue(), { maxLength: 8 }).map(encode),
    fc
      .tuple(fc.constantFrom(0, 1, 2, 3, '1', '2', null), fc.array(fc.jsonValue(), { maxLength: 6 }))
      .map(([kind, rest]) => encode([kind, ...rest])),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  )
  fc.assert(
    fc.property(garbage, (each) => {
      expect(parseCursor(each)).toBeUndefined()
    }),
    { numRuns: 5_000 },
  )
})

test('a changed cursor is refused, or has only values that PostgreSQL accepts', async () => {
  const value = fc.oneof(
    ...[
      fc.jsonValue(),
      fc.constantFrom(-1, 0.5, 2 ** 31, 1e300, null, '', '\0', 'a\0b', 'x'.repeat(50)),
      fc.constantFrom('9:3:', '0:1:', '1:9:4,3', '1:1:'),
    ],
    ...[fc.tuple(fc.constantFrom('Thing', 'a\0'), fc.constantFrom('a', '\0'), fc.constantFrom(1, -1, 2 ** 31, 1.5))],
    fc.constantFrom('4294967296:4294967296:', '99999999999999999999:99999999999999999999:'),
  )
  const tampered = fc
    .tuple(written, fc.nat(6), value, fc.constantFrom('replace', 'insert', 'remove'))
    .map(([cursor, at, value, how]) =>
      encode(
        decode(cursor).toSpliced(at, how === 'insert' ? 0 : 1, ...((how === 'remove' ? [] : [value]) as unknown[])),
      ),
    )
  const taken: Cursor[] = []
  let none = 0
  fc.assert(
    fc.property(tampered, (each) => {
      const cursor = parseCursor(each)
      if (cursor) taken.push(cursor)
      else none++
    }),
    { numRuns: 5_000 },
  )
  expect(taken.length).toBeGreaterThan(500)
  expect(none).toBeGreaterThan(500)
  // all that is asked with
  const asked = taken.map((cursor) =>
    'topic' in cursor ? cursor : { ...cursor, from: null, to: null, topic: '', place: null },
  )
  const texts = asked.map(({ topic, place }) => [topic, ...(place?.slice(0, 2) ?? [])].join(' '))
  const places = taken.map((cursor) => ('topic' in cursor ? cursor.place?.[2] : cursor.version) ?? 0)
  const [row] = await w.query(
    `select count(*)::int as asked, bool_and(is_snapshot(f) and is_snapshot(t)) as valid,
        bool_and(length(x) >= 0 and v >= 0) as texts
      from unnest($1::text[], $2::text[], $3::text[], $4::int[]) as c (f, t, x, v)`,
    [asked.map(({ from }) => from), asked.map(({ to }) => to), texts, places],
  )
  expect(row).toEqual({ asked: taken.length, valid: true, texts: true })
})

test.each([
  ['text', () => 'A'.repeat(50_000_000)],
  ['a cursor', () => rootCursor({ epoch: 'x'.repeat(5_000_000), rootType: 'Thing', rootId: 'a', version: 1 })],
  ['lists in lists', () => Buffer.from('['.repeat(45_000)).toString('base64url')],
  ['lists in lists, closed', () => Buffer.from('['.repeat(24_000) + ']'.repeat(24_000)).toString('base64url')],
])('%s that is huge is none, and is not looked at for long', (_, make) => {
  const huge = make()
  const began = performance.now()
  expect(parseCursor(huge)).toBeUndefined()
  expect(performance.now() - began).toBeLessThan(250)
})
