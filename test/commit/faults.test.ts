import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { commits } from '../../src/commit/commit.ts'
import { connect } from '../../src/database/client.ts'
import { startEmbedded } from '../../src/embedded/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'
import { defaultPool } from '../../src/database/pool.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { academy } from '../academy.ts'
import { client, globalId, made, payload } from '../api.ts'
import { patience } from '../classroom.ts'
import { program } from '../program.ts'
import { proxy } from '../proxy.ts'
import { expectWhole } from '../whole.ts'
import { type Journaled, outcome, world } from '../world.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)

/** Starts a separate server process on a database. */
async function server(databaseUrl: string, environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [...program, 'start', '--json'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'error',
      DATABASE_POOL_SIZE: '2',
      DATABASE_POOL_MAX: '20',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  w.onClose(() => child.kill('SIGKILL'))
  let [output, errors] = ['', '']
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  const exit = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    errors,
  }))
  await Promise.race([exit, vi.waitFor(() => expect(output).toContain('\n'), { timeout: 25_000, interval: 10 })])
  if (!output.includes('\n')) throw new Error(`it ended before it was ready: ${errors}`)
  const places = JSON.parse(output) as { graphql: string; health: string }
  return { ...client(places.graphql), ...places, kill: (signal: NodeJS.Signals) => child.kill(signal), exit }
}

/** A learner, enrolled in a new course. */
async function enrolled(lessons = 3) {
  const [ada, made] = await Promise.all([person(), course(lessons)])
  return { ada, course: made, enrollmentId: enrollmentOf(ada.id, made.id) }
}
const kinds = async (enrollmentId: string) => (await expectWhole(w, enrollmentId)).map(({ kind }) => kind)
const status = (url: string) =>
  fetch(url).then(
    ({ status }) => status,
    () => 'refused',
  )

describe('a connection that is lost at COMMIT, in a whole server', () => {
  test('is resolved for every caller, and the server goes on', async () => {
    const network = await proxy(w.url)
    w.onClose(network.close)
    const lockstep = await server(network.url)
    const { ada, course, enrollmentId } = await enrolled()
    payload(await lockstep.enroll(ada.token, course.id))
    for (const [n, atCommit] of (['lose the reply', 'lose it'] as const).entries()) {
      Object.assign(network, { atCommit, times: 1, met: 0 })
      const done = payload(await lockstep.complete(ada.token, course.lesson(n + 1)))
      expect(done).toMatchObject({ version: n + 2, replayed: false, alreadyCompleted: false })
      expect(network.met).toBe(1)
    }
    expect(await kinds(enrollmentId)).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted'])
    lockstep.kill('SIGTERM')
    expect(await lockstep.exit).toMatchObject({ code: 0 })
  })
})

describe('a server that is killed', () => {
  test('between COMMIT and answer loses nothing: under the same key, the next server returns it', async () => {
    const network = await proxy(w.url)
    w.onClose(network.close)
    const first = await server(network.url)
    const { ada, course, enrollmentId } = await enrolled(1)
    const key = { idempotencyKey: randomUUID() }
    payload(await first.enroll(ada.token, course.id))
    Object.assign(network, { atCommit: 'keep the reply', times: 1 })
    const meeting = network.meeting()
    const lost = outcome(first.complete(ada.token, course.lesson(1), key))
    await meeting // PostgreSQL has committed, and the server has no reply
    first.kill('SIGKILL')
    expect(await lost).toBeInstanceOf(Error)
    expect(await first.exit).toMatchObject({ signal: 'SIGKILL' })
    expect(await kinds(enrollmentId)).toEqual(['enrolled', 'lessonCompleted', 'courseCompleted'])

    const second = await server(w.url)
    const replayed = payload(await second.complete(ada.token, course.lesson(1), key))
    expect(replayed).toMatchObject({
      version: 3,
      replayed: true,
      alreadyCompleted: false,
      courseCompleted: true,
      enrollment: { version: 3, completedLessonCount: 1, percent: 100 },
    })
    expect(payload(await second.reset(ada.token, enrollmentId))).toMatchObject({ version: 4, reset: true })
    const late = payload(await second.complete(ada.token, course.lesson(1), key)) // however late
    expect(made(late)).toEqual(made(replayed))
    expect(late).toMatchObject({ enrollment: { version: 4, percent: 0 }, lessonProgress: { status: 'NOT_STARTED' } })
    expect(await kinds(enrollmentId)).toEqual(['enrolled', 'lessonCompleted', 'courseCompleted', 'enrollmentReset'])
    second.kill('SIGTERM')
    await second.exit
  })

  test('before COMMIT leaves nothing half done, and no lock behind', async () => {
    const [lockstep, { ada, course, enrollmentId }] = await Promise.all([server(w.url), enrolled(1)])
    payload(await lockstep.enroll(ada.token, course.id))
    const outsider = await w.psql.connect()
    await outsider.query('begin')
    await outsider.query(`insert into "LessonProgress" values ($1, $2, 'NOT_STARTED', null, null, 0)`, [
      enrollmentId,
      course.lesson(1),
    ]) // the server will wait for this row after it has locked the root
    const key = { idempotencyKey: randomUUID() }
    const lost = outcome(lockstep.complete(ada.token, course.lesson(1), key))
    await vi.waitFor(
      async () =>
        expect(
          await w.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`),
        ).toHaveLength(1),
      patience,
    )
    lockstep.kill('SIGKILL')
    expect(await lost).toBeInstanceOf(Error)
    await outsider.query('rollback')
    outsider.release()
    expect(await kinds(enrollmentId)).toEqual(['enrolled'])
    const second = w.process()
    expect(
      await second.commit(completeLesson, {
        actor: ada.actor,
        key: key.idempotencyKey,
        input: { learnerId: ada.id, lessonId: course.lesson(1) },
      }),
    ).toMatchObject({ version: 3, replayed: false })
  })
})

describe('two servers on one database', () => {
  test('five clients each, on the same enrollments: dense versions, each course completed once', async () => {
    const both = await Promise.all([server(w.url), server(w.url, { DATABASE_ISOLATION: 'repeatable-read' })])
    const lessons = 6
    const made = await course(lessons, { 2: [1], 3: [1] })
    const people = await Promise.all(Array.from({ length: 4 }, () => person()))
    await Promise.all(people.map(({ token }, i) => both[i % 2]!.enroll(token, made.id).then(payload)))
    const answers = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const lockstep = both[n % 2]!
        const mine: { completed: boolean; courseCompleted: boolean }[] = []
        for (let lesson = 1; lesson <= lessons; lesson++) {
          const asked = people.map(({ token, id }) =>
            lockstep.complete(token, made.lesson(lesson), n < 4 ? { idempotencyKey: `${id}-${lesson}` } : {}),
          )
          for (const answer of await Promise.all(asked)) {
            const { alreadyCompleted, courseCompleted, replayed } = payload(answer)
            mine.push({ completed: !alreadyCompleted && !replayed, courseCompleted: courseCompleted && !replayed })
          }
        }
        return mine
      }),
    )
    expect(answers.flat().filter(({ completed }) => completed)).toHaveLength(people.length * lessons)
    expect(answers.flat().filter(({ courseCompleted }) => courseCompleted)).toHaveLength(people.length)
    for (const { id } of people)
      expect((await kinds(enrollmentOf(id, made.id))).sort()).toEqual([
        'courseCompleted',
        'enrolled',
        ...Array(lessons).fill('lessonCompleted'),
      ])
    for (const each of both) each.kill('SIGTERM')
    for (const each of both) expect(await each.exit).toMatchObject({ code: 0 })
  })
})

describe('a server that is stopped', () => {
  test('answers every request it has received, accepts no more, and exits with 0', async () => {
    const [lockstep, { ada, course, enrollmentId }] = await Promise.all([
      server(w.url, { DATABASE_LOCK_TIMEOUT_MS: '9000' }), // longer than all that comes before the outsider ends
      enrolled(6),
    ])
    payload(await lockstep.enroll(ada.token, course.id))
    expect(await status(lockstep.health)).toBe(200)
    const outsider = await w.psql.connect()
    await outsider.query('begin')
    await outsider.query('select from "Enrollment" where id = $1 for no key update', [enrollmentId])
    const answers = Array.from({ length: 12 }, (_, i) =>
      lockstep.complete(ada.token, course.lesson(1 + (i % 6)), { idempotencyKey: `${ada.id}-${i}` }),
    )
    await vi.waitFor(
      async () =>
        expect(
          await w.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`),
        ).toHaveLength(1),
      patience,
    )
    // all of the above have arrived
    await vi.waitFor(async () => expect((await lockstep.ask('{ __typename }', {})).status).toBe(200), patience)
    lockstep.kill('SIGTERM')
    await vi.waitFor(async () => expect(await status(lockstep.health)).toBeOneOf([503, 'refused']), patience)
    await outsider.query('commit')
    outsider.release()
    expect((await Promise.all(answers)).map((answer) => payload(answer).__typename)).toEqual(
      Array(12).fill('CompleteLessonPayload'),
    )
    expect(await lockstep.exit).toMatchObject({ code: 0 })
    expect((await kinds(enrollmentId)).filter((kind) => kind === 'lessonCompleted')).toHaveLength(6)
    expect(await w.query(`select from "IdempotencyKey" where key like $1`, [`${ada.id}-%`])).toHaveLength(12)
  })
})

describe('a database that goes away under load', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `lockstep-test-${process.pid}-faults-`))
  fs.chmodSync(folder, 0o755)
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))

  test('stopped, killed, restarted: each error can be retried, and each key takes effect once', async () => {
    const embedded = await startEmbedded({ folder, fast: true, maxConnections: 60 })
    try {
      const lockstep = await server(embedded.url)
      const db = connect(embedded.url, { ...defaultPool, size: 1, max: 5 })
      const psql = new pg.Pool({ connectionString: embedded.url, max: 2, options: '-c TimeZone=UTC' })
      psql.on('error', () => {})
      const query = async <T>(text: string, values: unknown[] = []): Promise<T[]> =>
        (await psql.query(text, values)).rows
      const history = (rootType: string, rootId: string) =>
        query<Journaled>(
          `select version, kind, topic, data, view, actor, at from "Event"
            where "rootType" = $1 and "rootId" = $2 order by version`,
          [rootType, rootId],
        )

      const school = academy(commits(db).commit)
      const lessons = 4
      const made = await school.course(lessons)
      const people = await Promise.all(Array.from({ length: 8 }, () => school.person()))
      await Promise.all(people.map(({ token }) => lockstep.enroll(token, made.id).then(payload)))

      const codes: Record<string, number> = {}
      let running = true
      /** Sends the request until it succeeds. Any error must be one that can be retried. */
      async function insist(
        token: string,
        verb: 'completeLesson' | 'resetProgress',
        input: object,
      ): Promise<{ version: number }> {
        const Verb = verb[0]!.toUpperCase() + verb.slice(1)
        const document = `mutation ($input: ${Verb}Input!) { ${verb}(input: $input) {
          __typename ... on ${Verb}Payload { version } ... on DomainError { code message } } }`
        for (;;) {
          const { data, errors } = await lockstep.ask<
            Record<string, { __typename: string; code?: string; version: number }>,
            object
          >(document, { input }, token)
          const result = data?.[verb]
          if (result?.__typename.endsWith('Payload')) return result
          const code = result?.code ?? errors?.[0]?.extensions.code ?? 'nothing'
          codes[code] = (codes[code] ?? 0) + 1
          if (!['BUSY', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(code))
            throw new Error(`${code}: ${JSON.stringify(result ?? errors)}`)
          await sleep(50)
        }
      }
      const answered: { person: number; version: number }[] = []
      async function learn(n: number) {
        const { token, id } = people[n]!
        for (let round = 0; running || round < 2; round++) {
          for (let lesson = 1; lesson <= lessons; lesson++) {
            const key = `${id}-${round}-${lesson}`
            const { version } = await insist(token, 'completeLesson', {
              lessonId: globalId('Lesson', made.lesson(lesson)),
              idempotencyKey: key,
            })
            answered.push({ person: n, version })
          }
          const { version } = await insist(token, 'resetProgress', {
            target: { enrollmentId: globalId('Enrollment', enrollmentOf(id, made.id)) },
            idempotencyKey: `${id}-${round}-reset`,
          })
          answered.push({ person: n, version })
        }
      }
      const load = Promise.all(people.map((_, n) => learn(n)))
      for (const signal of ['SIGINT', 'SIGKILL', 'SIGKILL'] as const) {
        const [before, { pid }] = [answered.length, embedded]
        await Promise.race([load, vi.waitFor(() => expect(answered.length).toBeGreaterThan(before + 40), patience)])
        process.kill(pid, signal) // embedded.ts starts it again
        await vi.waitFor(() => expect(embedded.pid).not.toBe(pid), { timeout: 20_000, interval: 20 })
      }
      const after = answered.length
      await vi.waitFor(() => expect(answered.length).toBeGreaterThan(after + 40), { timeout: 20_000, interval: 20 })
      running = false
      await load

      for (const [n, { id }] of people.entries()) {
        const enrollmentId = enrollmentOf(id, made.id)
        const events = await expectWhole({ query, history } as never, enrollmentId)
        // every round is whole: four completions, the course's, the reset; nothing lost that was answered, nothing made
        // twice
        const round = [...Array(lessons).fill('lessonCompleted'), 'courseCompleted', 'enrollmentReset']
        expect(events.slice(1).map(({ kind }) => kind)).toEqual(
          Array.from({ length: (events.length - 1) / round.length }, () => round).flat(),
        )
        const versions = answered.filter(({ person }) => person === n).map(({ version }) => version)
        expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
        expect(versions.at(-1)).toBe(events.length)
      }
      lockstep.kill('SIGTERM')
      expect(await lockstep.exit).toMatchObject({ code: 0 })
      await db.$disconnect()
      await psql.end()
    } finally {
      await embedded.stop()
    }
  }, 90_000)

  test('a transaction whose number is assigned again after a crash is not taken for the next one', async () => {
    const embedded = await startEmbedded({ folder, fast: true, maxConnections: 60 })
    const superuser = new pg.Pool({
      connectionString: Object.assign(new URL(embedded.url), { username: 'postgres' }).toString(),
      max: 2,
    })
    superuser.on('error', () => {})
    const network = await proxy(embedded.url)
    try {
      await migrate(embedded.url)
      await superuser.query("alter system set wal_writer_delay = '10s'") // what is not committed stays in memory
      await superuser.query('select pg_reload_conf()')
      const near = connect(embedded.url, { ...defaultPool, size: 1, max: 2 })
      const far = connect(network.url, { ...defaultPool, size: 1, max: 2 })
      const [here, there] = [commits(near), commits(far, { askMs: 60_000 })]
      const school = academy(here.commit)
      const [made, ada, bob] = [await school.course(4), await school.person(), await school.person()]
      const ask = (by: typeof here, { id, actor }: typeof ada, lesson: number) =>
        by.commit(completeLesson, { actor, input: { learnerId: id, lessonId: made.lesson(lesson) } })
      for (const { id, actor } of [ada, bob])
        await here.commit(enroll, { actor, input: { learnerId: id, courseId: made.id } })
      await ask(there, ada, 1)

      Object.assign(network, { atCommit: 'keep it', times: 1 })
      await superuser.query('checkpoint')
      const meeting = network.meeting()
      const answer = ask(there, ada, 2)
      await meeting // all is written, nothing is committed, and nothing of it on disk
      const { rows } = await superuser.query<{ xid: string }>(
        `select backend_xid::text as xid from pg_stat_activity
          where state = 'idle in transaction' and datname = 'lockstep'`,
      )
      const { pid } = embedded
      network.unreachable = true
      process.kill(pid, 'SIGKILL')
      await vi.waitFor(() => expect(embedded.pid).not.toBe(pid), { timeout: 20_000, interval: 20 })
      await vi.waitFor(() => ask(here, bob, 1), patience) // another transaction is assigned the number
      const given = await near.$queryRawUnsafe<{ xid: string }[]>(
        `select xid::text from "Event" where "rootId" = $1 and version = 2`,
        enrollmentOf(bob.id, made.id),
      )
      expect(given).toEqual(rows)

      network.unreachable = false
      expect(await answer).toMatchObject({ version: 3, changed: true })
      expect(
        await near.$queryRawUnsafe(`select version from "Enrollment" where id = $1`, enrollmentOf(ada.id, made.id)),
      ).toEqual([{ version: 3 }])
      await near.$disconnect()
      await far.$disconnect()
    } finally {
      await network.close()
      await superuser.end()
      await embedded.stop()
    }
  }, 60_000)
})
