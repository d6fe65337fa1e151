import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterEach, expect, vi } from 'vitest'
import type { Actor } from '../src/commit/aggregate.ts'
import type { Commit, CommitOptions, Watcher } from '../src/commit/commit.ts'
import { completeLesson } from '../src/learning/completeLesson.ts'
import { enroll } from '../src/learning/enroll.ts'
import { enrollmentOf } from '../src/learning/id.ts'
import { resetProgress } from '../src/learning/resetProgress.ts'
import { academy, type TestCourse } from './academy.ts'
import type { world } from './world.ts'

export type World = Awaited<ReturnType<typeof world>>

/** A learner in a course, and what they ask. */
export interface Learner {
  readonly id: string
  readonly actor: Actor
  readonly enrollmentId: string
  complete(lesson: number, more?: More): ReturnType<typeof completed>
  reset(more?: More): ReturnType<typeof wasReset>
  enroll(more?: More): ReturnType<typeof enrolled>
}
interface More {
  readonly key?: string
  readonly expectedVersion?: number
  /** Through which process. */
  readonly by?: Commit
}

const completed = (commit: Commit, actor: Actor, lessonId: string, more: More) =>
  commit(completeLesson, { actor, input: { learnerId: actor.id, lessonId }, ...more })
const wasReset = (commit: Commit, actor: Actor, enrollmentId: string, more: More) =>
  commit(resetProgress, { actor, input: { enrollmentId }, ...more })
const enrolled = (commit: Commit, actor: Actor, courseId: string, more: More) =>
  commit(enroll, { actor, input: { learnerId: actor.id, courseId }, ...more })

/** Learners of one course, who ask through one process unless they say through which. */
export async function learners(
  w: World,
  commit: Commit,
  count: number,
  course: TestCourse,
  { enroll = true } = {},
): Promise<Learner[]> {
  const prefix = randomUUID().slice(0, 8)
  const ids = Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`)
  await w.query(
    `insert into "User" (id, version, name, role, "createdAt") select id, 1, id, 'LEARNER', now()
      from unnest($1::text[]) as x (id)`,
    [ids],
  )
  const all = ids.map((id): Learner => {
    const actor: Actor = { id, role: 'LEARNER' }
    const enrollmentId = enrollmentOf(id, course.id)
    return {
      id,
      actor,
      enrollmentId,
      complete: (lesson, { by = commit, ...more } = {}) => completed(by, actor, course.lesson(lesson), more),
      reset: ({ by = commit, ...more } = {}) => wasReset(by, actor, enrollmentId, more),
      enroll: ({ by = commit, ...more } = {}) => enrolled(by, actor, course.id, more),
    }
  })
  if (enroll) await Promise.all(all.map((learner) => learner.enroll()))
  return all
}

/** What a process told of its way in. */
export function recorder() {
  const sizes: number[] = []
  const met: Partial<Record<Parameters<NonNullable<Watcher['met']>>[0], object[]>> = {}
  const failures: unknown[] = []
  const settled: string[] = []
  const watch: Watcher = {
    batch: (size) => sizes.push(size),
    met: (race, detail) => (met[race] ??= []).push(detail),
    failed: (error) => failures.push(error),
    settled: (verb, outcome) => settled.push(`${verb} ${outcome}`),
  }
  const clear = () => {
    for (const list of [sizes, failures, settled]) list.length = 0
    for (const race of Object.keys(met)) delete met[race as keyof typeof met]
  }
  const times = (race: keyof typeof met) => met[race]?.length ?? 0
  return { sizes, met, failures, settled, times, watch, clear }
}

/** A process and what it told. */
export function recorded(w: World, pool: Parameters<World['process']>[0] = {}, options: CommitOptions = {}) {
  const record = recorder()
  return { ...w.process(pool, { ...options, watch: record.watch }), record }
}

/** Means to look into, and to get in the way of, what happens in a database. */
export async function outsiders(w: World) {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  // whoever appends to the journal passes gate 1; it is open unless somebody shuts it
  await w.query(
    `create function pass_the_gate() returns trigger language plpgsql as $$ begin perform
      pg_advisory_xact_lock_shared(1); return null; end $$`,
  )
  await w.query(`create trigger a_gate before insert on "Event" for each statement execute function pass_the_gate()`)

  /** Somebody else's session with a transaction open; ended with the test at the latest. */
  async function outsider() {
    const client = await w.psql.connect()
    client.on('error', ignore)
    await client.query('begin')
    const [{ pid }] = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows as [{ pid: number }]
    let ended: Promise<void> | undefined
    const end = (how: 'commit' | 'rollback' = 'rollback') =>
      (ended ??= client.query(how).then(
        () => {
          client.off('error', ignore)
          client.release()
        },
        (error) => client.release(error),
      ))
    undo.push(() => end())
    return {
      pid,
      end,
      query: (text: string, values?: unknown[]) => client.query(text, values) as Promise<pg.QueryResult>,
    }
  }

  /** Shuts a gate; `open` lets everybody through. */
  async function gate(id = 1) {
    const client = await w.psql.connect()
    await client.query('select pg_advisory_lock($1)', [id])
    let opened: Promise<void> | undefined
    const open = () => (opened ??= client.query('select pg_advisory_unlock($1)', [id]).then(() => client.release()))
    undo.push(open)
    const waiting = async () =>
      (
        await w.query<{ pid: number }>(
          `select pid from pg_locks where locktype = 'advisory' and objid = $1 and not granted
            and database = (select oid from pg_database where datname = current_database())`,
          [id],
        )
      ).map(({ pid }) => pid)
    /** Resolves when so many wait at it, with their process ids. */
    const reached = (count = 1) =>
      vi.waitFor(async () => {
        const pids = await waiting()
        expect(pids).toHaveLength(count)
        return pids
      }, patience)
    return { open, waiting, reached }
  }

  /** The process ids of our own sessions that wait for somebody's lock. */
  const blocked = async () =>
    (
      await w.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'lockstep'
          and wait_event_type = 'Lock'`,
      )
    ).map(({ pid }) => pid)
  /** Resolves when so many of our sessions wait for a lock. */
  const untilBlocked = (count = 1) =>
    vi.waitFor(async () => {
      const pids = await blocked()
      expect(pids).toHaveLength(count)
      return pids
    }, patience)

  /** Holds roots as whoever changes them does. */
  async function holds(ids: readonly string[], mode = 'no key update') {
    const holder = await outsider()
    await holder.query(`select from "Enrollment" where id = any($1) order by id for ${mode}`, [ids])
    return holder
  }

  return { undo, outsider, gate, holds, blocked, untilBlocked, course: academy }
}

const ignore = () => {}
export const patience = { timeout: 25_000, interval: 5 }

/** Whether it is settled by now. */
export function pending(promises: readonly Promise<unknown>[]) {
  let open = promises.length
  for (const promise of promises)
    promise.then(
      () => open--,
      () => open--,
    )
  return {
    get count() {
      return open
    },
  }
}
