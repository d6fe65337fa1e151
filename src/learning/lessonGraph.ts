import { DomainError } from '../commit/errors.ts'
import { courseOf, lessonOf } from './id.ts'
import type { LessonState } from './courseAggregate.ts'

/** The lessons of the course contradict each other. */
export class InvalidCourse extends DomainError {
  /** All that is wrong, in sentences. */
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(
      problems.length === 1
        ? `The course cannot be like this. ${problems[0]}`
        : `The course cannot be like this, for ${problems.length} reasons. ${problems.join(' ')}`,
    )
    this.problems = problems
  }
}

type Lessons = Readonly<Record<string, LessonState>>

/**
 * Throws InvalidCourse if a course can't have these lessons. `all` also has the inactive ones, which the course keeps
 * because of the progress in them.
 */
export function checkLessons(courseId: string, lessons: Lessons, all: Lessons = lessons): void {
  const problems = problemsIn(courseId, lessons, all)
  if (problems.length) throw new InvalidCourse(problems)
}

/** All that is wrong with a course's lessons, in sentences. None: they are consistent, and each can be unlocked. */
export function problemsIn(courseId: string, lessons: Lessons, all: Lessons = lessons): string[] {
  const problems: string[] = []
  const name = (id: string) => JSON.stringify(lessons[id]?.slug || id)
  const bySlug = new Map<string, string>()
  for (const [id, { slug }] of Object.entries(all)) {
    if (bySlug.has(slug))
      problems.push(`Two lessons have the slug ${JSON.stringify(slug)}: ${bySlug.get(slug)} and ${id}.`)
    else bySlug.set(slug, id)
  }
  const graph = new Map<string, readonly string[]>()
  for (const [id, { slug, title, requires, contents }] of Object.entries(lessons)) {
    if (!id.startsWith(`${courseId}.`) || lessonOf(id) !== id)
      problems.push(`The lesson ${name(id)} has the id ${id}, which is not an id of the course ${courseId}.`)
    if (!slug.trim()) problems.push(`The lesson ${id} has no slug.`)
    if (!title.trim()) problems.push(`The lesson ${name(id)} has no title.`)
    for (const item in contents) {
      if (!item.startsWith(`${id}.`))
        problems.push(`The lesson ${name(id)} has content with the id ${item}, which is not an id of the lesson.`)
      if (!contents[item]!.title.trim()) problems.push(`The lesson ${name(id)} has content without a title: ${item}.`)
    }
    const others = new Set<string>()
    for (const required of requires) {
      if (required === id) problems.push(`The lesson ${name(id)} requires itself.`)
      else if (courseOf(required) !== courseId)
        problems.push(`The lesson ${name(id)} requires ${required}, which is of another course.`)
      else if (!lessons[required])
        problems.push(`The lesson ${name(id)} requires ${required}, which the course does not have.`)
      else if (others.has(required)) problems.push(`The lesson ${name(id)} requires ${name(required)} twice.`)
      else others.add(required)
    }
    graph.set(id, [...others])
  }
  for (const cycle of unlockOrder(graph).cycles)
    problems.push(`Lessons require each other in a circle: ${cycle.map(name).join(' requires ')}.`)
  return problems
}

/** Lessons in an order in which they can be done, and what makes that impossible. */
export interface UnlockOrder {
  /** The order given, changed only as far as a lesson must come after those that it requires. */
  readonly order: readonly string[]
  /**
   * Paths that come back to where they began, each step from a lesson to one that it requires; none: the order is one.
   */
  readonly cycles: readonly (readonly string[])[]
}

/**
 * Orders lessons so that each comes after those that it requires. Its own stack, since a chain of lessons may be longer
 * than the call stack is deep.
 */
export function unlockOrder(requires: ReadonlyMap<string, readonly string[]>): UnlockOrder {
  const order: string[] = []
  const cycles: string[][] = []
  const state = new Map<string, 'open' | 'done'>()
  const path: { readonly id: string; readonly rest: Iterator<string> }[] = []
  const enter = (id: string) => {
    state.set(id, 'open')
    path.push({ id, rest: requires.get(id)![Symbol.iterator]() })
  }
  for (const start of requires.keys()) {
    if (!state.has(start)) enter(start)
    while (path.length) {
      const { id, rest } = path.at(-1)!
      const { value: next, done } = rest.next()
      if (done) {
        state.set(id, 'done')
        order.push(id)
        path.pop()
      } else if (state.get(next) === 'open') {
        const ids = path.map(({ id }) => id)
        cycles.push([...ids.slice(ids.indexOf(next)), next])
      } else if (!state.has(next) && requires.has(next)) enter(next)
    }
  }
  return { order, cycles }
}
