import { beforeEach, describe, expect, test, vi } from 'vitest'
import { academy, type TestCourse } from '../academy.ts'
import { learners, outsiders, patience, pending, recorded } from '../classroom.ts'
import { expectWhole } from '../whole.ts'
import { outcome, race, world } from '../world.ts'

const w = await world()
const { outsider, gate, holds, blocked, untilBlocked } = await outsiders(w)

describe.each(['read-committed', 'repeatable-read'] as const)('%s', (isolation) => {
  const { commit, record } = recorded(w, { isolation, lockTimeoutMs: 10_000, statementTimeoutMs: 20_000 })
  const hasty = recorded(w, { isolation, lockTimeoutMs: 250 }, { queueMs: 400 })
  const brief = w.process({ isolation, lockTimeoutMs: 1_000 }) // all others are through before two of these are over
  const school = academy(commit)
  let course: TestCourse
  beforeEach(async () => {
    course = await school.course(6)
    record.clear()
    hasty.record.clear()
  })
  const learn = async (count: number, options = {}) => {
    const all = await learners(w, commit, count, course, options)
    record.clear()
    return all
  }

  test.each([1, 60])('%i callers of a held root wait, and no others', async (callers) => {
    const [stuck, ...free] = await learn(13)
    const holder = await holds([stuck!.enrollmentId])
    const late = Array.from({ length: callers }, (_, i) => stuck!.complete(1 + (i % 5)))
    const waiting = pending(late)
    await untilBlocked()
    for (let lesson = 1; lesson <= 5; lesson++) await Promise.all(free.map((learner) => learner.complete(lesson)))
    expect(waiting.count).toBe(callers)
    expect(await blocked()).toHaveLength(1) // all callers of a root together use one connection
    await holder.end()
    expect((await Promise.all(late)).map(({ version }) => version)).toEqual(late.map((_, i) => Math.min(i, 4) + 2))
    await expectWhole(w, stuck!.enrollmentId)
    await stuck!.reset() // and the root works as before
    expect(record.failures).toEqual([])
  })

  test('of 60 held roots, eight wait on a connection, and they do not delay other roots', async () => {
    const all = await learn(70)
    const [stuck, free] = [all.slice(0, 60), all.slice(60)]
    const holder = await holds(stuck.map(({ enrollmentId }) => enrollmentId))
    const late = stuck.map((learner) => learner.complete(1))
    const waiting = pending(late)
    await untilBlocked(8)
    for (let lesson = 1; lesson <= 5; lesson++) {
      await Promise.all(free.map((learner) => learner.complete(lesson)))
      expect(await blocked()).toHaveLength(8)
    }
    const [busy] = await w.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity
        where datname = current_database() and application_name = 'lockstep' and state <> 'idle'`,
    )
    expect(busy!.count).toBe(8)
    expect(waiting.count).toBe(60)
    await holder.end()
    expect((await Promise.all(late)).map(({ version }) => version)).toEqual(Array(60).fill(2))
  })

  test('requests that share a batch with a held root are committed at once', async () => {
    const all = await learn(10)
    const holder = await holds([all[4]!.enrollmentId])
    const late = pending([all[4]!.complete(1)])
    await Promise.all(all.flatMap((learner, i) => (i === 4 ? [] : [learner.complete(1)])))
    expect(late.count).toBe(1)
    expect(record.sizes[0]).toBe(10)
    await holder.end()
    await vi.waitFor(() => expect(late.count).toBe(0), patience)
  })

  test('later requests for a held root do not overtake earlier ones', async () => {
    const [stuck] = await learn(1)
    const holder = await holds([stuck!.enrollmentId])
    const late: Promise<{ version: number }>[] = []
    for (let i = 0; i < 6; i++) {
      late.push(i % 2 ? stuck!.reset() : stuck!.complete(1))
      if (i === 2) await untilBlocked()
    }
    await holder.end()
    expect((await Promise.all(late)).map(({ version }) => version)).toEqual([2, 3, 4, 5, 6, 7])
  })

  test('nor do they if the batch is split between the two', async () => {
    // A rejected request lies between two of one root. The root is held until the first half is done; gate 3 stops the
    // second half.
    const [stuck, bad, ...others] = await learn(4)
    await w.query(`create sequence second`)
    await w.query(`create function rejected() returns trigger language plpgsql as $$ begin
      if new."enrollmentId" = '${bad!.enrollmentId}' then
        if nextval('second') > 1 then perform pg_advisory_xact_lock_shared(3); end if;
        raise exception 'rejected' using errcode = 'ZZ001';
      end if;
      return new; end $$`)
    await w.query(`create trigger rejected before insert on "LessonProgress" for each row execute function rejected()`)
    try {
      const shut = await gate(3)
      const holder = await holds([stuck!.enrollmentId])
      const asked = [
        () => stuck!.complete(1),
        () => others[0]!.complete(1),
        () => bad!.complete(1),
        () => stuck!.reset(),
      ] as const
      const answers = race<{ version: number } | Error>(4, (i) => outcome<{ version: number }>(asked[i]!()))
      await shut.reached()
      expect(record.sizes).toEqual([2]) // the first half
      await holder.end()
      await shut.open()
      expect(await answers).toMatchObject([{ version: 2 }, { version: 2 }, expect.any(Error), { version: 3 }])
      expect((await expectWhole(w, stuck!.enrollmentId)).map(({ kind }) => kind)).toEqual([
        'enrolled',
        'lessonCompleted',
        'enrollmentReset',
      ])
    } finally {
      await w.query('drop trigger rejected on "LessonProgress"')
      await w.query('drop function rejected')
      await w.query('drop sequence second')
    }
  })

  test.each([1, 60])('requests for %i held roots are Busy in bounded time, and can be sent again', async (roots) => {
    const all = await learn(roots)
    const holder = await holds(all.map(({ enrollmentId }) => enrollmentId))
    const began = performance.now()
    const answers = await Promise.all(
      all.map((learner) => outcome(learner.complete(1, { by: hasty.commit, key: learner.id }))),
    )
    expect(performance.now() - began).toBeLessThan(6_000)
    for (const answer of answers)
      expect(answer).toMatchObject({ name: 'Busy', code: 'BUSY', retryAfterMs: expect.any(Number) })
    expect(hasty.record.times('lock-wait')).toBeGreaterThan(0)
    await holder.end()
    const again = await Promise.all(all.map((learner) => learner.complete(1, { by: hasty.commit, key: learner.id })))
    expect(again.map(({ version, replayed }) => [version, replayed])).toEqual(all.map(() => [2, false]))
    expect(await blocked()).toEqual([])
  })

  test('however many callers a held root has, all are Busy in the time of one wait', async () => {
    const crowded = recorded(w, { isolation, lockTimeoutMs: 250 }, { queueMs: 600_000 })
    const [stuck] = await learn(1)
    const holder = await holds([stuck!.enrollmentId])
    const answers = await Promise.all(
      Array.from({ length: 400 }, () => outcome(stuck!.complete(1, { by: crowded.commit }))),
    )
    expect(answers.filter((answer) => 'code' in answer && answer.code === 'BUSY')).toHaveLength(400)
    expect(crowded.record.times('gave-up')).toBe(1) // a batch is 128 at most; the requests behind it did not wait again
    await holder.end()
    expect(await stuck!.complete(1, { by: crowded.commit })).toMatchObject({ version: 2 })
  })

  test('a session that only refers to a root, as the insert of a child does, delays nobody', async () => {
    const all = await learn(3)
    const holder = await holds(
      all.map(({ enrollmentId }) => enrollmentId),
      'key share',
    )
    await Promise.all(all.map((learner) => learner.complete(1)))
    for (const [i, learner] of all.entries()) await learner.complete(2 + i)
    expect(record.met).toEqual({})
    expect(record.sizes[0]).toBe(3)
    await holder.end()
  })

  test('nor does a commit delay the insert of a child of its root', async () => {
    const [learner] = await learn(1)
    const shut = await gate()
    const completion = learner!.complete(1) // has written the root, and waits at the gate
    await shut.reached()
    const them = await outsider()
    await them.query(`insert into "LessonProgress" values ($1, $2, 'NOT_STARTED', null, null, 0)`, [
      learner!.enrollmentId,
      course.lesson(5),
    ])
    await them.end()
    await shut.open()
    await completion
  })

  test('a session that holds a row below a root delays only that root, and not eight times over', async () => {
    const all = await learn(20)
    const them = await outsider()
    await them.query(`insert into "LessonProgress" values ($1, $2, 'NOT_STARTED', null, null, 0)`, [
      all[7]!.enrollmentId,
      course.lesson(1),
    ])
    const answers = all.map((learner) => outcome(learner.complete(1, { by: brief.commit })))
    const others = answers.filter((_, i) => i !== 7)
    const late = pending([answers[7]!])
    expect(await Promise.all(others)).toMatchObject(others.map(() => ({ version: 2 })))
    expect(late.count).toBe(1)
    expect(await answers[7]).toMatchObject({ code: 'BUSY' })
    await them.end()
    expect(await all[7]!.complete(1)).toMatchObject({ version: 2 })
  })

  test('a root that another session is creating is waited for in the same way', async () => {
    const all = await learn(12, { enroll: false })
    const them = await outsider()
    await them.query(
      `insert into "Enrollment"
        (id, version, "learnerId", "courseId", "lessonsVersion", completed, total, attempt, "enrolledAt",
          "lastActivityAt")
        values ($1, 1, $2, $3, 1, 0, 5, 1, now(), now())`,
      [all[0]!.enrollmentId, all[0]!.id, course.id],
    )
    const answers = all.map((learner) => outcome(learner.enroll({ by: brief.commit })))
    const late = pending([answers[0]!])
    expect(await Promise.all(answers.slice(1))).toMatchObject(all.slice(1).map(() => ({ version: 1, changed: true })))
    expect(late.count).toBe(1)
    expect(await answers[0]).toMatchObject({ code: 'BUSY' })
    await them.end()
    expect(await all[0]!.enroll()).toMatchObject({ version: 1, changed: true })
  })

  test('a process is drained when all its requests are settled', async () => {
    const { commit, drained } = w.process({ isolation })
    const all = await learn(30)
    const holder = await holds(all.slice(0, 3).map(({ enrollmentId }) => enrollmentId))
    const answers = pending(all.map((learner) => learner.complete(1, { by: commit })))
    const done = pending([drained()])
    await untilBlocked(3)
    expect(done.count).toBe(1)
    await holder.end()
    await vi.waitFor(() => expect(done.count).toBe(0), patience)
    expect(answers.count).toBe(0)
  })
})
