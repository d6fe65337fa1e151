import { expect, test } from 'vitest'
import { assignInstructor } from '../../src/learning/assignInstructor.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy, type Person, system } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { type Learner, learners } from '../classroom.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'
import { codes, problems, range, type Told, transports, watching } from '../live/client.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)
const { enrollment, course: watch, items } = watching(api.url)

/** A class and who teaches it. */
async function school(lessons = 4) {
  const [instructor, taken] = await Promise.all([person('INSTRUCTOR'), course(lessons)])
  await teach(taken.id, instructor)
  const enroll = async (learner: Person) => {
    payload(await api.enroll(learner.token, taken.id))
    return learner
  }
  return { instructor, taken, enroll }
}

/** The changes, by enrollment, in the order in which they came. */
function byEnrollment(told: readonly Told[]) {
  const all: Record<string, number[]> = {}
  for (const { __typename, enrollment, version } of told)
    if (__typename === 'CourseChange') (all[localIdOf(enrollment.id)] ??= []).push(version)
  return all
}

/** The history of each enrollment of a course, beyond what a snapshot has told. */
async function history(courseId: string) {
  const rows = await w.query<{ id: string; versions: number[] }>(
    `select "rootId" as id, array_agg(version order by version) as versions from "Event"
      where "rootType" = 'Enrollment' and topic = $1 group by 1`,
    [`Course:${courseId}`],
  )
  return Object.fromEntries(rows.map(({ id, versions }) => [id, versions]))
}

test.each(transports)(
  'over %s: a class begins with its counts, then tells each change of each enrollment, from the first on',
  async (over) => {
    const { instructor, taken, enroll } = await school(3)
    const [a, b, c] = [await enroll(await person()), await enroll(await person()), await person()]
    for (const n of [1, 2, 3]) payload(await api.complete(a.token, taken.lesson(n)))
    payload(await api.complete(b.token, taken.lesson(1)))
    const stream = watch(taken.id, { by: instructor, over })
    expect((await stream.until(1))[0]).toEqual({
      ...{ __typename: 'CourseSnapshot', reason: 'INITIAL', cursor: expect.any(String) },
      ...{ learnerCount: 2, completedLearnerCount: 1, percent: 66, changeCount: 7 }, // 4 of 6
    })
    await enroll(c)
    payload(await api.content(c.token, taken.item(2)))
    payload(await api.resetLesson(a.token, taken.lesson(2)))
    const changes = (await stream.until(5)).slice(1)
    const about = (person: Person) => ({
      enrollment: { id: globalId('Enrollment', enrollmentOf(person.id, taken.id)) },
      actorId: globalId('User', person.id),
    })
    expect(changes).toMatchObject([
      {
        __typename: 'CourseChange',
        kind: 'ENROLLED',
        version: 1,
        lessonProgress: null,
        contentItemId: null,
        ...about(c),
      },
      { kind: 'LESSON_OPENED', version: 2, ...about(c) },
      {
        kind: 'CONTENT_COMPLETED',
        version: 3,
        contentItemId: globalId('ContentItem', taken.item(2)),
        lessonProgress: { status: 'IN_PROGRESS' },
        ...about(c),
      },
      { kind: 'LESSON_RESET', version: 6, lessonProgress: { status: 'NOT_STARTED' }, ...about(a) },
    ])
    expect(changes.at(-1)!.enrollment).toMatchObject({ completedLessonCount: 2, lessonCount: 3, percent: 66 })
    expect((await watch(taken.id, { by: instructor, over }).until(1))[0]).toMatchObject({
      learnerCount: 3,
      completedLearnerCount: 0,
      percent: 33,
    }) // 3 of 9
  },
)

test(
  'a course without enrollments has an empty class; changes of the course are not sent, later changes of its ' +
    'learners are',
  async () => {
    const { instructor, taken, enroll } = await school(2)
    const stream = watch(taken.id, { by: instructor })
    expect((await stream.until(1))[0]).toMatchObject({
      reason: 'INITIAL',
      learnerCount: 0,
      completedLearnerCount: 0,
      percent: 0,
    })
    await teach(taken.id, await person('INSTRUCTOR'))
    await taken.revise(3)
    const learner = await enroll(await person())
    await taken.revise(4)
    await stream.until(3)
    payload(await api.complete(learner.token, taken.lesson(1)))
    expect(
      (await stream.until(4))
        .slice(1)
        .map(({ kind, version, actorId, enrollment: { lessonCount } }) => [kind, version, actorId, lessonCount]),
    ).toEqual([
      ['ENROLLED', 1, globalId('User', learner.id), 3],
      ['COURSE_CHANGED', 2, null, 4],
      ['LESSON_COMPLETED', 3, globalId('User', learner.id), 4],
    ])
    expect((await w.history('Course', taken.id)).map(({ topic }) => topic)).toEqual(Array(5).fill(`Course:${taken.id}`))
  },
)

const ChangeCount = graphql(`
  query ChangeCount($id: ID!) { course(id: $id) { changeCount } }
`)

test('a class proves that it missed nothing: its snapshot’s count and what came since make the course’s', async () => {
  const { instructor, taken, enroll } = await school(3)
  const members = [await enroll(await person()), await enroll(await person())]
  payload(await api.complete(members[0]!.token, taken.lesson(1)))
  const stream = watch(taken.id, { by: instructor })
  const [snapshot] = await stream.until(1)
  expect(snapshot!.changeCount).toBe(3) // two enrolled, and one has completed a lesson
  await Promise.all(
    [1, 2, 3].flatMap((n) => members.map(({ token }) => api.complete(token, taken.lesson(n)).then(payload))),
  )
  const counted = async (token: string) =>
    (await api.get(ChangeCount, { id: globalId('Course', taken.id) }, token)).course!.changeCount
  const count = await counted(instructor.token)
  expect(count).toBe(10) // 5 lessons and 2 completions of the course since the snapshot
  const items = await stream.until(8)
  expect(snapshot!.changeCount! + items.length - 1).toBe(count)
  for (const { version, enrollment } of items.slice(1)) expect(version).toBe(enrollment.version)
})

test('how many changes a class had is for its instructors and admins', async () => {
  const { taken, enroll } = await school(1)
  const learner = await enroll(await person())
  const { data, errors } = await api.ask(ChangeCount, { id: globalId('Course', taken.id) }, learner.token)
  expect(data).toEqual({ course: { changeCount: null } })
  expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
})

test('the class and the enrollment itself send the same change, except for its cursor and type', async () => {
  const { instructor, taken, enroll } = await school(3)
  const learner = await enroll(await person())
  const [ofClass, own] = [
    watch(taken.id, { by: instructor }),
    enrollment(enrollmentOf(learner.id, taken.id), { by: learner }),
  ]
  await Promise.all([ofClass.until(1), own.until(1)])
  for (const n of [1, 2, 3]) payload(await api.complete(learner.token, taken.lesson(n)))
  payload(await api.reset(learner.token, enrollmentOf(learner.id, taken.id)))
  const plain = (told: Told[]) => told.slice(1).map(({ cursor: _, __typename, ...rest }) => rest)
  expect(plain(await ofClass.until(6))).toEqual(plain(await own.until(6)))
})

test('each enrollment’s changes come once and in order, however many happen at once', async () => {
  const { instructor, taken } = await school(6)
  const early = watch(taken.id, { by: instructor })
  await early.until(1)
  const all = await learners(w, commit, 30, taken)
  const work = all.flatMap((learner) =>
    range(1, 6).map((n) => learner.complete(n).then(() => (n % 2 ? learner.complete(n) : undefined))),
  )
  const late = watch(taken.id, { by: instructor }) // comes while it goes on
  await Promise.all([...work, late.until(1)])
  await early.until(1 + 30 * 8) // enrolled, six lessons, the course
  expect(byEnrollment(early.items)).toEqual(await history(taken.id))
  expect(early.items).toHaveLength(1 + 30 * 8)

  const [learner] = all as [(typeof all)[0]]
  await learner.reset()
  await late.until((items) =>
    items.some(
      ({ version, enrollment }) => version === 9 && enrollment?.id === globalId('Enrollment', learner.enrollmentId),
    ),
  )
  const whole = await history(taken.id)
  const rest = byEnrollment(late.items)
  for (const [id, versions] of Object.entries(rest)) expect(versions).toEqual(whole[id]!.slice(-versions.length))
})

test('resuming a class from any cursor, over many enrollments, misses nothing and repeats nothing', async () => {
  const { instructor, taken } = await school(5)
  const stream = watch(taken.id, { by: instructor })
  await stream.until(1)
  const all = await learners(w, commit, 12, taken)
  await Promise.all(all.flatMap((learner) => range(1, 5).map((n) => learner.complete(n))))
  const told = await stream.until(1 + 12 * 7)
  const whole = await history(taken.id)
  // cursors from everywhere: the snapshot's, and those within what was committed at once
  for (const i of [0, 1, 2, 7, 12, 13, 25, 40, 41, 60, 83]) {
    const again = watch(taken.id, { by: instructor, after: told[i]!.cursor })
    await again.until(told.length - 1 - i)
    const before = byEnrollment(told.slice(0, i + 1))
    const after = byEnrollment(again.items)
    for (const [id, versions] of Object.entries(whole))
      expect([...(before[id] ?? []), ...(after[id] ?? [])]).toEqual(versions)
    expect(again.items.every(({ __typename }) => __typename === 'CourseChange')).toBe(true)
    again.stop()
  }
})

test('resuming every few items while the class is busy delivers each change once', async () => {
  const { instructor, taken } = await school(6)
  const all = 1 + 20 * 8
  const first = watch(taken.id, { by: instructor })
  const held = (await first.until(1)).slice()
  first.stop()
  const working = learners(w, commit, 20, taken).then((each) =>
    Promise.all(each.flatMap((learner) => range(1, 6).map((n) => learner.complete(n)))),
  )
  for (let round = 0; held.length < all; round++) {
    const stream = watch(taken.id, { by: instructor, after: held.at(-1)!.cursor })
    const wanted = Math.min(1 + (round % 9), all - held.length)
    await stream.until(wanted)
    stream.stop()
    held.push(...stream.items.slice(0, wanted)) // what also came, they never saw
  }
  await working
  expect(byEnrollment(held)).toEqual(await history(taken.id))
})

test(
  'a change that a snapshot includes is not sent after it, nor after resuming from the first change that ' +
    'followed it',
  async () => {
    for (let round = 0; round < 3; round++) {
      const { instructor, taken } = await school()
      await watch(taken.id, { by: instructor }).until(1) // the class is listened to from before
      // by a process that rings nobody here, so that they are news for a second
      const [a, b] = (await learners(w, commit, 2, taken)) as [Learner, Learner]
      const stream = watch(taken.id, { by: instructor })
      expect((await stream.until(1))[0]).toMatchObject({ learnerCount: 2 })
      await a.complete(1) // in the journal's order between the two that were counted
      const { cursor } = (await stream.until(2))[1]!
      const again = watch(taken.id, { by: instructor, after: cursor })
      await b.complete(1)
      await Promise.all(
        [stream, again].map((each) =>
          each.until((items) =>
            items.some(
              ({ version, enrollment }) => version === 2 && enrollment?.id === globalId('Enrollment', b.enrollmentId),
            ),
          ),
        ),
      )
      expect(byEnrollment(stream.items)).toEqual({ [a.enrollmentId]: [2], [b.enrollmentId]: [2] })
      expect(byEnrollment(again.items)).toEqual({ [b.enrollmentId]: [2] })
    }
  },
)

test.each(transports)(
  'over %s: a class is for those who teach it and for admins; to all others it is as if there were none',
  async (over) => {
    const { instructor, taken, enroll } = await school()
    const [learner, admin, elsewhere, other] = [
      await enroll(await person()),
      await person('ADMIN'),
      await person('INSTRUCTOR'),
      await school(),
    ]
    await teach(other.taken.id, elsewhere)
    // who is no instructor by role teaches nobody
    await commit(assignInstructor, { actor: system, input: { courseId: taken.id, userId: learner.id } })
    for (const by of [instructor, admin])
      expect((await watch(taken.id, { by, over }).until(1))[0]).toMatchObject({ learnerCount: 1 })
    for (const by of [learner, elsewhere, other.instructor]) {
      const [theirs, none] = [watch(taken.id, { by, over }), watch('no-such-course', { by, over })]
      await Promise.all([theirs.end(), none.end()])
      expect(problems(theirs)).toMatchObject([
        { message: 'There is no such course, or you do not teach it.', extensions: { code: 'NOT_FOUND' } },
      ])
      expect(problems(none)).toEqual(problems(theirs))
      expect([theirs.items, none.items]).toEqual([[], []])
    }
    const stranger = watch(taken.id, { over })
    await stranger.end()
    expect(codes(stranger)).toEqual(['UNAUTHENTICATED'])
    const nothing = watch('no-such-course', { by: admin, over })
    await nothing.end()
    expect(problems(nothing)).toMatchObject([
      { message: 'There is no such course, or you do not teach it.', extensions: { code: 'NOT_FOUND' } },
    ])
  },
)

test.each(transports)('over %s: a cursor of an enrollment or of another class is INVALID_INPUT', async (over) => {
  const [one, other] = await Promise.all([school(), school()])
  const learner = await one.enroll(await person())
  const [[theirs], [own]] = await Promise.all([
    watch(other.taken.id, { by: other.instructor }).until(1),
    enrollment(enrollmentOf(learner.id, one.taken.id), { by: learner }).until(1),
  ])
  for (const { cursor } of [theirs!, own!]) {
    const stream = watch(one.taken.id, { by: one.instructor, after: cursor, over })
    await stream.end()
    expect([codes(stream), stream.items]).toEqual([['INVALID_INPUT'], []])
  }
  const wrong = items(
    'subscription ($id: ID!) { courseUpdates(courseId: $id) { __typename } }',
    { id: own!.enrollment.id },
    { by: one.instructor, over },
  )
  await wrong.end()
  expect(codes(wrong)).toEqual(['INVALID_INPUT'])
})
