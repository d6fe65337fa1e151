import type { Verb } from '../commit/aggregate.ts'
import { type Courses, ofCourse } from './courseAggregate.ts'

/** Assigns a course to an instructor, who then sees its learners. Assigning it again changes nothing. */
export const assignInstructor: Verb<Courses, { courseId: string; userId: string }> = {
  name: 'assignInstructor',
  ...ofCourse,
  decide: ({ instructors }, { userId }) =>
    instructors.includes(userId) ? [] : [{ kind: 'instructorAssigned', userId }],
}
