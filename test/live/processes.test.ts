import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { type Commit, commits } from '../../src/commit/commit.ts'
import { connect } from '../../src/database/client.ts'
import { startEmbedded } from '../../src/embedded/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'
import { defaultPool } from '../../src/database/pool.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { academy, type Person, type TestCourse } from '../academy.ts'
import { payload } from '../api.ts'
import { proxy } from '../proxy.ts'
import { expectWhole } from '../whole.ts'
import { type Journaled, outcome, world } from '../world.ts'
import {
  expectExactlyOnce,
  Follower,
  launch,
  type LiveServer,
  muffler,
  type Random,
  random,
  RETRYABLE,
  type Tally,
  write,
} from './fleet.ts'

const w = await world()
const { commit } = w.process()

/** SEED=… runs what chance decided again, as far as processes let themselves be told. */
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`The seed of the load is ${seed}.`)

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const READER = 'lockstep (reads the journal)'
const patience = { timeout: 20_000, interval: 10 }

async function serve(databaseUrl = w.url, environment: Record<string, string> = {}): Promise<LiveServer> {
  const server = await launch(databaseUrl, environment)
  undo.push(() => {
    server.kill('SIGKILL')
    return server.exit
  })
  return server
}

function follows(
  field: 'enrollmentUpdates' | 'courseUpdates',
  id: string,
  person: Person,
  server: () => string,
): Follower {
  const follower = new Follower(field, id, person, server)
  undo.push(() => follower.stop())
  return follower
}
const areThere = (followers: readonly Follower[]) =>
  vi.waitUntil(() => followers.every(({ isThere }) => isThere), patience)

const emptyTally = (): Tally => ({ answered: 0, cut: 0, codes: {}, completed: [] })
const summed = (all: readonly Record<string, number>[]) => {
  const sum: Record<string, number> = {}
  for (const each of all) for (const [name, count] of Object.entries(each)) sum[name] = (sum[name] ?? 0) + count
  return sum
}

/** Kills whoever reads the journal in our database just now; answers how many that were. */
const readersKilled = async () =>
  (
    await w.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1
        and datname = current_database()`,
      [READER],
    )
  ).length

/** What there was, for whoever reads the log. */
function report({ followers, ...numbers }: { followers: readonly Follower[] } & Record<string, unknown>) {
  const resumed = followers.reduce((sum, follower) => sum + follower.resumed, 0)
  console.log(JSON.stringify({ ...numbers, resumed, ends: summed(followers.map(({ ends }) => ends)) }))
}

/**
 * Each enrollment changes once more: whatever was told before that has come, and whatever was told twice has been told
 * twice. Answers how many lessons were completed by it.
 */
async function fence(by: Commit, enrolled: readonly { learner: Person; course: TestCourse }[]): Promise<number> {
  const changes = await Promise.all(
    enrolled.map(async ({ learner, course }) => {
      const input = { learnerId: learner.id, lessonId: course.lesson(1) }
      const { changed } = await by(completeLesson, { actor: learner.actor, input })
      if (!changed) await by(resetProgress, { actor: learner.actor, input })
      return changed
    }),
  )
  return changes.filter((changed) => changed).length
}

type Query = <T>(text: string, values?: unknown[]) => Promise<T[]>
const databaseAt = (psql: pg.Pool) => {
  const query: Query = async <T>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await psql.query(text, values)).rows
  const history = (rootType: string, rootId: string) =>
    query<Journaled>(
      'select version, kind, topic, data, view, actor, at from "Event" where "rootType" = $1 and "rootId" = $2 ' +
        'order by version',
      [rootType, rootId],
    )
  return { query, history }
}

/** One transaction of a client of the database that knows nothing of Lockstep. */
async function apart(psql: pg.Pool, work: (client: pg.PoolClient) => Promise<'commit' | 'rollback'>) {
  const client = await psql.connect()
  try {
    await client.query('begin')
    await client.query(await work(client))
    client.release()
  } catch (error) {
    client.release(error as Error)
    throw error
  }
}

/** Writes events of a root of its own, in transactions that take their time, commit out of order, and roll back. */
async function writeBeside(
  r: Random,
  psql: pg.Pool,
  { id: courseId }: TestCourse,
  slowest: number,
  enough: () => boolean,
) {
  const rootId = `outsider-${randomUUID().slice(0, 8)}.${courseId}`
  const view = {
    id: rootId,
    lessonsVersion: 1,
    completed: 0,
    total: 6,
    attempt: 1,
    enrolledAt: new Date().toISOString(),
    completedAt: null,
    lastActivityAt: new Date().toISOString(),
  }
  const append = `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
    values ('Enrollment', $1, $2, $3, 'lessonOpened', '{}', $4, 'system', now())`
  let version = 0
  while (!enough()) {
    await apart(psql, async (client) => {
      let written = version
      for (let events = 1 + r.below(3); events > 0; events--) {
        await client.query('savepoint s')
        await client.query(append, [rootId, written + 1, `Course:${courseId}`, { ...view, version: written + 1 }])
        if (r.next() < 0.3) await client.query('rollback to s')
        else written++
        await r.pause(0, slowest / 3)
      }
      if (r.next() < 0.4) return 'rollback'
      version = written
      return 'commit'
    })
  }
}

/**
 * Takes the lock of somebody's enrollment as is right, writes what would be their next event, and thinks better of it.
 */
async function thinkBetter(r: Random, psql: pg.Pool, enrollmentIds: readonly string[], enough: () => boolean) {
  while (!enough()) {
    await apart(psql, async (client) => {
      const id = r.one(enrollmentIds)
      await client.query('select from "Enrollment" where id = $1 for no key update', [id])
      await client.query(
        `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
          select "rootType", "rootId", version + 1, topic, kind, data, view, actor, now() from "Event"
          where "rootType" = 'Enrollment' and "rootId" = $1 order by version desc limit 1`,
        [id],
      )
      await r.pause(0, 80)
      return 'rollback'
    })
    await r.pause(50, 300)
  }
}

describe('three server processes on one database, one of which is killed and started again', () => {
  test('whoever drops and resumes at random, anywhere, holds each event once and in order, whatever 64 writers, ' +
    'outsiders and rollbacks did', {
    timeout: 180_000,
  }, async () => {
    const school = academy(commit)
    const fleet = await Promise.all([serve(), serve(), serve(w.url, { DATABASE_ISOLATION: 'repeatable-read' })])
    const courses = await Promise.all([school.course(6, { 2: [1], 5: [3, 4] }), school.course(6)])
    const learners = await Promise.all(Array.from({ length: 16 }, () => school.person()))
    const [instructor, admin] = await Promise.all([school.person('INSTRUCTOR'), school.person('ADMIN')])
    for (const { id } of courses) await school.teach(id, instructor)

    const whereabouts = random(seed)
    const somewhere = () => whereabouts.one(fleet)
    const url = () => somewhere().url
    // six on the two classes, from before anybody is enrolled
    const classes = Array.from({ length: 6 }, (_, n) =>
      follows('courseUpdates', courses[n % 2]!.id, n < 3 ? instructor : admin, url),
    )
    await areThere(classes)
    const enrolled = learners.flatMap((learner, n) =>
      (n < 8 ? courses : [courses[n % 2]!]).map((course) => ({ learner, course })),
    )
    await Promise.all(enrolled.map(({ learner, course }) => fleet[0]!.enroll(learner.token, course.id).then(payload)))
    const ids = enrolled.map(({ learner, course }) => enrollmentOf(learner.id, course.id))
    const single = Array.from({ length: 14 }, (_, n) => {
      const { learner, course } = enrolled[n]!
      return follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), n % 3 ? learner : instructor, url)
    })
    const followers = [...classes, ...single]
    await areThere(followers)

    const tally = emptyTally()
    let [over, quiet] = [false, false]
    undo.push(() => (over = quiet = true))
    // one that has drawn its number before all others, and lasts longer than they do
    const stuck = await w.psql.connect()
    await stuck.query('begin')
    await stuck.query('select pg_current_xact_id()')
    const load = Promise.all([
      ...Array.from({ length: 64 }, (_, n) => {
        const { learner, course } = enrolled[n % enrolled.length]!
        return write(random(seed + 1_000 + n), `writer-${n}`, somewhere, learner, course, tally, () => over)
      }),
      ...Array.from({ length: 6 }, (_, n) =>
        writeBeside(random(seed + 2_000 + n), w.psql, courses[n % 2]!, n < 4 ? 300 : 3_000, () => over),
      ),
      thinkBetter(random(seed + 3_000), w.psql, ids, () => over),
      thinkBetter(random(seed + 3_001), w.psql, ids, () => over),
    ])
    const dropping = Promise.all(
      followers.map((follower, n) => follower.dropAtRandom(random(seed + 4_000 + n), () => quiet)),
    )
    const begun = performance.now()
    const has = (answers: number) => vi.waitUntil(() => tally.answered >= answers, { timeout: 60_000, interval: 10 })

    await Promise.race([load, has(300)])
    const victim = fleet[1]!
    victim.kill('SIGKILL')
    expect(await victim.exit).toMatchObject({ signal: 'SIGKILL' })
    const down = tally.answered
    await courses[0]!.revise(7, { 2: [1], 5: [3, 4] }) // by a process that tells nobody
    await Promise.race([load, has(down + 100)]) // the others go on
    fleet[1] = await serve()
    const again = tally.answered
    await Promise.race([load, has(again + 400), has(2_500)])
    await Promise.race([
      load,
      vi.waitUntil(() => performance.now() - begun > 10_000, { timeout: 15_000, interval: 20 }),
    ])
    over = true
    await load
    const seconds = (performance.now() - begun) / 1_000
    quiet = true
    await dropping
    await stuck.query('rollback')
    stuck.release()
    const completedByFence = await fence(commit, enrolled)

    const held = await expectExactlyOnce(w.query, followers)
    for (const id of ids) await expectWhole(w, id)
    // what the writers were told was done is what was done, each once
    const [{ count }] = (await w.query<{ count: number }>(
      `select count(*)::int from "Event" where "rootType" = 'Enrollment' and kind = 'lessonCompleted'
        and "rootId" = any($1)`,
      [ids],
    )) as [{ count: number }]
    expect(new Set(tally.completed).size).toBe(tally.completed.length)
    expect(count).toBe(tally.completed.length + completedByFence)
    report({ seconds, ...tally, completed: count, followers, held })
    expect(tally.cut).toBeGreaterThan(0)
    expect(Object.keys(tally.codes)).toContain('LESSON_NOT_FOUND')
    for (const how of Object.keys(summed(followers.map(({ ends }) => ends))))
      expect(how).toBeOneOf(['dropped', 'closed 1006']) // by themselves, or by the kill
    expect(followers.every(({ resumed }) => resumed > 2)).toBe(true)
    for (const server of fleet) expect(await server.stop()).toMatchObject({ code: 0 })
  })
})

describe('the database goes away', () => {
  const folder = () => {
    const made = fs.mkdtempSync(path.join(os.tmpdir(), `lockstep-test-${process.pid}-live-`))
    fs.chmodSync(made, 0o755)
    afterAll(() => fs.rmSync(made, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))
    return made
  }
  const folders = { restarted: folder(), crashed: folder() }

  /** A PostgreSQL of a test's own, and whoever speaks to it. */
  async function postgres(folder: string) {
    const embedded = await startEmbedded({ folder, fast: true, maxConnections: 100 })
    undo.push(() => embedded.stop())
    await migrate(embedded.url)
    const pool = (user?: string) => {
      const url = Object.assign(new URL(embedded.url), user ? { username: user } : {}).toString()
      const made = new pg.Pool({ connectionString: url, max: 12, options: '-c TimeZone=UTC' })
      made.on('error', () => {})
      made.on('connect', (client) => client.on('error', () => {}))
      undo.push(() => made.end())
      return made
    }
    const db = connect(embedded.url, { ...defaultPool, size: 1, max: 6 })
    undo.push(() => db.$disconnect())
    /** Ends it, and waits until it is back. */
    async function restart(signal: NodeJS.Signals) {
      const { pid } = embedded
      process.kill(pid, signal) // embedded.ts starts it again
      await vi.waitUntil(() => embedded.pid !== pid, { timeout: 30_000, interval: 10 })
    }
    return { embedded, pool, ...commits(db), restart, ...databaseAt(pool()) }
  }

  test('in order, and twice as in a crash, under load: nobody misses anything, and a stream that ends says that it ' +
    'may be resumed', {
    timeout: 180_000,
  }, async () => {
    const { embedded, commit, query, history, restart, pool } = await postgres(folders.restarted)
    const school = academy(commit)
    const fleet = await Promise.all([serve(embedded.url), serve(embedded.url)])
    const course = await school.course(6, { 2: [1] })
    const learners = await Promise.all(Array.from({ length: 8 }, () => school.person()))
    const instructor = await school.person('INSTRUCTOR')
    await school.teach(course.id, instructor)
    const whereabouts = random(seed)
    const url = () => whereabouts.one(fleet).url
    const classes = Array.from({ length: 4 }, () => follows('courseUpdates', course.id, instructor, url))
    await areThere(classes)
    await Promise.all(learners.map(({ token }) => fleet[0]!.enroll(token, course.id).then(payload)))
    const enrolled = learners.map((learner) => ({ learner, course }))
    const ids = learners.map(({ id }) => enrollmentOf(id, course.id))
    const followers = [...classes, ...learners.map((learner, n) => follows('enrollmentUpdates', ids[n]!, learner, url))]
    await areThere(followers)

    const tally = emptyTally()
    let over = false
    undo.push(() => (over = true))
    const beside = pool()
    const rollingBack = Array.from({ length: 3 }, (_, n) =>
      (async () => {
        while (!over) await outcome(thinkBetter(random(seed + 5_000 + n), beside, ids, () => over))
      })(),
    )
    const load = Promise.all([
      ...Array.from({ length: 24 }, (_, n) =>
        write(
          random(seed + 1_000 + n),
          `writer-${n}`,
          () => fleet[n % 2]!,
          learners[n % 8]!,
          course,
          tally,
          () => over,
        ),
      ),
      ...rollingBack,
    ])
    const dropping = Promise.all(
      followers.map((follower, n) => n % 2 && follower.dropAtRandom(random(seed + 4_000 + n), () => over)),
    )
    const more = (answers: number) => {
      const enough = tally.answered + answers
      return Promise.race([load, vi.waitUntil(() => tally.answered >= enough, { timeout: 60_000, interval: 10 })])
    }
    for (const signal of ['SIGINT', 'SIGKILL', 'SIGKILL'] as const) {
      await more(100)
      await restart(signal)
    }
    await more(100)
    over = true
    await Promise.all([load, dropping])
    const completedByFence = await fence(commit, enrolled)
    const held = await expectExactlyOnce(query, followers, 30_000)
    for (const id of ids) await expectWhole({ query, history } as never, id)
    const [{ count }] = (await query<{ count: number }>(
      `select count(*)::int from "Event" where "rootType" = 'Enrollment' and kind = 'lessonCompleted'`,
    )) as [{ count: number }]
    expect(count).toBe(tally.completed.length + completedByFence)
    report({ ...tally, completed: count, followers, held })
    for (const how of Object.keys(summed(followers.map(({ ends }) => ends))))
      expect(how).toBeOneOf(['dropped', ...RETRYABLE])
    for (const server of fleet) expect(await server.stop()).toMatchObject({ code: 0 })
  })

  test('in a crash, after which it gives out numbers of transactions again that were seen before: what they ' +
    'commit is ' +
    'told all the same', {
    timeout: 90_000,
  }, async () => {
    const { embedded, commit, query, restart, pool } = await postgres(folders.crashed)
    const superuser = pool('postgres')
    // what nobody waits for is not on the disk for so long
    await superuser.query("alter system set wal_writer_delay = '10s'")
    await superuser.query('select pg_reload_conf()')
    const school = academy(commit)
    const server = await serve(embedded.url)
    const course = await school.course(6)
    const [learner, instructor] = [await school.person(), await school.person('INSTRUCTOR')]
    await school.teach(course.id, instructor)
    const url = () => server.url
    const id = enrollmentOf(learner.id, course.id)
    const feed = follows('courseUpdates', course.id, instructor, url)
    await areThere([feed])
    payload(await server.enroll(learner.token, course.id))
    const one = follows('enrollmentUpdates', id, learner, url)
    await areThere([one])
    payload(await server.complete(learner.token, course.lesson(1)))
    await vi.waitUntil(() => feed.changes.length === 2 && one.changes.length === 1, patience)

    const draw = async () => {
      const client = await superuser.connect()
      await client.query('begin')
      const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      await client.query('rollback')
      client.release()
      return BigInt(rows[0]!.xid)
    }
    // one more is written, and with that the ten seconds begin anew, however long it took to get here
    await draw()
    const { rows } = await superuser.query<{ end: string }>('select pg_current_wal_insert_lsn()::text as end')
    await superuser.query('select pg_reload_conf()') // wakes the one who writes
    await vi.waitFor(
      async () =>
        expect(
          (await superuser.query('select pg_current_wal_lsn() >= $1::pg_lsn as written', [rows[0]!.end])).rows,
        ).toEqual([{ written: true }]),
      { timeout: 40_000, interval: 10 },
    )
    // numbers are drawn, and nothing is written under them
    const drawn: bigint[] = []
    for (let n = 0; n < 12; n++) drawn.push(await draw())
    const [{ now }] = (await query<{ now: Date }>('select clock_timestamp() as now')) as [{ now: Date }]
    await vi.waitFor(
      async () =>
        expect(
          await query(
            `select from pg_stat_activity where application_name = $1 and query_start > $2 and state = 'idle'`,
            [READER, now],
          ),
        ).toHaveLength(1),
      patience,
    ) // the server has looked, and seen that these are over
    // now one comes, and another one comes and goes
    let isAway = false
    const fresh = follows('courseUpdates', course.id, instructor, url)
    const away = follows('courseUpdates', course.id, instructor, () => (isAway ? 'http://127.0.0.1:1' : server.url))
    await areThere([fresh, away])
    isAway = true
    away.drop()
    await restart('SIGKILL')

    for (const lesson of [2, 3, 4])
      await vi.waitFor(async () => payload(await server.complete(learner.token, course.lesson(lesson))), patience)
    const again = await query<{ xid: string }>(
      `select xid::text from "Event" where "rootId" = $1 and version > 2 order by version`,
      [id],
    )
    expect(BigInt(again[0]!.xid), 'a number was given out again').toBeLessThanOrEqual(drawn.at(-1)!)
    isAway = false
    const late = [fresh, away] // they began at version 2
    await vi.waitUntil(() => late.every(({ changes }) => changes.length === 3), patience).catch(() => {})
    await expectExactlyOnce(query, [feed, one])
    for (const { changes, snapshots } of late) {
      expect(changes.map(({ version }) => version)).toEqual([3, 4, 5])
      expect(snapshots.map(({ reason }) => reason)).toEqual(['INITIAL'])
    }
    expect(await server.stop()).toMatchObject({ code: 0 })
  })
})

describe('the connection that reads the journal', () => {
  test('is killed again and again under load: it is back each time, and nothing is missed', {
    timeout: 60_000,
  }, async () => {
    const school = academy(commit)
    const fleet = await Promise.all([serve(), serve()])
    const course = await school.course(6)
    const learners = await Promise.all(Array.from({ length: 6 }, () => school.person()))
    const admin = await school.person('ADMIN')
    const classes = fleet.map(({ url }) => follows('courseUpdates', course.id, admin, () => url))
    await areThere(classes)
    await Promise.all(learners.map(({ token }) => fleet[0]!.enroll(token, course.id).then(payload)))
    const followers = [
      ...classes,
      ...learners.map((learner, n) =>
        follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), learner, () => fleet[n % 2]!.url),
      ),
    ]
    await areThere(followers)
    const tally = emptyTally()
    let over = false
    undo.push(() => (over = true))
    const load = Promise.all([
      ...Array.from({ length: 18 }, (_, n) =>
        write(
          random(seed + 1_000 + n),
          `killing-${n}`,
          () => fleet[n % 2]!,
          learners[n % 6]!,
          course,
          tally,
          () => over,
        ),
      ),
      ...Array.from({ length: 3 }, (_, n) => writeBeside(random(seed + 2_000 + n), w.psql, course, 300, () => over)),
    ])
    const r = random(seed + 6_000)
    let killed = 0
    while (killed < 40) {
      await Promise.race([load, r.pause(20, 350)])
      killed += await readersKilled()
    }
    over = true
    await load
    await fence(
      commit,
      learners.map((learner) => ({ learner, course })),
    )
    const held = await expectExactlyOnce(w.query, followers)
    const lost = await Promise.all(fleet.map((server) => server.metric('lockstep_journal_lost_total')))
    report({ ...tally, completed: tally.completed.length, killed, lost, followers, held })
    expect(followers.flatMap(({ ends }) => Object.keys(ends))).toEqual([]) // nobody who follows notices
    for (const server of fleet) expect(await server.stop()).toMatchObject({ code: 0 })
  })

  test('is killed between the pages of what was committed at once: no page is missed, and none is told twice', {
    timeout: 90_000,
  }, async () => {
    const school = academy(commit)
    const server = await serve()
    const course = await school.course(1)
    const admin = await school.person('ADMIN')
    const followers = Array.from({ length: 4 }, () => follows('courseUpdates', course.id, admin, () => server.url))
    await areThere(followers)
    const r = random(seed + 7_000)
    let over = false
    undo.push(() => (over = true))
    // somewhere within what is told at once
    for (const follower of followers.slice(0, 2)) follower.heard = () => r.next() < 0.003 && follower.drop()
    let [killed, lives] = [0, 0]
    const killing = (async () => {
      while (!over) {
        await r.pause(2, 60)
        if (lives > 0) {
          const now = await readersKilled()
          killed += now
          lives -= now
        }
      }
    })()
    const due = () =>
      w.query<{ n: number }>(`select count(*)::int as n from "Event" where topic = $1 and "rootType" = 'Enrollment'`, [
        `Course:${course.id}`,
      ])
    for (let burst = 0; burst < 2; burst++) {
      lives = 8
      await w.query(
        `insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
          select 'Enrollment', id, version, $1, 'lessonOpened', '{}',
            json_build_object('id', id, 'version', version, 'lessonsVersion', 1, 'completed', 0, 'total', 6, 'attempt',
            1, 'enrolledAt', now(), 'completedAt', null, 'lastActivityAt', now()), 'system', now()
          from (select format('burst-%s.%s', root, $2::text) as id, $3::int * 75 + version as version
          from generate_series(1, 40) root, generate_series(1, 75) version) e`,
        [`Course:${course.id}`, course.id, burst],
      )
      const [{ n }] = (await due()) as [{ n: number }]
      await vi.waitUntil(() => followers[3]!.changes.length >= n, { timeout: 25_000, interval: 10 })
    }
    over = true
    await killing
    const held = await expectExactlyOnce(w.query, followers)
    report({ killed, held, followers })
    expect(held).toEqual([6_000, 6_000, 6_000, 6_000])
    for (const how of Object.keys(summed(followers.map(({ ends }) => ends))))
      expect(how).toBeOneOf(['dropped', 'too_slow'])
  })

  test('hears of a commit in another process long before it would have looked by itself', async () => {
    const school = academy(commit)
    const [here, there] = await Promise.all([serve(), serve()])
    const course = await school.course(5)
    const learner = await school.person()
    payload(await here!.enroll(learner.token, course.id))
    const follower = follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), learner, () => there!.url)
    await areThere([follower])
    const took: number[] = []
    for (let n = 0; n < 50; n++) {
      const lesson = course.lesson(1 + (n % 5))
      if (n % 10 < 5) payload(await here!.complete(learner.token, lesson))
      else payload(await here!.resetLesson(learner.token, lesson))
      const answered = performance.now()
      const [{ version }] = (await w.query<{ version: number }>(`select version from "Enrollment" where id = $1`, [
        follower.id,
      ])) as [{ version: number }]
      await vi.waitUntil(() => follower.changes.at(-1)?.version === version, { timeout: 5_000, interval: 1 })
      took.push(performance.now() - answered)
    }
    took.sort((a, b) => a - b)
    const [p50, p95, most] = [took[25]!, took[47]!, took[49]!].map(Math.round) as [number, number, number]
    console.log(JSON.stringify({ p50, p95, most }))
    expect(p50).toBeLessThan(250)
    expect(await expectExactlyOnce(w.query, [follower])).toEqual([expect.toSatisfy((count: number) => count >= 50)])
  })

  test('and all others find no database for a while: who is connected stays so and is caught up, who comes is ' +
    'told to ' +
    'come again', {
    timeout: 60_000,
  }, async () => {
    const school = academy(commit)
    const network = await proxy(w.url)
    undo.push(network.close)
    const [behind, beside] = await Promise.all([serve(network.url), serve()])
    const course = await school.course(4)
    const [learner, admin] = [await school.person(), await school.person('ADMIN')]
    const url = () => behind!.url
    const feed = follows('courseUpdates', course.id, admin, url)
    await areThere([feed])
    payload(await behind!.enroll(learner.token, course.id))
    const [one, gone] = [learner, admin].map((person) =>
      follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), person, url),
    ) as [Follower, Follower]
    await areThere([one, gone])
    payload(await behind!.complete(learner.token, course.lesson(1)))
    await vi.waitUntil(() => [one, gone].every(({ changes }) => changes.length === 1), patience)

    network.unreachable = true
    network.cut()
    gone.drop() // and comes back in the middle of it, with a cursor
    payload(await beside!.complete(learner.token, course.lesson(2)))
    await course.revise(5) // which looks at once like a change of who may see this
    payload(await beside!.complete(learner.token, course.lesson(3)))
    await vi.waitUntil(() => Object.entries(gone.ends).some(([how, times]) => how !== 'dropped' && times >= 2), {
      timeout: 30_000,
      interval: 20,
    })
    payload(await beside!.resetLesson(learner.token, course.lesson(1)))
    network.unreachable = false

    await fence(commit, [{ learner, course }])
    await expectExactlyOnce(w.query, [feed, one, gone])
    report({ followers: [feed, one, gone] })
    expect({ ...feed.ends, ...one.ends }).toEqual({})
    for (const how of Object.keys(gone.ends)) expect(how).toBeOneOf(['dropped', ...RETRYABLE])
    expect(await behind!.stop()).toMatchObject({ code: 0 })
  })

  test.each([
    ['alone goes silent, as behind a router that forgot it', READER],
    ['goes silent with all others of its process', ''],
  ])('%s: the server finds out by itself, and tells what was missed', { timeout: 60_000 }, async (_, whose) => {
    const school = academy(commit)
    const network = await muffler(w.url, whose)
    undo.push(network.close)
    const [behind, beside] = await Promise.all([serve(network.url), serve()])
    const course = await school.course(5)
    const learners = await Promise.all([school.person(), school.person()])
    const admin = await school.person('ADMIN')
    const followers = [follows('courseUpdates', course.id, admin, () => behind!.url)]
    await areThere(followers)
    for (const learner of learners) {
      payload(await behind!.enroll(learner.token, course.id))
      followers.push(follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), learner, () => behind!.url))
    }
    await areThere(followers)
    for (const { token } of learners) payload(await behind!.complete(token, course.lesson(1)))
    await vi.waitUntil(() => followers[0]!.changes.length === 4, patience)

    network.silent = true
    for (const { token } of learners) payload(await beside!.complete(token, course.lesson(2)))
    await vi.waitUntil(() => network.silenced > 0, patience)
    for (const { token } of learners) payload(await beside!.complete(token, course.lesson(3)))
    expect(followers[0]!.changes).toHaveLength(4) // nobody can have told them
    await vi.waitFor(async () => expect(await behind!.metric('lockstep_journal_lost_total')).toBeGreaterThan(0), {
      timeout: 20_000,
      interval: 20,
    })
    const noticed = performance.now()
    network.silent = false // the network is there again; the connections of before are not
    const took = vi
      .waitUntil(() => followers[0]!.changes.length === 8, { timeout: 30_000, interval: 10 })
      .then(() => performance.now() - noticed)
    await took
    for (const { token } of learners)
      await vi.waitFor(async () => payload(await behind!.complete(token, course.lesson(4))), {
        timeout: 30_000,
        interval: 50,
      })
    const after = performance.now() - noticed
    await expectExactlyOnce(w.query, followers)
    console.log(
      JSON.stringify({
        toldAfterMs: Math.round(await took),
        writesAfterMs: Math.round(after),
        ends: summed(followers.map(({ ends }) => ends)),
      }),
    )
  })
})

describe('a server that is killed between COMMIT and the push', () => {
  test('owes its followers nothing: started again, it tells them the event, once', { timeout: 90_000 }, async () => {
    const school = academy(commit)
    const course = await school.course(6)
    const [learner, admin] = [await school.person(), await school.person('ADMIN')]
    const network = await proxy(w.url)
    undo.push(network.close)
    let server = await serve(network.url)
    const url = () => server.url
    const feed = follows('courseUpdates', course.id, admin, url)
    await areThere([feed])
    payload(await server.enroll(learner.token, course.id))
    const one = follows('enrollmentUpdates', enrollmentOf(learner.id, course.id), learner, url)
    await areThere([one])
    await vi.waitUntil(() => feed.changes.length === 1, patience)

    let between = 0
    for (let lesson = 1; lesson <= 6 && between < 2; lesson++) {
      const idempotencyKey = randomUUID()
      Object.assign(network, { atCommit: 'keep the reply', times: 1, met: 0 })
      const meeting = network.meeting()
      const lost = outcome(server.complete(learner.token, course.lesson(lesson), { idempotencyKey }))
      await meeting // PostgreSQL has committed, and the server has not heard so
      server.kill('SIGKILL')
      expect(await server.exit).toMatchObject({ signal: 'SIGKILL' })
      expect(await lost).toBeInstanceOf(Error)
      const version = lesson + 1
      expect(await w.query(`select version from "Enrollment" where id = $1`, [one.id])).toEqual([{ version }])
      // it looked by itself in just that moment: another try
      const [wasPushed] = [feed, one].map(({ changes }) => changes.at(-1)?.version === version)
      if (!wasPushed) between++

      server = await serve(network.url)
      await vi.waitUntil(() => [feed, one].every(({ changes }) => changes.at(-1)?.version === version), patience)
      expect(payload(await server.complete(learner.token, course.lesson(lesson), { idempotencyKey }))).toMatchObject({
        version,
        replayed: true,
      })
    }
    expect(between).toBe(2)
    await fence(commit, [{ learner, course }])
    await expectExactlyOnce(w.query, [feed, one])
  })
})
