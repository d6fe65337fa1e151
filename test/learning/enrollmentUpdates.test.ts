import { expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { codes, problems, range, transports, versions, watching } from '../live/client.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)
const { connect, enrollment, course: watchCourse, items } = watching(api.url)

/** Somebody in a course of their own. */
async function enrolled(lessons = 3, requires: Record<number, readonly number[]> = {}) {
  const [learner, taken] = await Promise.all([person(), course(lessons, requires)])
  payload(await api.enroll(learner.token, taken.id))
  return { learner, taken, id: enrollmentOf(learner.id, taken.id) }
}

interface Payload {
  readonly version: number
  readonly cursor: string
  readonly replayed: boolean
}
/** A mutation, and the place in the stream that its payload names. */
async function mutate(name: string, input: object, { token }: Person): Promise<Payload> {
  const Name = name[0]!.toUpperCase() + name.slice(1)
  const document = `mutation ($input: ${Name}Input!) { ${name}(input: $input) { __typename ... on ${Name}Payload {
    version cursor replayed } ... on DomainError { code message } } }`
  const { data } = await api.ask<Record<string, Payload & { __typename: string }>, object>(document, { input }, token)
  return payload(data[name]!)
}

test.each(transports)(
  'over %s: the present comes first, then each kind of change once, in order, as it was committed and by whom',
  async (over) => {
    const [{ learner, taken, id }, admin] = await Promise.all([enrolled(3), person('ADMIN')])
    const stream = enrollment(id, { by: learner, over })
    await stream.until(1)
    const begun = Date.now()
    payload(await api.open(learner.token, taken.lesson(1)))
    payload(await api.content(learner.token, taken.item(1)))
    payload(await api.content(learner.token, taken.item(2, 2))) // begins the lesson too
    for (const n of [1, 2, 3]) payload(await api.complete(learner.token, taken.lesson(n)))
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    await taken.revise(4)
    await stream.until(11) // nobody asked for it: it follows from the course
    payload(await api.reset(admin.token, id))
    payload(await api.complete(learner.token, taken.lesson(4)))
    await stream.until(13)

    const [first, ...changes] = stream.items
    expect(first).toMatchObject({
      __typename: 'EnrollmentSnapshot',
      reason: 'INITIAL',
      version: 1,
      enrollment: { version: 1, completedLessonCount: 0, lessonCount: 3 },
      progress: [],
    })
    const at = (n: number, status: string) => ({ id: globalId('LessonProgress', `${id}~${taken.lesson(n)}`), status })
    const item = (n: number, m: number) => globalId('ContentItem', taken.item(n, m))
    const told = changes.map(
      ({
        kind,
        actorId,
        contentItemId,
        lessonProgress: lesson,
        enrollment: { completedLessonCount: completed, lessonCount: total, percent },
      }) => [...[kind, actorId, contentItemId, lesson], `${completed}/${total} ${percent}%`],
    )
    const [they, somebody] = [globalId('User', learner.id), globalId('User', admin.id)]
    expect(told).toEqual([
      ['LESSON_OPENED', they, null, at(1, 'IN_PROGRESS'), '0/3 0%'],
      ['CONTENT_COMPLETED', they, item(1, 1), at(1, 'IN_PROGRESS'), '0/3 0%'],
      ['LESSON_OPENED', they, null, at(2, 'IN_PROGRESS'), '0/3 0%'],
      ['CONTENT_COMPLETED', they, item(2, 2), at(2, 'IN_PROGRESS'), '0/3 0%'],
      ['LESSON_COMPLETED', they, null, at(1, 'COMPLETED'), '1/3 33%'],
      ['LESSON_COMPLETED', they, null, at(2, 'COMPLETED'), '2/3 66%'],
      ['LESSON_COMPLETED', they, null, at(3, 'COMPLETED'), '3/3 100%'],
      ['COURSE_COMPLETED', they, null, null, '3/3 100%'],
      ['LESSON_RESET', they, null, at(1, 'NOT_STARTED'), '2/3 66%'],
      ['COURSE_CHANGED', null, null, null, '2/4 50%'],
      ['ENROLLMENT_RESET', somebody, null, null, '0/4 0%'],
      ['LESSON_COMPLETED', they, null, at(4, 'COMPLETED'), '1/4 25%'],
    ])
    expect(versions(changes)).toEqual(range(2, 13))
    expect(changes.map(({ enrollment }) => enrollment.version)).toEqual(range(2, 13))
    expect(new Set(changes.map(({ cursor }) => cursor)).size).toBe(12)
    const times = changes.map(({ occurredAt }) => Date.parse(occurredAt!))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(times[0]).toBeGreaterThanOrEqual(begun)
    expect((await w.history('Enrollment', id)).slice(1).map(({ at }) => at.getTime())).toEqual(times)
    expect(stream).toMatchObject({ errors: [], ended: false })
  },
)

test(
  'a snapshot is whole: the enrollment and its lessons are of the one version that it names, whatever is changed ' +
    'meanwhile',
  async () => {
    const { learner, taken, id } = await enrolled(8)
    let over = false
    const writing = Promise.all(
      range(1, 8).map(async (n) => {
        while (!over) {
          payload(await api.complete(learner.token, taken.lesson(n)))
          payload(await api.resetLesson(learner.token, taken.lesson(n)))
        }
      }),
    )
    const seen = new Set<number>()
    for (let round = 0; round < 40; round++) {
      const stream = enrollment(id, { by: learner })
      const [first, next] = await stream.until(2)
      const { version, enrollment: shown, progress } = first!
      expect(shown.version).toBe(version)
      expect(progress!.filter(({ status }) => status === 'COMPLETED')).toHaveLength(shown.completedLessonCount)
      expect(next).toMatchObject({ __typename: 'EnrollmentChange', version: version + 1 })
      seen.add(version)
      stream.stop()
    }
    over = true
    await writing
    expect(seen.size).toBeGreaterThan(10)
  },
)

test.each(transports)(
  'over %s: whoever comes back with a cursor is told what they missed and what comes, and no snapshot',
  async (over) => {
    const { learner, taken, id } = await enrolled(6)
    for (const n of [1, 2, 3]) payload(await api.complete(learner.token, taken.lesson(n)))
    const before = enrollment(id, { by: learner })
    const { cursor: present } = (await before.until(1))[0]!
    payload(await api.complete(learner.token, taken.lesson(4)))
    payload(await api.complete(learner.token, taken.lesson(5)))
    const { cursor: last } = (await before.until(3))[2]!

    const [again, none] = [
      enrollment(id, { by: learner, over, after: present }),
      enrollment(id, { by: learner, over, after: last }),
    ]
    expect(versions(await again.until(2))).toEqual([5, 6])
    payload(await api.complete(learner.token, taken.lesson(6)))
    expect(versions(await again.until(4))).toEqual([5, 6, 7, 8])
    expect(versions(await none.until(2))).toEqual([7, 8])
    expect(again.items.map(({ __typename }) => __typename)).toEqual(Array(4).fill('EnrollmentChange'))
    expect(again.items).toEqual(before.items.slice(1).concat(again.items.slice(2)).slice(0, 4))
    for (const after of [null, undefined])
      expect((await enrollment(id, { by: learner, over, after }).until(1))[0]).toMatchObject({
        reason: 'INITIAL',
        version: 8,
      })
  },
)

test('each item’s cursor can be resumed from: the same rest follows', async () => {
  const { learner, taken, id } = await enrolled(6, { 2: [1] })
  const stream = enrollment(id, { by: learner })
  await stream.until(1)
  for (const n of range(1, 6)) payload(await api.complete(learner.token, taken.lesson(n)))
  payload(await api.content(learner.token, taken.item(6)))
  const all = await stream.until(9)
  for (const [i, { cursor }] of all.entries()) {
    const rest = enrollment(id, { by: learner, after: cursor })
    if (i < all.length - 1) expect(await rest.until(all.length - 1 - i)).toEqual(all.slice(i + 1))
  }
})

test(
  'the cursor in a mutation’s payload is after its change: resuming from it sends what follows, for each ' + 'mutation',
  async () => {
    const [learner, taken] = await Promise.all([person(), course(3)])
    const id = enrollmentOf(learner.id, taken.id)
    const input = { lessonId: globalId('Lesson', taken.lesson(1)) }
    const asked: [string, object][] = [
      ['enroll', { courseId: globalId('Course', taken.id) }],
      ['openLesson', input],
      ['completeContent', { contentItemId: globalId('ContentItem', taken.item(1)) }],
      ['completeLesson', input],
      ['resetProgress', { target: input }],
    ]
    const payloads: Payload[] = []
    for (const [name, input] of asked) payloads.push(await mutate(name, input, learner))
    expect(payloads.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5])
    payload(await api.complete(learner.token, taken.lesson(2)))
    for (const { cursor, version } of payloads)
      expect(versions(await enrollment(id, { by: learner, after: cursor }).until(6 - version))).toEqual(
        range(version + 1, 6),
      )
  },
)

test('a change with the version of a mutation’s payload is that mutation’s own', async () => {
  const { learner, taken, id } = await enrolled(20)
  const stream = enrollment(id, { by: learner })
  await stream.until(1)
  const made = await Promise.all(
    range(1, 20).map(async (n) => ({
      n,
      ...(await mutate('completeLesson', { lessonId: globalId('Lesson', taken.lesson(n)) }, learner)),
    })),
  )
  await stream.until((items) => made.every(({ version }) => items.some((item) => item.version === version)))
  for (const { n, version, cursor } of made) {
    // the last of them also completed the course, which is a change of its own and its last
    const own =
      stream.items.find((item) => item.version === version && item.kind === 'LESSON_COMPLETED') ??
      stream.items.find((item) => item.version === version - 1)
    expect(own).toMatchObject({
      kind: 'LESSON_COMPLETED',
      lessonProgress: { id: globalId('LessonProgress', `${id}~${taken.lesson(n)}`), status: 'COMPLETED' },
    })
    expect(stream.items.find((item) => item.version === version)!.cursor).toBe(cursor)
  }
})

test(
  'a replayed mutation returns the cursor that it returned the first time; one that changes nothing returns the ' +
    'present one',
  async () => {
    const { learner, taken, id } = await enrolled(4)
    const input = { lessonId: globalId('Lesson', taken.lesson(1)), idempotencyKey: 'once' }
    const first = await mutate('completeLesson', input, learner)
    for (const n of [2, 3]) payload(await api.complete(learner.token, taken.lesson(n)))
    const again = await mutate('completeLesson', input, learner)
    expect([first, again]).toEqual([
      { __typename: 'CompleteLessonPayload', version: 2, cursor: first.cursor, replayed: false },
      { __typename: 'CompleteLessonPayload', version: 2, cursor: first.cursor, replayed: true },
    ])
    expect(versions(await enrollment(id, { by: learner, after: again.cursor }).until(2))).toEqual([3, 4])

    const idle = await mutate('completeLesson', { lessonId: globalId('Lesson', taken.lesson(2)) }, learner)
    expect(idle.version).toBe(4)
    const stream = enrollment(id, { by: learner, after: idle.cursor })
    payload(await api.resetLesson(learner.token, taken.lesson(1)))
    expect(versions(await stream.until(1))).toEqual([5])
  },
)

const crafted = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')

test.each(transports)(
  'over %s: a cursor of something else is INVALID_INPUT, one that is none is BAD_REQUEST, and nothing is told',
  async (over) => {
    const [one, other, instructor] = await Promise.all([enrolled(), enrolled(), person('INSTRUCTOR')])
    await teach(one.taken.id, instructor)
    const cursorOf = async (stream: ReturnType<typeof enrollment>) => (await stream.until(1))[0]!.cursor
    const foreign = [
      await cursorOf(enrollment(other.id, { by: other.learner })),
      await cursorOf(watchCourse(one.taken.id, { by: instructor })),
    ]
    for (const after of foreign) {
      const stream = enrollment(one.id, { by: one.learner, over, after })
      await stream.end()
      expect(problems(stream)).toMatchObject([
        { message: expect.stringContaining('a cursor of something else'), extensions: { code: 'INVALID_INPUT' } },
      ])
      expect(stream.items).toEqual([])
    }
    const [, epoch] = JSON.parse(Buffer.from(foreign[0]!, 'base64url').toString()) as [number, string]
    const garbage: unknown[] = [
      '',
      'x',
      'null',
      '[]',
      crafted(1),
      crafted(3, epoch, 'Enrollment', one.id, 1),
      7,
      true,
      ['x'],
      { x: 1 },
      'x'.repeat(70_000),
    ]
    garbage.push(...[-1, 1.5, '1', null, 2 ** 31].map((version) => crafted(1, epoch, 'Enrollment', one.id, version)))
    garbage.push(
      crafted(2, epoch, `Course:${one.taken.id}`, '1:2', '1:2:', null),
      crafted(1, epoch, 'Enrollment', one.id, 1, 'more'),
    )
    for (const after of garbage) {
      const stream = enrollment(one.id, { by: one.learner, over, after: after as string })
      await stream.end()
      expect([after, codes(stream), stream.items]).toEqual([after, ['BAD_REQUEST'], []])
    }
  },
)

test('a cursor of another epoch, or ahead of the history, gets the present state, marked as such', async () => {
  const { learner, taken, id } = await enrolled()
  payload(await api.complete(learner.token, taken.lesson(1)))
  const { cursor } = await mutate('openLesson', { lessonId: globalId('Lesson', taken.lesson(2)) }, learner)
  const [, epoch] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [number, string]
  for (const after of [crafted(1, 'elsewhr', 'Enrollment', id, 2), crafted(1, epoch, 'Enrollment', id, 4)]) {
    const stream = enrollment(id, { by: learner, after })
    expect((await stream.until(1))[0]).toMatchObject({
      __typename: 'EnrollmentSnapshot',
      reason: 'HISTORY_REPLACED',
      version: 3,
      enrollment: { completedLessonCount: 1 },
    })
    stream.stop()
  }
})

test.each(transports)(
  'over %s: an enrollmentId that is none is INVALID_INPUT, and an operation that the schema does not allow is ' +
    'not begun',
  async (over) => {
    const { learner, taken } = await enrolled()
    for (const id of ['x', globalId('Course', taken.id), globalId('Enrollment', 'a b'), globalId('Enrollment', '')]) {
      const stream = items(
        'subscription ($id: ID!) { enrollmentUpdates(enrollmentId: $id) { __typename } }',
        { id },
        { by: learner, over },
      )
      await stream.end()
      expect([id, codes(stream)]).toEqual([id, ['INVALID_INPUT']])
    }
    for (const query of [
      'subscription { enrollmentUpdates { __typename } }',
      'subscription { nothing }',
      'subscription { enrollmentUpdates(enrollmentId: "x") }',
    ]) {
      const stream = items(query, {}, { by: learner, over })
      await stream.end()
      expect([...new Set(codes(stream))]).toEqual(['GRAPHQL_VALIDATION_FAILED'])
    }
  },
)

test('many subscriptions share one connection, and the others go on when one ends', async () => {
  const [a, b] = [await enrolled(5), await course(5)]
  payload(await api.enroll(a.learner.token, b.id))
  const other = enrollmentOf(a.learner.id, b.id)
  const client = connect(a.learner)
  const streams = [a.id, other, a.id, other].map((id) => enrollment(id, { client }))
  await Promise.all(streams.map((stream) => stream.until(1)))
  streams[0]!.stop()
  for (const n of range(1, 4))
    for (const { lesson } of [a.taken, b]) payload(await api.complete(a.learner.token, lesson(n)))
  const told = await Promise.all(streams.slice(1).map((stream) => stream.until(5)))
  expect(told.map(versions)).toEqual([range(1, 5), range(1, 5), range(1, 5)])
  expect(told.map(([{ enrollment } = { enrollment: { id: '' } }]) => enrollment.id)).toEqual(
    [other, a.id, other].map((id) => globalId('Enrollment', id)),
  )
  expect(versions(streams[0]!.items)).toEqual([1])
})
