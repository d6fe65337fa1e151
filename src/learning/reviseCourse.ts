import { isDeepStrictEqual } from 'node:util'
import type { Verb } from '../commit/aggregate.ts'
import { type CourseState, type Courses, type CourseText, type LessonState, ofCourse } from './courseAggregate.ts'
import { checkLessons } from './lessonGraph.ts'

/** A course as it is to be. */
export interface CourseDefinition extends CourseText {
  readonly courseId: string
  /** By id. Lessons of the course that are not among these become inactive. */
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
 * Makes a course as its definition says, in one event with the differences; if there are none, nothing happens. Nothing
 * that learners may have progress in is removed; it only becomes inactive.
 */
export const reviseCourse: Verb<Courses, CourseDefinition, ReviseCourseAnswer> = {
  name: 'reviseCourse',
  ...ofCourse,
  creates: true,

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

/** The lessons that are no longer wanted, as inactive. If a new lesson has the slug of one, that one gets another. */
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

/** The content items that are no longer wanted, as inactive. */
const without = (before: LessonState | undefined, { contents }: LessonState) =>
  Object.fromEntries(
    Object.entries(before?.contents ?? {}).flatMap(([id, item]) =>
      id in contents ? [] : [[id, { ...item, active: false }]],
    ),
  )
