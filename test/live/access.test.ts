import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { dismissInstructor } from '../../src/learning/dismissInstructor.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { endSession } from '../../src/identity/endSession.ts'
import { startSession } from '../../src/identity/startSession.ts'
import { hashOf } from '../../src/identity/userAggregate.ts'
import { academy, type Person, system } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { world } from '../world.ts'
import { codes, composed, ENROLLMENT, problems, range, transports, versions, watching } from './client.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)
const few = watching((await serve(w, { LIVE_SUBSCRIPTIONS_PER_USER: '3' })).url)
const { connect, enrollment, course: watchCourse, metric } = watching(api.url)

async function school(lessons = 6) {
  const [learner, instructor, taken] = await Promise.all([person(), person('INSTRUCTOR'), course(lessons)])
  await teach(taken.id, instructor)
  payload(await api.enroll(learner.token, taken.id))
  return { learner, instructor, taken, id: enrollmentOf(learner.id, taken.id) }
}
const dismiss = (courseId: string, { id }: Person, by = commit) =>
  by(dismissInstructor, { actor: system, input: { courseId, userId: id } })
const signOut = ({ id, token }: Person, by = commit) =>
  by(endSession, { actor: system, input: { userId: id, sessionId: hashOf(token).slice(0, 16) } })
/** Another session of the same person. */
async function anotherSession({ id, actor }: Person, lastsMs = 3_600_000): Promise<Person> {
  const token = randomUUID()
  await commit(startSession, {
    actor: system,
    input: { userId: id, tokenHash: hashOf(token), expiresAt: new Date(Date.now() + lastsMs).toISOString() },
  })
  return { id, actor, token }
}

describe.each(transports)('over %s, an enrollment', (over) => {
  test('is watched by its learner, by who teaches its course, and by admins', async () => {
    const { learner, instructor, id } = await school()
    for (const by of [learner, instructor, await person('ADMIN')])
      expect(versions(await enrollment(id, { by, over }).until(1))).toEqual([1])
  })

  test(
    'is as if it did not exist to everybody else, whether it is there or not, and with a cursor ' + 'as without',
    async () => {
      const { learner, taken, id } = await school()
      const [classmate, elsewhere] = [await person(), await school()]
      payload(await api.enroll(classmate.token, taken.id))
      const { cursor } = (await enrollment(id, { by: learner }).until(1))[0]!
      const refusals: unknown[] = []
      for (const by of [classmate, elsewhere.learner, elsewhere.instructor]) {
        for (const [which, after] of [
          [id, undefined],
          [id, cursor],
          [enrollmentOf(learner.id, 'no-such-course'), undefined],
          [enrollmentOf('nobody', taken.id), undefined],
        ] as const) {
          const stream = enrollment(which, { by, over, ...(after && { after }) })
          await stream.end()
          expect(stream.items).toEqual([])
          refusals.push(problems(stream).map(({ message, extensions }) => ({ message, extensions })))
        }
      }
      // nor is it another to those who may see it, if it were there
      for (const by of [learner, await person('ADMIN')]) {
        const stream = enrollment(enrollmentOf(by.id, 'no-such-course'), { by, over })
        await stream.end()
        refusals.push(problems(stream).map(({ message, extensions }) => ({ message, extensions })))
      }
      for (const refusal of refusals)
        expect(refusal).toEqual([
          { message: 'There is no such enrollment, or you may not see it.', extensions: { code: 'NOT_FOUND' } },
        ])
    },
  )

  test('is not for who is not signed in, or is by a token that nobody has', async () => {
    const { id } = await school()
    const stranger = enrollment(id, { over })
    await stranger.end()
    expect([codes(stranger), stranger.items]).toEqual([['UNAUTHENTICATED'], []])
    const liar = enrollment(id, { over, by: { token: 'nobodys' } })
    await liar.end()
    expect([codes(liar), liar.items]).toEqual([[over === 'WebSocket' ? 4401 : 'UNAUTHENTICATED'], []])
  })
})

describe.each(transports)('over %s, an instructor who is dismissed', (over) => {
  test('is told so, and watches the course and its enrollments no longer; colleagues and learner go on', async () => {
    const { learner, instructor, taken, id } = await school()
    const colleague = await person('INSTRUCTOR')
    await teach(taken.id, colleague)
    const [theirs, theirClass] = [
      enrollment(id, { by: instructor, over }),
      watchCourse(taken.id, { by: instructor, over }),
    ]
    const others = [
      enrollment(id, { by: learner, over }),
      enrollment(id, { by: colleague, over }),
      watchCourse(taken.id, { by: colleague, over }),
    ]
    await Promise.all([theirs, theirClass, ...others].map((stream) => stream.until(1)))
    payload(await api.complete(learner.token, taken.lesson(1)))
    await Promise.all([theirs, theirClass].map((stream) => stream.until(2)))
    const refused = await metric('lockstep_live_closed_total{why="refused"}')
    await dismiss(taken.id, instructor)
    await Promise.all([theirs.end(), theirClass.end()])
    for (const stream of [theirs, theirClass])
      expect(problems(stream)).toMatchObject([
        { message: 'You may no longer see this.', extensions: { code: 'FORBIDDEN' } },
      ])
    expect(await metric('lockstep_live_closed_total{why="refused"}')).toBe(refused + 2)
    payload(await api.complete(learner.token, taken.lesson(2)))
    for (const stream of others) expect(await stream.until(3)).toHaveLength(3)
    expect([theirs.items, theirClass.items].map(({ length }) => length)).toEqual([2, 2])
    const again = enrollment(id, { by: instructor, over, after: theirs.items[1]!.cursor })
    await again.end()
    expect(codes(again)).toEqual(['NOT_FOUND'])
  })

  test(
    'is told nothing that is committed after the dismissal, however soon after, and through whichever process ' +
      'either comes',
    async () => {
      const other = w.process().commit
      const rounds = range(1, 48).map(async (round) => {
        const { learner, instructor, taken, id } = await school(4)
        const streams = [enrollment(id, { by: instructor, over }), watchCourse(taken.id, { by: instructor, over })]
        await Promise.all(streams.map((stream) => stream.until(1)))
        const complete = (n: number) =>
          round % 2
            ? api.complete(learner.token, taken.lesson(n)).then(payload)
            : other(completeLesson, {
                actor: learner.actor,
                input: { learnerId: learner.id, lessonId: taken.lesson(n) },
              })
        if (round % 8 > 3) {
          // the first change behind a snapshot is always checked; for those behind it only the guards are left
          payload(await api.complete(learner.token, taken.lesson(4)))
          await Promise.all(streams.map((stream) => stream.until(2)))
        }
        // what comes before may be told or not, and keeps the readers busy
        const before = round % 3 ? complete(1) : undefined
        await dismiss(taken.id, instructor, round % 4 < 2 ? commit : other)
        const { version } = (
          await w.query<{ version: number }>('select version from "Enrollment" where id = $1', [id])
        )[0]!
        await Promise.all([complete(2), complete(3), before])
        await Promise.all(streams.map((stream) => stream.end()))
        const last = (await w.query<{ version: number }>('select version from "Enrollment" where id = $1', [id]))[0]!
        expect(last.version).toBeGreaterThan(version) // there was something to be kept from them
        for (const stream of streams) {
          expect(codes(stream)).toEqual(['FORBIDDEN'])
          for (const told of stream.items.slice(1)) expect(told.version).toBeLessThanOrEqual(version)
        }
      })
      await Promise.all(rounds)
    },
  )

  test('is told nothing of it either if they come back with a cursor in that very moment', async () => {
    for (let round = 0; round < 30; round++) {
      const { learner, instructor, taken, id } = await school(4)
      const { cursor } = (await enrollment(id, { by: instructor }).until(1))[0]!
      payload(await api.complete(learner.token, taken.lesson(1)))
      const stream = enrollment(id, { by: instructor, over, ...(round % 2 && { after: cursor }) })
      await sleep((round % 10) * 2) // anywhere between the connection and the first item
      await dismiss(taken.id, instructor)
      payload(await api.complete(learner.token, taken.lesson(2)))
      await stream.end()
      expect(['FORBIDDEN', 'NOT_FOUND']).toContain(codes(stream)[0])
      for (const told of stream.items) expect(told.version).toBeLessThanOrEqual(2)
    }
  })
})

describe('a session that ends', () => {
  test(
    'ends what is watched in it, and the connection that was signed in with it; another session of the same ' +
      'person goes on',
    async () => {
      const { learner, taken, id } = await school()
      const second = await anotherSession(learner)
      const closes: number[] = []
      const client = connect(learner, { on: { closed: (event) => void closes.push((event as { code: number }).code) } })
      const ended = [
        enrollment(id, { client }),
        enrollment(id, { client }),
        enrollment(id, { by: learner, over: 'server-sent events' }),
      ]
      const goesOn = enrollment(id, { by: second })
      await Promise.all([...ended, goesOn].map((stream) => stream.until(1)))
      await signOut(learner)
      payload(await api.complete(second.token, taken.lesson(1)))
      await Promise.all(ended.map((stream) => stream.end()))
      for (const stream of ended) {
        expect(codes(stream)[0]).toBe('UNAUTHENTICATED')
        expect(versions(stream.items)).toEqual([1])
      }
      await vi.waitUntil(() => closes.length, { timeout: 20_000 })
      expect(closes).toEqual([4401])
      expect(versions(await goesOn.until(2))).toEqual([1, 2])
      const again = enrollment(id, { by: learner, over: 'server-sent events' })
      await again.end()
      expect(codes(again)).toEqual(['UNAUTHENTICATED'])
    },
  )

  test.each(transports)('by itself, when its time is over, does so too, over %s', async (over) => {
    const { learner, id } = await school()
    const brief = await anotherSession(learner, 5_000)
    const stream = enrollment(id, { by: brief, over })
    await stream.until(1)
    await stream.end()
    // the connection may be first
    expect(over === 'WebSocket' ? ['UNAUTHENTICATED', 4401] : ['UNAUTHENTICATED']).toContain(codes(stream)[0])
  })

  test('is told nothing that is committed after it has ended', async () => {
    await Promise.all(
      range(1, 30).map(async (round) => {
        const { learner, taken, id } = await school(4)
        const second = await anotherSession(learner)
        const stream = enrollment(id, { by: learner, over: round % 2 ? 'WebSocket' : 'server-sent events' })
        await stream.until(1)
        await signOut(learner)
        payload(await api.complete(second.token, taken.lesson(1)))
        await stream.end()
        expect(versions(stream.items)).toEqual([1])
      }),
    )
  })
})

test('what the journal tells nothing of, a row that was deleted by hand, is noticed within ten seconds', {
  timeout: 30_000,
}, async () => {
  const [a, b, c, d] = [await school(), await school(), await school(), await school()]
  const bySession = enrollment(a.id, { by: a.learner })
  const byCourse = [
    enrollment(b.id, { by: b.instructor }),
    watchCourse(b.taken.id, { by: b.instructor, over: 'server-sent events' }),
  ]
  const byRole = enrollment(c.id, { by: c.instructor })
  const byUser = enrollment(d.id, { by: d.learner })
  const untouched = [
    enrollment(b.id, { by: b.learner }),
    enrollment(c.id, { by: c.learner }),
    watchCourse(d.taken.id, { by: d.instructor }),
  ]
  await Promise.all([bySession, ...byCourse, byRole, byUser, ...untouched].map((stream) => stream.until(1)))
  const begun = performance.now()
  await w.query('delete from "Session" where "userId" = $1', [a.learner.id])
  await w.query('delete from "CourseInstructor" where "userId" = $1', [b.instructor.id])
  await w.query(`update "User" set role = 'LEARNER' where id = $1`, [c.instructor.id])
  await w.query('delete from "User" where id = $1', [d.learner.id])
  await Promise.all([bySession, ...byCourse, byRole, byUser].map((stream) => stream.end(20_000)))
  expect(performance.now() - begun).toBeLessThan(11_500)
  expect([bySession, byUser].map((stream) => codes(stream)[0])).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED'])
  expect([...byCourse, byRole].map((stream) => codes(stream)[0])).toEqual(['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'])
  expect(untouched.map(({ ended }) => ended)).toEqual([false, false, false])
})

test('how often that is looked for can be told, and each look leaves those who may still see it be', async () => {
  const looks: string[] = []
  const { learner, instructor, taken, id } = await school()
  const parts = composed(w, { recheckMs: 50, watch: { closed: (why) => looks.push(why) } })
  const [theirs, own] = [instructor, learner].map((by) =>
    parts.subscribe(ENROLLMENT, { id: globalId('Enrollment', id) }, by),
  )
  await Promise.all([theirs!.until(1), own!.until(1)])
  await w.query('delete from "CourseInstructor" where "userId" = $1', [instructor.id])
  await theirs!.end(5_000) // by default it would be looked after 10 s
  expect(theirs!.items.at(-1)).toMatchObject({ errors: [{ message: 'You may no longer see this.' }] })
  await parts.commit(completeLesson, {
    actor: learner.actor,
    input: { learnerId: learner.id, lessonId: taken.lesson(1) },
  })
  expect((await own!.until(2)).map(({ data }) => data!.enrollmentUpdates.version)).toEqual([1, 2])
  expect(looks).toEqual(['refused'])
})

test(
  'a look that is under way when the next begins does not decide for it: what came meanwhile is told once and ' +
    'in order',
  async () => {
    const { learner, instructor, taken, id } = await school(1)
    const parts = composed(w, { recheckMs: 5 })
    const streams = [learner, instructor].map((by) =>
      parts.subscribe(ENROLLMENT, { id: globalId('Enrollment', id) }, by),
    )
    await Promise.all(streams.map((stream) => stream.until(1)))
    for (let n = 0; n < 60; n++) {
      const input = { learnerId: learner.id, lessonId: taken.lesson(1) }
      if (n % 2) await parts.commit(resetProgress, { actor: learner.actor, input })
      else await parts.commit(completeLesson, { actor: learner.actor, input })
      if (n % 5 === 0) await taken.revise(1 + (n % 2), {}, [], parts.commit) // a change of the course, which is a guard
      if (n % 7 === 0) await anotherSession(learner)
    }
    const { version } = (await w.query<{ version: number }>('select version from "Enrollment" where id = $1', [id]))[0]!
    for (const stream of streams) {
      await stream.until((items) => items.at(-1)?.data?.enrollmentUpdates.version === version)
      expect(stream.items.map(({ data }) => data!.enrollmentUpdates.version)).toEqual(range(1, version))
    }
  },
)

test.each(transports)(
  'over %s: an enrollment that is deleted by hand and made again is told as another: from its present on',
  async (over) => {
    const { learner, instructor, taken, id } = await school()
    for (const n of [1, 2]) payload(await api.complete(learner.token, taken.lesson(n)))
    const streams = [enrollment(id, { by: instructor, over }), enrollment(id, { by: await person('ADMIN'), over })]
    await Promise.all(streams.map((stream) => stream.until(1)))
    await w.query('delete from "User" where id = $1', [learner.id])
    await w.query('delete from "Event" where "rootId" = any($1)', [[id, learner.id]])
    await w.query(
      `insert into "User" (id, version, name, role, "createdAt") values ($1, 1, 'again', 'LEARNER', now())`,
      [learner.id],
    )
    await commit(enroll, { actor: learner.actor, input: { learnerId: learner.id, courseId: taken.id } })
    for (const n of [1, 2, 3])
      await commit(completeLesson, {
        actor: learner.actor,
        input: { learnerId: learner.id, lessonId: taken.lesson(n) },
      })
    for (const stream of streams) {
      await stream.until((items) => items.at(-1)?.version === 4 && items.length > 1)
      const [before, snapshot, ...changes] = stream.items
      expect(before).toMatchObject({ reason: 'INITIAL', version: 3 })
      expect(snapshot).toMatchObject({ __typename: 'EnrollmentSnapshot', reason: 'HISTORY_REPLACED' })
      expect(versions(changes)).toEqual(range(snapshot!.version + 1, 4))
      expect(changes.map(({ __typename }) => __typename)).toEqual(changes.map(() => 'EnrollmentChange'))
    }
  },
)

test(
  'whoever watches what is deleted by hand and does not come again is told nothing, and whoever comes back, that ' +
    'there is nothing',
  async () => {
    const { learner, instructor, id } = await school()
    const stream = enrollment(id, { by: instructor })
    const { cursor } = (await stream.until(1))[0]!
    await w.query('delete from "User" where id = $1', [learner.id])
    const again = enrollment(id, { by: instructor })
    await again.end()
    expect(codes(again)).toEqual(['NOT_FOUND'])
    await w.query('delete from "Event" where "rootId" = $1', [id])
    const last = enrollment(id, { by: instructor, after: cursor })
    await last.end()
    expect(codes(last)).toEqual(['NOT_FOUND'])
    expect(versions(stream.items)).toEqual([1])
  },
)

test('one user has so many subscriptions at most, over whichever connections; one that ends makes room', async () => {
  const { learner, instructor, id } = await school()
  const streams = range(1, 3).map(() => few.enrollment(id, { by: learner }))
  await Promise.all(streams.map((stream) => stream.until(1)))
  const tooMany = few.enrollment(id, { by: learner })
  await tooMany.end()
  expect(codes(tooMany)[0]).toBe('TOO_MANY_SUBSCRIPTIONS')
  expect(versions(await few.enrollment(id, { by: instructor }).until(1))).toEqual([1])
  streams[0]!.stop()
  await vi.waitUntil(
    async () => {
      const next = few.enrollment(id, { by: learner })
      return next.until(1).then(
        () => true,
        () => false,
      )
    },
    { timeout: 20_000 },
  )
})
