import { describe, expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy } from '../academy.ts'
import { globalId, made, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { kinds, replays } from '../learning/replay.ts'
import { race, world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)

const KeyRefused = graphql(`
  mutation KeyRefused($input: CompleteLessonInput!) {
    completeLesson(input: $input) { __typename ... on DomainError { code message } ... on InvalidInput { field } ...
    on IdempotencyKeyReused { idempotencyKey } }
  }
`)

async function enrolled(lessons: number) {
  const [learner, taken] = await Promise.all([person(), course(lessons)])
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}
const keys = (actor: string) =>
  w.query<{ key: string }>('select key from "IdempotencyKey" where actor = $1 order by key', [actor])

test('many requests to one root at once: every answer shows the root as the last of its batch left it', async () => {
  for (let round = 0; round < 10; round++) {
    const { learner, taken } = await enrolled(8)
    const answers = await race(8, async (i) => payload(await api.complete(learner.token, taken.lesson(i + 1))))
    // those of a batch are committed together; a client may receive their answers in any order
    for (const { version, enrollment } of answers) {
      expect(enrollment.version).toBeGreaterThanOrEqual(version)
      expect(enrollment.completedLessonCount).toBe(Math.min(enrollment.version - 1, 8))
    }
    const shown = new Set(answers.map(({ enrollment }) => enrollment.version))
    expect(shown.size).toBeLessThan(8)
    expect(Math.max(...shown)).toBe(10)
  }
})

describe('one key', () => {
  test('sent twenty times at once takes effect once, and all get the same answer', async () => {
    for (let round = 0; round < 5; round++) {
      const { learner, taken, id } = await enrolled(1)
      const answers = await race(20, async () =>
        payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'once' })),
      )
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
      expect(new Set(answers.map((answer) => JSON.stringify({ ...answer, replayed: true }))).size).toBe(1)
      expect(answers[0]).toMatchObject({ alreadyCompleted: false, courseCompleted: true, version: 3 })
      expect(kinds(await replays(w, id))).toEqual(['enrolled', 'lessonCompleted', 'courseCompleted'])
    }
  })

  test('sent to two servers at once takes effect once', async () => {
    const other = await serve(w)
    for (let round = 0; round < 8; round++) {
      const { learner, taken, id } = await enrolled(1)
      const answers = await race(8, async (i) =>
        payload(await (i % 2 ? api : other).complete(learner.token, taken.lesson(1), { idempotencyKey: 'once' })),
      )
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
      expect(answers.every(({ courseCompleted }) => courseCompleted)).toBe(true)
      expect(await replays(w, id)).toHaveLength(3)
    }
  })

  test('sent again later is told what it made, whatever happened in between, and shown what is there now', async () => {
    const { learner, taken, id } = await enrolled(3)
    const first = payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    for (const n of [2, 3]) payload(await api.complete(learner.token, taken.lesson(n)))
    const { enrollment } = payload(await api.reset(learner.token, id))
    const again = payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    expect(made(again)).toEqual({ ...made(first), replayed: true })
    expect(again).toMatchObject({ version: 2, enrollment, lessonProgress: { status: 'NOT_STARTED', resets: 1 } })
    expect(again.committed).toEqual({ version: 2, kind: 'LESSON_COMPLETED', percent: 33, completedLessonCount: 1 })
    expect(first).toMatchObject({ version: 2, enrollment: { version: 2, completedLessonCount: 1, percent: 33 } })
    await replays(w, id)
  })

  test('also if nothing was changed: alreadyCompleted is still returned after a reset', async () => {
    const { learner, taken } = await enrolled(2)
    payload(await api.complete(learner.token, taken.lesson(1)))
    const first = payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    expect(first).toMatchObject({ alreadyCompleted: true, replayed: false, version: 2 })
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    const again = payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    expect(made(again)).toEqual({ ...made(first), replayed: true })
  })

  test('with other arguments or another expectedVersion is refused, and takes no effect', async () => {
    const { learner, taken, id } = await enrolled(3)
    payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    const lessonId = globalId('Lesson', taken.lesson(2))
    expect(
      (await api.get(KeyRefused, { input: { lessonId, idempotencyKey: 'k' } }, learner.token)).completeLesson,
    ).toMatchObject({
      __typename: 'IdempotencyKeyReused',
      code: 'IDEMPOTENCY_KEY_REUSED',
      idempotencyKey: 'k',
    })
    expect(
      await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k', expectedVersion: 2 }),
    ).toMatchObject({
      __typename: 'IdempotencyKeyReused',
    })
    expect(await replays(w, id)).toHaveLength(2)
  })

  test('with another operation is refused, and takes no effect', async () => {
    const { learner, taken, id } = await enrolled(2)
    payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'k' }))
    const others = [
      api.open(learner.token, taken.lesson(1), { idempotencyKey: 'k' }),
      api.resetLesson(learner.token, taken.lesson(1), { idempotencyKey: 'k' }),
      api.reset(learner.token, id, { idempotencyKey: 'k' }),
    ]
    others.push(
      api.content(learner.token, taken.item(1), { idempotencyKey: 'k' }) as never,
      api.enroll(learner.token, taken.id, { idempotencyKey: 'k' }) as never,
    )
    for (const answer of await Promise.all(others)) expect(answer).toMatchObject({ __typename: 'IdempotencyKeyReused' })
    expect(await replays(w, id)).toHaveLength(2)
  })

  test('used by two people is two keys', async () => {
    const [{ learner, taken }, other] = [await enrolled(2), await person()]
    payload(await api.enroll(other.token, taken.id))
    const answers = await race(2, async (i) =>
      payload(await api.complete(i ? other.token : learner.token, taken.lesson(i + 1), { idempotencyKey: 'shared' })),
    )
    expect(answers).toMatchObject([{ replayed: false }, { replayed: false }])
  })

  test('raced on two enrollments is accepted for one; the other request is refused', async () => {
    for (let round = 0; round < 15; round++) {
      const [{ learner, taken, id }, second] = [await enrolled(1), await course(1)]
      payload(await api.enroll(learner.token, second.id))
      const answers = await race(2, (i) =>
        api.complete(learner.token, (i ? second : taken).lesson(1), { idempotencyKey: 'k' }),
      )
      expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
        'CompleteLessonPayload',
        'IdempotencyKeyReused',
      ])
      const lengths = await Promise.all(
        [id, enrollmentOf(learner.id, second.id)].map(async (id) => (await replays(w, id)).length),
      )
      expect(lengths.sort()).toEqual([1, 3])
    }
  })

  test('raced on two enrollments at two servers is accepted for one; the other request is refused', async () => {
    const other = await serve(w)
    for (let round = 0; round < 15; round++) {
      const [{ learner, taken }, second] = [await enrolled(1), await course(1)]
      payload(await api.enroll(learner.token, second.id))
      const answers = await race(2, (i) =>
        (i ? other : api).complete(learner.token, (i ? second : taken).lesson(1), { idempotencyKey: 'k' }),
      )
      expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
        'CompleteLessonPayload',
        'IdempotencyKeyReused',
      ])
    }
  })

  test.each(['openLesson', 'completeContent', 'resetProgress', 'enroll'] as const)(
    'works for %s, too',
    async (name) => {
      const { learner, taken } = await enrolled(2)
      payload(await api.open(learner.token, taken.lesson(1)))
      const more = { idempotencyKey: name }
      const ask = async () => {
        switch (name) {
          case 'openLesson':
            return payload(await api.open(learner.token, taken.lesson(2), more))
          case 'completeContent':
            return payload(await api.content(learner.token, taken.item(1), more))
          case 'resetProgress':
            return payload(await api.resetLesson(learner.token, taken.lesson(1), more))
          case 'enroll':
            return payload(await api.enroll(learner.token, taken.id, more))
        }
      }
      const first = await ask()
      expect(first.replayed).toBe(false)
      expect(await ask()).toEqual({ ...first, replayed: true })
    },
  )
})

describe('a key', () => {
  test.each([
    ['empty', ''],
    ['of 201 characters', 'k'.repeat(201)],
    ['with an umlaut', 'schlüssel'],
    ['with a NUL', 'a\0b'],
    ['with a line break', 'a\nb'],
    ['with a lone surrogate', 'a\ud800b'],
    ['that is an emoji', '🔑'],
  ])('%s is refused as invalid, with the field named', async (_, idempotencyKey) => {
    const { learner, taken, id } = await enrolled(1)
    const { completeLesson } = await api.get(
      KeyRefused,
      { input: { lessonId: globalId('Lesson', taken.lesson(1)), idempotencyKey } },
      learner.token,
    )
    expect(completeLesson).toMatchObject({
      __typename: 'InvalidInput',
      code: 'INVALID_INPUT',
      field: 'input.idempotencyKey',
    })
    expect(await replays(w, id)).toHaveLength(1)
    expect(await keys(learner.id)).toEqual([])
  })

  test.each([
    ['of 200 characters', 'k'.repeat(200)],
    ['with all of printable ASCII', Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')],
    ['named like what every object has', '__proto__'],
    ['of one space', ' '],
  ])('%s is accepted', async (_, idempotencyKey) => {
    const { learner, taken } = await enrolled(1)
    expect(payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey }))).toMatchObject({
      replayed: false,
    })
    expect(payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey }))).toMatchObject({
      replayed: true,
    })
    expect(await keys(learner.id)).toEqual([{ key: idempotencyKey }])
  })

  test('that is null is no key', async () => {
    const { learner, taken } = await enrolled(1)
    payload(
      await api.complete(learner.token, taken.lesson(1), {
        idempotencyKey: null as never,
        expectedVersion: null as never,
      }),
    )
    expect(await keys(learner.id)).toEqual([])
  })

  test('of a refused request is not stored: the same key works once the request is possible', async () => {
    const [learner, taken] = [await person(), await course(2, { 2: [1] })]
    const second = () => api.complete(learner.token, taken.lesson(2), { idempotencyKey: 'k' })
    expect(await second()).toMatchObject({ __typename: 'NotEnrolled' })
    payload(await api.enroll(learner.token, taken.id))
    expect(await second()).toMatchObject({ __typename: 'PrerequisiteNotMet' })
    expect(
      await api.complete(learner.token, taken.lesson(2), { idempotencyKey: 'k', expectedVersion: 9 }),
    ).toMatchObject({
      __typename: 'VersionConflict',
    })
    expect(await keys(learner.id)).toEqual([])
    payload(await api.complete(learner.token, taken.lesson(1)))
    expect(payload(await second())).toMatchObject({ replayed: false, courseCompleted: true })
    expect(payload(await second())).toMatchObject({ replayed: true, courseCompleted: true })
  })

  test('is replayed without comparing expectedVersion again', async () => {
    const { learner, taken } = await enrolled(2)
    const more = { idempotencyKey: 'k', expectedVersion: 1 }
    const first = payload(await api.complete(learner.token, taken.lesson(1), more))
    expect(payload(await api.complete(learner.token, taken.lesson(1), more))).toEqual({ ...first, replayed: true })
  })

  test('returns its answer only to actors who are still allowed', async () => {
    const { learner, taken, id } = await enrolled(2)
    const admin = await person('ADMIN')
    payload(await api.complete(learner.token, taken.lesson(1)))
    payload(await api.reset(admin.token, id, { idempotencyKey: 'k' }))
    expect(payload(await api.reset(admin.token, id, { idempotencyKey: 'k' }))).toMatchObject({ replayed: true })
    await w.query(`update "User" set role = 'LEARNER' where id = $1`, [admin.id])
    expect(await api.reset(admin.token, id, { idempotencyKey: 'k' })).toMatchObject({ __typename: 'Forbidden' })
  })

  test('does not appear in events, which others receive', async () => {
    const { learner, taken, id } = await enrolled(1)
    payload(await api.complete(learner.token, taken.lesson(1), { idempotencyKey: 'only-mine-3141' }))
    expect(JSON.stringify(await replays(w, id))).not.toContain('only-mine-3141')
  })
})
