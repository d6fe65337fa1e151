import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { Prisma } from '../../src/generated/prisma/client.ts'
import { sqlState } from '../../src/database/conflict.ts'
import { Busy } from '../../src/commit/errors.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enrollments } from '../../src/learning/enrollmentAggregate.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { reviseCourse } from '../../src/learning/reviseCourse.ts'
import { academy, system, type TestCourse } from '../academy.ts'
import { type Learner, learners, outsiders, patience, recorded } from '../classroom.ts'
import { expectWhole } from '../whole.ts'
import { outcome, race, world } from '../world.ts'

const w = await world()
const { outsider, gate, holds, untilBlocked } = await outsiders(w)

// the database rejects a completion of lesson 9
await w.query(`create function poisoned() returns trigger language plpgsql as $$ begin
  if new."lessonId" like '%.lesson9' then raise exception 'poisoned' using errcode = 'ZZ001'; end if;
  return new; end $$`)
await w.query(`create trigger poisoned before insert on "LessonProgress" for each row execute function poisoned()`)

// raises a chosen error so many times: when an event is appended, or at COMMIT
await w.query(`create table fault (code text, times int, "when" text)`)
await w.query(`create sequence faults`)
await w.query(`create function fault() returns trigger language plpgsql as $$ declare f record; begin
  select * into f from fault where "when" = tg_name;
  if found and nextval('faults') <= f.times then raise exception 'as asked for' using errcode = f.code; end if;
  return null; end $$`)
await w.query(`create trigger statement after insert on "Event" for each statement execute function fault()`)
await w.query(
  `create constraint trigger "COMMIT" after insert on "Event" deferrable initially deferred
    for each row execute function fault()`,
)

async function faulty(code: string, when: 'statement' | 'COMMIT', times: number) {
  await w.query(`select setval('faults', 1, false)`)
  await w.query('insert into fault values ($1, $2, $3)', [code, times, when])
}

const kinds = async ({ enrollmentId }: Learner) => (await expectWhole(w, enrollmentId)).map(({ kind }) => kind)
const named = (error: unknown) => (error as Error).name

describe.each(['read-committed', 'repeatable-read'] as const)('%s', (isolation) => {
  const here = recorded(w, { isolation })
  const other = recorded(w, { isolation })
  const { commit, record } = here
  const school = academy(commit)
  let course: TestCourse
  let ada: Learner
  let bob: Learner
  const elsewhere = { by: other.commit }

  beforeEach(async () => {
    await w.query('delete from fault')
    course = await school.course(9, { 2: [1] })
    ;[ada, bob] = (await learners(w, commit, 2, course)) as [Learner, Learner]
    record.clear()
    other.record.clear()
  })

  describe('batches', () => {
    test('a request that finds nothing in flight starts at once, alone', async () => {
      await ada.complete(1)
      await bob.complete(1)
      expect(record.sizes).toEqual([1, 1])
    })

    test('requests that arrive while their root is in flight share the next transaction, 128 at most', async () => {
      const shut = await gate()
      const first = ada.complete(1)
      await shut.reached()
      const others = Array.from({ length: 300 }, (_, i) => ada.complete(1 + (i % 8)))
      await shut.open()
      await Promise.all([first, ...others])
      expect(record.sizes).toEqual([1, 128, 128, 44])
      await expectWhole(w, ada.enrollmentId)
    })

    test.each([1, 3])(
      '%i batches are in flight at most, as configured, and every root in one of them at most',
      async (width) => {
        const { commit: by, record } = recorded(w, { isolation }, { maxInFlight: width })
        const all = await learners(w, commit, 150, course)
        const [first, others] = [all.slice(0, 100), all.slice(100)]
        const shut = await gate()
        const answers = first.map((learner) => learner.complete(1, { by }))
        await shut.reached(width)
        const more = [...first, ...others].map((learner) => learner.complete(3, { by }))
        const busy = `select from pg_stat_activity
          where datname = current_database() and application_name = 'lockstep' and state <> 'idle'`
        for (let look = 0; look < 30; look++) expect(await w.query(busy)).toHaveLength(width)
        expect(await shut.waiting()).toHaveLength(width)
        await shut.open()
        await Promise.all([...answers, ...more])
        expect(record.sizes.reduce((sum, size) => sum + size)).toBe(250)
        expect(record.met).toEqual({})
        for (const { enrollmentId } of all.slice(0, 5)) await expectWhole(w, enrollmentId)
      },
    )

    test('requests of a root are decided in order of arrival, within one transaction and over several', async () => {
      const answers: Promise<{ version: number; changed: boolean }>[] = []
      for (let i = 0; i < 40; i++) {
        answers.push(i % 2 ? ada.reset() : ada.complete(1))
        if (i % 7 === 6) await new Promise(setImmediate)
      }
      // 1 is its enrollment
      expect((await Promise.all(answers)).map(({ version }) => version)).toEqual(answers.map((_, i) => i + 2))
      expect(await kinds(ada)).toEqual([
        'enrolled',
        ...Array.from({ length: 20 }, () => ['lessonCompleted', 'enrollmentReset']).flat(),
      ])
    })

    test('a later request of a batch is decided on the state that the earlier ones left', async () => {
      const [first, second] = await race(2, (i) => ada.complete(1 + i)) // 2 requires 1
      expect([first!.version, second!.version]).toEqual([2, 3])
      expect(record.sizes).toEqual([2])
    })

    test('a request is answered after its change is in the database', async () => {
      const { version } = await ada.complete(1)
      expect(await w.query('select version from "Enrollment" where id = $1', [ada.enrollmentId])).toEqual([{ version }])
    })
  })

  describe('each request stands alone', () => {
    test('a domain error fails its own request and no other', async () => {
      const [a, b, c, d] = await race(4, (i) =>
        outcome([() => ada.complete(3), () => ada.complete(2), () => ada.complete(77), () => ada.complete(4)][i]!()),
      )
      expect(record.sizes).toEqual([4])
      expect([named(b), named(c)]).toEqual(['PrerequisiteNotMet', 'LessonNotFound'])
      expect([a, d]).toMatchObject([{ version: 2 }, { version: 3 }])
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted'])
      expect(record.settled.sort()).toEqual([
        'completeLesson LESSON_NOT_FOUND',
        'completeLesson PREREQUISITE_NOT_MET',
        'completeLesson changed',
        'completeLesson changed',
      ])
    })

    test.each([
      ['one', [37]],
      ['three', [0, 31, 63]],
    ] as const)('of 64 in a batch, %s that the database rejects fail alone, found by halving', async (_, guilty) => {
      const all = await learners(w, commit, 64, course)
      const { commit: by, record } = recorded(w, { isolation }, { maxInFlight: 1 })
      const answers = await race(64, (i) => outcome(all[i]!.complete(guilty.includes(i as never) ? 9 : 1, { by })))
      const failed = answers.flatMap((answer, i) => (answer instanceof Error ? [i] : []))
      expect(failed).toEqual(guilty)
      expect(record.failures.map(sqlState)).toEqual(guilty.map(() => 'ZZ001'))
      if (guilty.length === 1)
        expect(record.met.split?.map((detail) => (detail as { size: number }).size)).toEqual([64, 32, 16, 8, 4, 2])
      for (const [i, learner] of all.entries())
        expect(await w.query('select version from "Enrollment" where id = $1', [learner.enrollmentId])).toEqual([
          { version: guilty.includes(i as never) ? 1 : 2 },
        ])
      for (const i of [0, 37, 63]) expect((await kinds(all[i]!)).length).toBe(guilty.includes(i as never) ? 1 : 2)
    })

    test('of one root, the requests before and after the rejected one are committed, in order', async () => {
      const answers = await race(5, (i) =>
        outcome(
          [
            () => ada.complete(1),
            () => ada.complete(2),
            () => ada.complete(9),
            () => ada.complete(3),
            (): Promise<{ version: number }> => ada.reset(),
          ][i]!(),
        ),
      )
      expect(answers.map((answer) => (answer instanceof Error ? sqlState(answer) : answer.version))).toEqual([
        2,
        3,
        'ZZ001',
        4,
        5,
      ])
      expect(await kinds(ada)).toEqual([
        'enrolled',
        'lessonCompleted',
        'lessonCompleted',
        'lessonCompleted',
        'enrollmentReset',
      ])
    })

    test('a request that failed stores nothing under its key', async () => {
      const key = randomUUID()
      expect(named(await outcome(ada.complete(2, { key })))).toBe('PrerequisiteNotMet')
      await ada.complete(1)
      expect(await ada.complete(2, { key })).toMatchObject({ version: 3, replayed: false })
    })

    test('expectedVersion is compared with the version that the earlier requests of the batch left', async () => {
      const [first, second] = await race(2, (i) => outcome(ada.complete(1 + 2 * i, { expectedVersion: 1 })))
      expect(first).toMatchObject({ version: 2 })
      expect(second).toMatchObject({
        name: 'VersionConflict',
        expectedVersion: 1,
        currentVersion: 2,
        current: { completed: 1 },
      })
    })
  })

  describe('errors that pass by themselves', () => {
    test.each([
      ['40001', 'statement'],
      ['40001', 'COMMIT'],
      ['40P01', 'statement'],
      ['40P01', 'COMMIT'],
    ] as const)('%s at %s is retried and counted, and leaves nothing half done', async (code, when) => {
      await faulty(code, when, 2)
      const key = randomUUID()
      const answers = await race(4, (i) => [ada, bob][i % 2]!.complete(i < 2 ? 1 : 3, { key: `${key}-${i}` }))
      expect(answers.map(({ version, replayed }) => [version, replayed])).toEqual([
        [2, false],
        [2, false],
        [3, false],
        [3, false],
      ])
      expect(record.times('retry')).toBe(2)
      expect(record.sizes).toEqual([4])
      for (const learner of [ada, bob])
        expect(await kinds(learner)).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted'])
      expect(await w.query('select from "IdempotencyKey" where key like $1', [`${key}%`])).toHaveLength(4)
    })

    test.each(['statement', 'COMMIT'] as const)(
      'one that never passes, at %s, is Busy after a bounded number of attempts, and nothing has changed',
      async (when) => {
        await faulty('40001', when, 1_000)
        const key = randomUUID()
        const answers = await race(3, (i) => outcome([ada, bob, ada][i]!.complete(1 + i * 2, { key: `${key}-${i}` })))
        expect(answers.map(named)).toEqual(['Busy', 'Busy', 'Busy'])
        expect(answers[0]).toMatchObject({ code: 'BUSY', retryAfterMs: expect.any(Number) })
        const [attempts] = await w.query<{ last: string }>('select last_value as last from faults')
        expect(Number(attempts!.last)).toBeLessThanOrEqual(24)
        for (const learner of [ada, bob]) expect(await kinds(learner)).toEqual(['enrolled'])
        expect(await w.query('select from "IdempotencyKey" where key like $1', [`${key}%`])).toEqual([])
      },
    )

    test('a deadlock with an outsider that locks in the opposite order is survived', async () => {
      const them = await outsider()
      const ids = [ada.enrollmentId, course.lesson(1)]
      // the row that we are going to write
      await them.query(`insert into "LessonProgress" values ($1, $2, 'NOT_STARTED', null, null, 0)`, ids)
      const ours = ada.complete(1)
      await untilBlocked()
      // the root that we have locked: PostgreSQL aborts one of the two
      const theirs = await them.query('update "Enrollment" set total = total where id = $1', [ada.enrollmentId]).then(
        () => 'through',
        (error) => error.code,
      )
      await them.end()
      expect(await ours).toMatchObject({ version: 2, changed: true })
      if (theirs === 'through') expect(record.times('retry')).toBe(1)
      else expect(theirs).toBe('40P01')
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted'])
    })

    test('a connection that is lost in the middle of a transaction costs nothing but time', async () => {
      const shut = await gate()
      const answers = race(3, (i) => [ada, bob, ada][i]!.complete(1 + i * 2))
      const [pid] = await shut.reached()
      await w.query('select pg_terminate_backend($1)', [pid])
      await shut.open()
      expect((await answers).map(({ version }) => version)).toEqual([2, 2, 3])
      expect(record.times('retry')).toBeGreaterThan(0)
      expect(record.times('outcome-asked')).toBe(0) // nothing had been written
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted'])
    })

    test('a statement that takes too long is Busy and changes nothing; the process goes on', async () => {
      const hasty = recorded(w, { isolation, statementTimeoutMs: 1_000, lockTimeoutMs: 100_000 })
      const shut = await gate()
      const late = await outcome(ada.complete(1, { by: hasty.commit }))
      await shut.open()
      expect(late).toBeInstanceOf(Busy)
      expect(await ada.complete(1, { by: hasty.commit })).toMatchObject({ version: 2 })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted'])
    })

    test('when the server accepts no more connections, the request is tried again until it does', async () => {
      const [{ name }] = (await w.query<{ name: string }>('select current_database() as name')) as [{ name: string }]
      const fresh = recorded(w, { isolation })
      await w.query(`alter database ${name} connection limit 0`)
      const answer = ada.complete(1, { by: fresh.commit })
      try {
        await vi.waitFor(() => expect(fresh.record.times('retry')).toBeGreaterThan(1), patience)
      } finally {
        await w.query(`alter database ${name} connection limit -1`)
      }
      expect(await answer).toMatchObject({ version: 2 })
    })

    test('a database that is not there is Unavailable after a bounded time', async () => {
      const [{ name }] = (await w.query<{ name: string }>('select current_database() as name')) as [{ name: string }]
      const fresh = recorded(w, { isolation }, { outageMs: 100 })
      await w.query(`alter database ${name} connection limit 0`)
      try {
        expect(await outcome(ada.complete(1, { by: fresh.commit }))).toMatchObject({ code: 'UNAVAILABLE' })
      } finally {
        await w.query(`alter database ${name} connection limit -1`)
      }
      expect(await ada.complete(1, { by: fresh.commit })).toMatchObject({ version: 2, changed: true })
    })

    test('and all requests queued meanwhile are Unavailable in the time of one outage', async () => {
      const [{ name }] = (await w.query<{ name: string }>('select current_database() as name')) as [{ name: string }]
      const fresh = recorded(w, { isolation }, { outageMs: 300 })
      const many = await learners(w, commit, 600, course, { enroll: false })
      await w.query(`alter database ${name} connection limit 0`)
      try {
        const answers = await Promise.all(many.map((learner) => outcome(learner.enroll({ by: fresh.commit }))))
        expect(answers.filter((answer) => 'code' in answer && answer.code === 'UNAVAILABLE')).toHaveLength(600)
        expect(fresh.record.times('gave-up')).toBeLessThanOrEqual(2) // the batches in flight, not those behind
      } finally {
        await w.query(`alter database ${name} connection limit -1`)
      }
      expect(await many[0]!.enroll({ by: fresh.commit })).toMatchObject({ version: 1, changed: true })
    })

    test('a watcher that throws does not affect commits', async () => {
      const thrown = () => {
        throw new Error('the disk of the log is full')
      }
      const deaf = w.process(
        { isolation },
        { onCommit: thrown, watch: { batch: thrown, settled: thrown, met: thrown, failed: thrown } },
      )
      expect(await ada.complete(1, { by: deaf.commit })).toMatchObject({ version: 2, changed: true })
      expect(await outcome(ada.complete(99, { by: deaf.commit }))).toMatchObject({ code: 'LESSON_NOT_FOUND' })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted'])
    })

    test('an option that is undefined has its default', async () => {
      const options = { maxBatch: undefined, minRoots: undefined, maxInFlight: undefined, maxAttempts: undefined }
      expect(await ada.complete(1, { by: w.process({ isolation }, options).commit })).toMatchObject({ version: 2 })
    })
  })

  describe('keys', () => {
    test('a key takes effect once in all processes, and all its requests get the same answer', async () => {
      const key = randomUUID()
      const answers = await race(20, (i) => ada.complete(1, { key, by: i % 2 ? commit : other.commit }))
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
      for (const { version, answer } of answers)
        expect({ version, answer }).toEqual({ version: 2, answer: answers.find(({ replayed }) => !replayed)!.answer })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted'])
      expect(record.failures).toEqual([])
    })

    test('a late retry does not undo what came after it', async () => {
      const key = randomUUID()
      const first = await ada.complete(1, { key })
      await ada.reset()
      expect(await ada.complete(1, { key, ...elsewhere })).toMatchObject({
        version: first.version,
        answer: first.answer,
        replayed: true,
        changed: false,
      })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'enrollmentReset'])
    })

    test('one key on two roots, in two processes at once: one request gets it, the other is refused', async () => {
      const second = await school.course(1)
      const [twin] = await learners(w, commit, 1, second)
      await w.query('update "User" set id = id where id = $1', [ada.id])
      await w.query(
        `insert into "Enrollment"
          select $1, version, $2, "courseId", "lessonsVersion", completed, total, attempt, "enrolledAt", "completedAt",
            "lastActivityAt"
          from "Enrollment" where id = $3`,
        [`${ada.id}.${second.id}`, ada.id, twin!.enrollmentId],
      )
      await w.query(
        `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
          select "rootType", $1, version, topic, kind, data, view, actor, at from "Event" where "rootId" = $2`,
        [`${ada.id}.${second.id}`, twin!.enrollmentId],
      )
      const key = randomUUID()
      const shut = await gate()
      const here = outcome(ada.complete(1, { key }))
      const there = outcome(
        other.commit(completeLesson, {
          actor: ada.actor,
          key,
          input: { learnerId: ada.id, lessonId: second.lesson(1) },
        }),
      )
      await shut.reached(2)
      await shut.open()
      const names = [await here, await there].map((answer) => (answer instanceof Error ? answer.name : 'done')).sort()
      expect(names).toEqual(['IdempotencyKeyReused', 'done'])
      expect(record.times('retry') + other.record.times('retry')).toBeGreaterThan(0)
      expect(
        await w.query('select from "Event" where kind = $1 and actor = $2', ['lessonCompleted', ada.id]),
      ).toHaveLength(1)
    })

    test('a key used for another request is refused; the same key of another person is another key', async () => {
      const key = randomUUID()
      await ada.complete(1, { key })
      expect(named(await outcome(ada.complete(3, { key })))).toBe('IdempotencyKeyReused')
      expect(named(await outcome(ada.complete(1, { key, expectedVersion: 2 })))).toBe('IdempotencyKeyReused')
      expect(named(await outcome(ada.reset({ key })))).toBe('IdempotencyKeyReused')
      expect(await bob.complete(1, { key })).toMatchObject({ version: 2, replayed: false })
    })

    test('an actor who is not allowed is refused, also under a known key', async () => {
      const key = randomUUID()
      await ada.complete(1, { key })
      const stranger = { actor: bob.actor, key, input: { learnerId: ada.id, lessonId: course.lesson(1) } }
      expect(named(await outcome(commit(completeLesson, stranger)))).toBe('Forbidden')

      const reset = { key, input: { enrollmentId: ada.enrollmentId } }
      await commit(resetProgress, { actor: { id: 'root', role: 'ADMIN' }, ...reset })
      expect(await commit(resetProgress, { actor: { id: 'root', role: 'ADMIN' }, ...reset })).toMatchObject({
        replayed: true,
      })
      expect(named(await outcome(commit(resetProgress, { actor: { id: 'root', role: 'INSTRUCTOR' }, ...reset })))).toBe(
        'Forbidden',
      ) // an admin no longer
    })

    test('within one transaction, a second request under the same key gets the answer of the first', async () => {
      const key = randomUUID()
      const answers = await race(6, () => ada.complete(1, { key }))
      expect(record.sizes).toEqual([6])
      expect(answers.map(({ replayed }) => replayed)).toEqual([false, true, true, true, true, true])
      for (const { version, answer } of answers)
        expect({ version, answer }).toEqual({ version: 2, answer: answers[0]!.answer })
    })

    test('the answer of a request that changed nothing is stored under its key as well', async () => {
      const key = randomUUID()
      await ada.complete(1)
      const found = await ada.complete(1, { key })
      expect(found).toMatchObject({ changed: false, replayed: false, answer: { alreadyCompleted: true } })
      await ada.reset()
      expect(await ada.complete(1, { key })).toMatchObject({
        replayed: true,
        version: found.version,
        answer: { alreadyCompleted: true },
      })
      expect((await kinds(ada)).at(-1)).toBe('enrollmentReset')
    })
  })

  describe('roots that do not exist yet', () => {
    test('a root is created once, whichever processes are asked to', async () => {
      const [eve] = await learners(w, commit, 1, course, { enroll: false })
      const answers = await race(12, (i) => eve!.enroll({ key: `${eve!.id}-${i}`, by: i % 2 ? commit : other.commit }))
      expect(answers.map(({ version }) => version)).toEqual(Array(12).fill(1))
      expect(answers.filter(({ changed }) => changed)).toHaveLength(1)
      expect(await kinds(eve!)).toEqual(['enrolled'])
    })

    test('of two processes that create a root at once, the second waits, then finds it', async () => {
      const [eve] = await learners(w, commit, 1, course, { enroll: false })
      const shut = await gate()
      const first = eve!.enroll()
      await shut.reached(1)
      const second = eve!.enroll(elsewhere)
      await vi.waitFor(
        async () =>
          expect(
            (
              await w.query(
                `select from pg_stat_activity
                  where datname = current_database() and application_name = 'lockstep' and wait_event_type = 'Lock'`,
              )
            ).length,
          ).toBe(2),
        patience,
      )
      await shut.open()
      expect([await first, await second]).toMatchObject([
        { version: 1, changed: true },
        { version: 1, changed: false },
      ])
    })

    test('many roots, created in two processes in opposite orders, cause no deadlock', async () => {
      const many = await learners(w, commit, 20, course, { enroll: false })
      // each row takes some time, so that the two meet in the middle
      await w.query(
        `create function linger() returns trigger language plpgsql as $$ begin
          perform pg_sleep(0.005); return new; end $$`,
      )
      await w.query(`create trigger linger before insert on "Enrollment" for each row execute function linger()`)
      try {
        await Promise.all([
          ...many.map((learner) => learner.enroll()),
          ...[...many].reverse().map((learner) => learner.enroll(elsewhere)),
        ])
      } finally {
        await w.query('drop trigger linger on "Enrollment"')
        await w.query('drop function linger')
      }
      const met = [...(record.met.retry ?? []), ...(other.record.met.retry ?? [])].map(
        (detail) => (detail as { error: string }).error,
      )
      expect(met.filter((error) => /deadlock|write conflict/i.test(error))).toEqual([])
      for (const learner of many.slice(0, 3)) expect(await kinds(learner)).toEqual(['enrolled'])
    })
  })

  describe('nothing is decided on what was read before the lock', () => {
    // completeLesson, but its read waits at gate 2 after its snapshot was taken
    const slowly = {
      ...completeLesson,
      aggregate: {
        ...enrollments,
        read: (wanted) =>
          Prisma.sql`select r.row from (${enrollments.read(wanted)}) r
            cross join (select pg_advisory_xact_lock_shared(2)::text offset 0) g`,
      },
    } satisfies typeof completeLesson
    const askSlowly = (learner: Learner, key?: string) =>
      commit(slowly, { actor: learner.actor, key, input: { learnerId: learner.id, lessonId: course.lesson(1) } })

    test('a request that waited for a lock is decided on what the holder committed', async () => {
      await ada.complete(1)
      const shut = await gate()
      const reset = ada.reset(elsewhere) // has locked the root, and has not committed
      await shut.reached()
      const completion = ada.complete(1)
      await vi.waitFor(() => expect(record.times('lock-wait')).toBe(1), patience)
      await untilBlocked(2) // at the gate, and behind it
      await shut.open()
      expect(await reset).toMatchObject({ version: 3 })
      expect(await completion).toMatchObject({ version: 4, changed: true, answer: { alreadyCompleted: false } })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'enrollmentReset', 'lessonCompleted'])
      if (isolation === 'repeatable-read') expect(record.times('retry')).toBeGreaterThan(0)
    })

    test('a request that waited for a lock whose holder rolled back is decided on the state before', async () => {
      await ada.complete(1)
      const holder = await holds([ada.enrollmentId])
      await holder.query('delete from "LessonProgress" where "enrollmentId" = $1', [ada.enrollmentId])
      const completion = ada.complete(1)
      await untilBlocked()
      await holder.end('rollback')
      expect(await completion).toMatchObject({ version: 2, changed: false, answer: { alreadyCompleted: true } })
    })

    test.each([
      ['without a key', false],
      ['with a key, whose answer is stored', true],
    ])('a root that changed between the snapshot and the lock is read again: %s', async (_, keyed) => {
      await ada.complete(1)
      const key = keyed ? randomUUID() : undefined
      const shut = await gate(2)
      const completion = askSlowly(ada, key)
      await shut.reached()
      await ada.reset(elsewhere)
      await shut.open()
      expect(await completion).toMatchObject({ version: 4, changed: true, answer: { alreadyCompleted: false } })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'enrollmentReset', 'lessonCompleted'])
      if (isolation === 'read-committed') expect(record.met.reread).toEqual([{ roots: 1 }])
      else expect(record.times('retry')).toBe(1)
      if (key)
        expect(await ada.complete(1, { key })).toMatchObject({
          version: 4,
          replayed: true,
          answer: { alreadyCompleted: false },
        })
    })

    test('a key used elsewhere between snapshot and lock is seen, though the root did not change', async () => {
      await ada.complete(1)
      const key = randomUUID()
      const shut = await gate(2)
      const late = askSlowly(ada, key)
      await shut.reached()
      await ada.complete(1, { key, ...elsewhere }) // changes nothing, but stores its key
      await shut.open()
      expect(await late).toMatchObject({ version: 2, replayed: true, answer: { alreadyCompleted: true } })
    })

    test('of the roots of a batch only the one that changed is stale, and all are decided right', async () => {
      await ada.complete(1)
      await bob.complete(1)
      const shut = await gate(2)
      const completions = race(2, (i) => askSlowly([ada, bob][i]!))
      await shut.reached()
      await ada.reset(elsewhere)
      await shut.open()
      expect((await completions).map(({ answer }) => answer.alreadyCompleted)).toEqual([false, true])
    })

    test('each root is read and locked once, by ascending id', async () => {
      const all = await learners(w, commit, 9, course)
      const seen: (readonly string[])[] = []
      const read: typeof enrollments.read = (wanted) => {
        seen.push(wanted.ids)
        return enrollments.read(wanted)
      }
      const verb = { ...completeLesson, aggregate: { ...enrollments, read } }
      await race(18, (i) =>
        commit(verb, { actor: system, input: { learnerId: all[(i * 5) % 9]!.id, lessonId: course.lesson(1) } }),
      )
      expect(seen).toEqual([all.map(({ enrollmentId }) => enrollmentId).sort()])
    })
  })

  test('a second event for a version that the journal has is not committed; the rest of the batch is', async () => {
    const [{ version }] = (await w.query<{ version: number }>(
      `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
        select "rootType", "rootId", version + 1, topic, 'lessonOpened', data, view, actor, at
        from "Event" where "rootId" = $1 returning version`,
      [ada.enrollmentId],
    )) as [{ version: number }]
    const key = randomUUID()
    const [a, b] = await race(2, (i) => outcome([ada, bob][i]!.complete(1, { key })))
    expect([version, sqlState(a)]).toEqual([2, '23505'])
    expect(b).toMatchObject({ version: 2 })
    expect(await w.query('select version, completed from "Enrollment" where id = $1', [ada.enrollmentId])).toEqual([
      { version: 1, completed: 0 },
    ])
    expect(await w.query('select from "LessonProgress" where "enrollmentId" = $1', [ada.enrollmentId])).toEqual([])
    expect(await w.query('select from "IdempotencyKey" where key = $1', [key])).toHaveLength(1)
  })

  describe('courses', () => {
    test('revisions and enrollments do not wait for each other', async () => {
      const [eve] = await learners(w, commit, 1, course, { enroll: false })
      const them = await outsider()
      // as an enrollment's foreign key does
      await them.query('select from "Course" where id = $1 for key share', [course.id])
      await course.revise(8)
      expect(record.times('lock-wait')).toBe(0)
      await them.end()
      await eve!.enroll()
    })

    test('a course that two processes revise at once gets all revisions, one after the other', async () => {
      const revised = await race(6, (i) => {
        const lessons = {
          [course.lesson(1)]: {
            slug: 'lesson-1',
            position: 1,
            title: `Title ${i}`,
            active: true,
            requires: [],
            contents: {},
          },
        }
        return (i % 2 ? commit : other.commit)(reviseCourse, {
          actor: system,
          input: { courseId: course.id, slug: course.slug, title: `Course ${i}`, description: '', lessons },
        })
      })
      expect(revised.map(({ version }) => version).sort()).toEqual([2, 3, 4, 5, 6, 7])
      expect((await w.history('Course', course.id)).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7])
    })
  })
})
