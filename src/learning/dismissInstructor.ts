import type { Verb } from '../commit/aggregate.ts'
import { type Courses, ofCourse } from './courseAggregate.ts'

/** Ends that somebody teaches a course: they no longer see its learners, and their streams of the course end. */
export const dismissInstructor: Verb<Courses, { courseId: string; userId: string }> = {
  name: 'dismissInstructor',
  ...ofCourse,
  decide: ({ instructors }, { userId }) =>
    instructors.includes(userId) ? [{ kind: 'instructorDismissed', userId }] : [],
}
