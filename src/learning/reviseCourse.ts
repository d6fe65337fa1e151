import { isDeepStrictEqual } from 'node:util'
import type { Verb } from '../commit/aggregate.ts'
import {
  type CourseState,
  type Courses,
  type CourseText,
  courses,
  type LessonState,
  mayRevise,
} from './courseAggregate.ts'
import { checkLessons } from './lessonGraph.ts'

/** A course as it shall be. */
export interface CourseDefinition extends CourseText {
  readonly courseId: string
  /** By id; a lesson that is there now and not among these is made inactive. */
  readonly lessons: Readonly<Record<string, LessonState>>
}

/** What a revision changed. */
export interface ReviseCourseAnswer {
  readonly created: boolean
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly deactivated: readonly string[]
}

/**
 * Makes a course what it shall be, in one event that bears the difference; nothing where there is none. What learners
 * may have touched is never removed, only made inactive.
 */
export const reviseCourse: Verb<Courses, CourseDefinition, ReviseCourseAnswer> = {
  name: 'reviseCourse',
  aggregate: courses,
  creates: true,
  root: ({ courseId }) => courseId,
  may: (_, __, actor) => mayRevise(actor),

  decide(state, { slug, title, description, lessons }) {
    const text = Object.fromEntries(
      Object.entries({ slug, title, description }).filter(
        ([field, value]) => state[field as keyof CourseText] !== value,
      ),
    )
    const wanted = { ...lessons, ...removed(state, lessons) }
    checkLessons(state.id, lessons, wanted)
    const changed = Object.entries(wanted).flatMap(([id, lesson]) => {
      const whole = {
        ...lesson,
        requires: [...lesson.requires].sort(),
        contents: { ...lesson.contents, ...without(state.lessons[id], lesson) },
      }
      return isDeepStrictEqual(whole, state.lessons[id]) ? [] : [[id, whole] as const]
    })
    if (state.version && !changed.length && !Object.keys(text).length) return []
    return [{ kind: 'courseRevised', ...text, ...(changed.length && { lessons: Object.fromEntries(changed) }) }]
  },

  answer(state, _, events, before) {
    const touched = events.flatMap((event) => (event.kind === 'courseRevised' ? Object.keys(event.lessons ?? {}) : []))
    return {
      created: before.version === 0,
      added: touched.filter((id) => !before.lessons[id]),
      changed: touched.filter((id) => before.lessons[id]),
      deactivated: touched.filter((id) => before.lessons[id]?.active && !state.lessons[id]!.active),
    }
  },
}

/** Lessons that are no longer wanted, inactive; one whose slug another lesson now has gives it up. */
function removed(state: CourseState, lessons: CourseDefinition['lessons']): Record<string, LessonState> {
  const taken = new Set(Object.values(lessons).map(({ slug }) => slug))
  const gone = Object.entries(state.lessons).filter(([id]) => !(id in lessons))
  return Object.fromEntries(
    gone.map(([id, lesson]) => [
      id,
      { ...lesson, active: false, slug: taken.has(lesson.slug) ? `${lesson.slug}-${id.slice(-6)}` : lesson.slug },
    ]),
  )
}

const without = (before: LessonState | undefined, { contents }: LessonState) =>
  Object.fromEntries(
    Object.entries(before?.contents ?? {}).flatMap(([id, item]) =>
      id in contents ? [] : [[id, { ...item, active: false }]],
    ),
  )
