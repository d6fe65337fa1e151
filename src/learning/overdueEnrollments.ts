import { system } from '../commit/aggregate.ts'
import type { Commit } from '../commit/commit.ts'
import { Unavailable } from '../commit/errors.ts'
import { type Db, sql } from '../database/client.ts'
import { catchUp } from './catchUp.ts'
import { NotEnrolled } from './enrollmentAggregate.ts'

export interface CatchUpOptions {
  readonly db: Db
  readonly commit: Commit
  /** Only this course's enrollments. */
  readonly courseId?: string
  /** Called after each enrollment. The total is counted only if this is given. */
  readonly onProgress?: (done: number, total: number) => void
  /** Starts no more; what is under way is finished. */
  readonly signal?: AbortSignal
}

export interface CaughtUp {
  /** How many enrollments were evaluated again. */
  readonly reevaluated: number
  /** The enrollments that could not be evaluated, and why. They stay overdue; a later call tries again. */
  readonly left: readonly Failure[]
}
interface Failure {
  readonly enrollmentId: string
  readonly error: unknown
}

/** The most requests in flight, so that they share batches; the most enrollments looked up at once. */
const [IN_FLIGHT, PAGE] = [64, 5_000]
/** After so many failures, the cause is most likely one that the others have too. */
const MOST_FAILURES = 1_000

/**
 * Evaluates again each enrollment whose course has changed since its last evaluation. Throws Unavailable if the
 * database cannot be reached; what was done before stays done.
 */
export async function catchUpAll(options: CatchUpOptions): Promise<CaughtUp> {
  const { db, courseId, onProgress } = options
  const run = new Run(options, onProgress ? await countOverdue(db, courseId) : 0)
  while (!run.isOver) {
    const found = await overdue(
      db,
      courseId,
      run.left.map(({ enrollmentId }) => enrollmentId),
    )
    if (!found.length) break
    await run.catchUp(found)
  }
  return run
}

/** One call of `catchUpAll`. */
class Run implements CaughtUp {
  readonly left: Failure[] = []
  reevaluated = 0
  readonly #options: CatchUpOptions
  readonly #total: number
  /** The enrollments that a commit did not change. */
  readonly #unchanged = new Set<string>()
  #done = 0
  #unavailable: Unavailable | undefined

  constructor(options: CatchUpOptions, total: number) {
    this.#options = options
    this.#total = total
  }

  get isOver(): boolean {
    return Boolean(this.#options.signal?.aborted) || this.left.length >= MOST_FAILURES
  }

  async catchUp(enrollmentIds: readonly string[]): Promise<void> {
    const rest = enrollmentIds.values() // one iterator for all workers
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#work(rest)))
    if (this.#unavailable) throw this.#unavailable
  }

  async #work(rest: Iterable<string>): Promise<void> {
    for (const enrollmentId of rest) {
      if (this.isOver || this.#unavailable) return
      await this.#one(enrollmentId)
      this.#options.onProgress?.(++this.#done, Math.max(this.#done, this.#total))
    }
  }

  async #one(enrollmentId: string): Promise<void> {
    try {
      const { changed } = await this.#options.commit(catchUp, { actor: system, input: { enrollmentId } })
      if (changed) this.reevaluated++
      else this.#noEffect(enrollmentId)
    } catch (error) {
      if (error instanceof Unavailable) this.#unavailable ??= error
      if (error instanceof NotEnrolled) this.#noEffect(enrollmentId)
      else this.left.push({ enrollmentId, error })
    }
  }

  /**
   * Another process has evaluated the enrollment, or it was deleted; in both cases it is not found again. If it is, and
   * nothing changes a second time, it would be found for ever.
   */
  #noEffect(enrollmentId: string): void {
    if (this.#unchanged.has(enrollmentId))
      this.left.push({
        enrollmentId,
        error: new Error('The enrollment is overdue, and evaluating it changes nothing.'),
      })
    this.#unchanged.add(enrollmentId)
  }
}

/** How many enrollments are overdue: their course has changed since their last evaluation. */
export async function countOverdue(db: Db, courseId?: string): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>(sql`
    select coalesce(sum(n), 0)::int as count from "Course" c
    cross join lateral (
      select count(*) as n from "Enrollment" e
      where e."courseId" = c.id and e."lessonsVersion" < c."lessonsVersion") e
    where ${courseId ?? null}::text is null or c.id = ${courseId ?? null}::text`)
  return row!.count
}

/**
 * A page of overdue enrollments but for those that failed, in no order; those that were evaluated are not found again.
 * Where none is overdue, this is one look into an index for each course.
 */
async function overdue(db: Db, courseId: string | undefined, failed: readonly string[]): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>(sql`
    select e.id from "Course" c
    cross join lateral (
      select e.id from "Enrollment" e
      where e."courseId" = c.id and e."lessonsVersion" < c."lessonsVersion" and e.id <> all(${failed}::text[])
      limit ${PAGE}::int) e
    where ${courseId ?? null}::text is null or c.id = ${courseId ?? null}::text limit ${PAGE}::int`)
  return rows.map(({ id }) => id)
}
