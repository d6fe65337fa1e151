import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { type Db, sql } from '../database/client.ts'
import { Unavailable } from '../commit/errors.ts'
import { catchUp } from './catchUp.ts'
import { NotEnrolled } from './enrollmentAggregate.ts'

/** What is to be brought up to its course, and by which way in. */
export interface CatchUpOptions {
  readonly db: Db
  readonly commit: Commit
  /** Only this course's enrollments. */
  readonly courseId?: string
  /** Told after each enrollment; how many there are is counted only if somebody wants to know. */
  readonly onProgress?: (done: number, total: number) => void
  /** Begins no more; what is under way is finished. */
  readonly signal?: AbortSignal
}

/** What became of them. */
export interface CaughtUp {
  /** How many were evaluated anew. */
  readonly reevaluated: number
  /** Those that could not be, and why: they are still behind, for another time to try. */
  readonly left: readonly { readonly enrollmentId: string; readonly error: unknown }[]
}

/** How many are asked for at once, so that they go in batches, and how many are looked up at once. */
const atOnce = 64
const page = 5_000
/** With so many that can't be caught up something is wrong that the others have in common. */
const tooMany = 1_000

/**
 * Evaluates anew each enrollment whose course has changed since it was last evaluated. Throws Unavailable if the
 * database goes away; whatever was done is done.
 */
export async function catchUpAll({ db, commit, courseId, onProgress, signal }: CatchUpOptions): Promise<CaughtUp> {
  const total = onProgress ? await countOverdue(db, courseId) : 0
  const left: { enrollmentId: string; error: unknown }[] = []
  let reevaluated = 0
  let done = 0
  let failure: unknown
  const unchanged = new Set<string>()

  /**
   * Somebody else was first, or has deleted it, and then it is not found again. If it is, and nothing changes again, it
   * would be found for ever.
   */
  function hadNoEffect(enrollmentId: string) {
    if (unchanged.has(enrollmentId))
      left.push({ enrollmentId, error: new Error('It is behind its course, and nothing changes that.') })
    unchanged.add(enrollmentId)
  }
  async function catchUpOne(enrollmentId: string) {
    try {
      const { changed } = await commit(catchUp, { actor: system, input: { enrollmentId } })
      if (changed) reevaluated++
      else hadNoEffect(enrollmentId)
    } catch (error) {
      if (error instanceof Unavailable) failure ??= error
      if (error instanceof NotEnrolled) hadNoEffect(enrollmentId)
      else left.push({ enrollmentId, error })
    }
  }
  async function work(rest: Iterable<string>) {
    for (const enrollmentId of rest) {
      if (signal?.aborted || failure || left.length >= tooMany) return
      await catchUpOne(enrollmentId)
      onProgress?.(++done, Math.max(done, total))
    }
  }

  while (!signal?.aborted && left.length < tooMany) {
    const found = await overdue(
      db,
      courseId,
      left.map(({ enrollmentId }) => enrollmentId),
    )
    if (!found.length) break
    const rest = found.values() // one iterator, which all of them take from
    await Promise.all(Array.from({ length: atOnce }, () => work(rest)))
    if (failure) throw failure
  }
  return { reevaluated, left }
}

/** How many enrollments are behind their course. */
export async function countOverdue(db: Db, courseId?: string): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>(sql`
    select coalesce(sum(n), 0)::int as count from "Course" c
    cross join lateral (select count(*) as n from "Enrollment" e where e."courseId" = c.id and e."courseVersion" < c."lessonsVersion") e
    where ${courseId ?? null}::text is null or c.id = ${courseId ?? null}::text`)
  return row!.count
}

/**
 * In no order, and without a place to go on from: those that are caught up are no longer found. Where none is behind,
 * this is one look into an index for each course.
 */
async function overdue(db: Db, courseId: string | undefined, failed: readonly string[]): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>(sql`
    select e.id from "Course" c
    cross join lateral (select e.id from "Enrollment" e where e."courseId" = c.id and e."courseVersion" < c."lessonsVersion" and e.id <> all(${failed}::text[]) limit ${page}::int) e
    where ${courseId ?? null}::text is null or c.id = ${courseId ?? null}::text limit ${page}::int`)
  return rows.map(({ id }) => id)
}

/** Keeps all enrollments caught up. */
export interface KeepsCaughtUp {
  /** A course may have changed: look now, not only when it is time. */
  ring(): void
  /** Resolves when what was under way is finished; nothing is begun any more. */
  stop(): Promise<void>
}

/** What is to be kept caught up, and who is told how it goes. */
export interface KeepCaughtUpOptions extends Pick<CatchUpOptions, 'db' | 'commit'> {
  /** How often it is looked, rung or not. */
  readonly everyMs?: number
  readonly log?: { info(context: object, message: string): void; warn(context: object, message: string): void }
}

/**
 * Catches up whatever is behind: at once, when it is rung, and every so often. It remembers nothing: the work to do is
 * what the database says is behind, so it goes on where another process was killed, and outlives an outage.
 */
export function keepCaughtUp({ db, commit, everyMs = 3_000, log }: KeepCaughtUpOptions): KeepsCaughtUp {
  const ended = new AbortController()
  const { signal } = ended
  let rung = false
  let wake = () => {}
  let failures = 0

  const ring = () => {
    rung = true
    wake()
  }

  async function pass() {
    try {
      const { reevaluated, left } = await catchUpAll({ db, commit, signal })
      if (failures) log?.info({ failures }, 'Enrollments are caught up again.')
      failures = 0
      if (reevaluated) log?.info({ reevaluated }, 'Courses changed; their enrollments were evaluated anew.')
      if (left.length)
        log?.warn(
          { err: left[0]!.error, left: left.length, enrollmentId: left[0]!.enrollmentId },
          'Some enrollments could not be evaluated anew; trying again later.',
        )
    } catch (error) {
      if (failures++ === 0)
        log?.warn(
          { err: error, everyMs },
          'Enrollments could not be caught up with their courses; trying again until they can.',
        )
    }
  }

  async function run() {
    while (!signal.aborted) {
      rung = false // whatever it is rung for from now on, this pass may miss
      await pass()
      if (rung || signal.aborted) continue
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  const running = run()
  return {
    ring,
    stop() {
      ended.abort()
      wake()
      return running
    },
  }
}
