import { randomUUID } from 'node:crypto'
import { type Actor, system } from '../src/commit/aggregate.ts'
import type { Commit } from '../src/commit/commit.ts'
import { registerUser } from '../src/identity/registerUser.ts'
import { startSession } from '../src/identity/startSession.ts'
import { hashOf, type UserState } from '../src/identity/userAggregate.ts'
import { assignInstructor } from '../src/learning/assignInstructor.ts'
import { idOf } from '../src/commit/derivedId.ts'
import type { LessonState } from '../src/learning/courseAggregate.ts'
import { reviseCourse } from '../src/learning/reviseCourse.ts'

export { system }
/** A person who can sign in. */
export interface Person {
  readonly id: string
  readonly token: string
  readonly actor: Actor
}

/** A course made for a test: lesson n of it, and item m of that. */
export interface TestCourse {
  readonly id: string
  readonly slug: string
  lesson(n: number): string
  item(n: number, m?: number): string
  /** Makes it so: how many lessons, what each requires (by number), which are inactive; through which process. */
  revise(
    lessons: number,
    requires?: Record<number, readonly number[]>,
    inactive?: readonly number[],
    by?: Commit,
  ): Promise<number>
}

/** People and courses for a test, made as the product makes them. */
export function academy(commit: Commit) {
  async function person(role: UserState['role'] = 'LEARNER', name = role.toLowerCase()): Promise<Person> {
    const id = `${name}-${randomUUID().slice(0, 8)}`
    const token = `token-of-${id}`
    await commit(registerUser, { actor: system, input: { userId: id, name, role } })
    await commit(startSession, {
      actor: system,
      input: { userId: id, tokenHash: hashOf(token), expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
    })
    return { id, token, actor: { id, role } }
  }

  async function course(lessons: number, requires: Record<number, readonly number[]> = {}): Promise<TestCourse> {
    const slug = `course-${randomUUID().slice(0, 8)}`
    const id = idOf(slug)
    const lesson = (n: number) => `${id}.lesson${n}`
    const item = (n: number, m = 1) => `${lesson(n)}.item${m}`
    const made: TestCourse = {
      id,
      slug,
      lesson,
      item,
      async revise(count, needs = {}, inactive = [], by = commit) {
        const states = Array.from({ length: count }, (_, i): [string, LessonState] => {
          const n = i + 1
          const contents = Object.fromEntries(
            [1, 2].map((m) => [item(n, m), { position: m, title: `Item ${m}`, kind: 'TEXT' as const, active: true }]),
          )
          return [
            lesson(n),
            {
              slug: `lesson-${n}`,
              position: n,
              title: `Lesson ${n}`,
              active: !inactive.includes(n),
              requires: (needs[n] ?? []).map(lesson),
              contents,
            },
          ]
        })
        const { version } = await by(reviseCourse, {
          actor: system,
          input: { courseId: id, slug, title: slug, description: '', lessons: Object.fromEntries(states) },
        })
        return version
      },
    }
    await made.revise(lessons, requires)
    return made
  }

  const teach = (courseId: string, { id }: Person) =>
    commit(assignInstructor, { actor: system, input: { courseId, userId: id } })

  return { person, course, teach }
}
