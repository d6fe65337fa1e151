import type { Verb } from '../commit/aggregate.ts'
import { type Courses, courses, mayRevise } from './courseAggregate.ts'

/** Somebody no longer teaches a course: they no longer see its learners, and what they watch of it ends. */
export const dismissInstructor: Verb<Courses, { courseId: string; userId: string }> = {
  name: 'dismissInstructor',
  aggregate: courses,
  root: ({ courseId }) => courseId,
  may: (_, __, actor) => mayRevise(actor),
  decide: ({ instructors }, { userId }) =>
    instructors.includes(userId) ? [{ kind: 'instructorDismissed', userId }] : [],
}
