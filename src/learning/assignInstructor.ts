import type { Verb } from '../commit/aggregate.ts'
import { type Courses, courses, mayRevise } from './courseAggregate.ts'

/** Lets somebody teach a course: they see its learners. */
export const assignInstructor: Verb<Courses, { courseId: string; userId: string }> = {
  name: 'assignInstructor',
  aggregate: courses,
  root: ({ courseId }) => courseId,
  may: (_, __, actor) => mayRevise(actor),
  decide: ({ instructors }, { userId }) =>
    instructors.includes(userId) ? [] : [{ kind: 'instructorAssigned', userId }],
}
