import { localId } from '../api/globalId.ts'
import { mutation } from '../api/mutation.ts'
import type { Verb } from '../commit/aggregate.ts'
import { CourseNotFound } from './courseAggregate.ts'
import type { Learning } from './enrollmentState.ts'
import { enrollmentOf } from './id.ts'
import { enrollmentIn, ofEnrollment } from './ownLesson.ts'

/** Enrolls a learner in a course. Enrolling again changes nothing. */
export const enroll: Verb<Learning, { learnerId: string; courseId: string }> = {
  name: 'enroll',
  ...ofEnrollment,
  creates: true,
  root: ({ learnerId, courseId }) => enrollmentOf(learnerId, courseId),
  slice: () => [],

  decide({ version, course }, { learnerId, courseId }) {
    if (version > 0) return []
    if (!course) throw new CourseNotFound(courseId)
    return [{ kind: 'enrolled', learnerId, courseId, lessonsVersion: course.lessonsVersion, total: course.total }]
  },
}

mutation(enroll, {
  description: 'Enrolls the viewer in a course. If the viewer is enrolled already, nothing changes.',
  failed: 'Failed to enroll.',
  input: (t) => ({ courseId: t.id({ description: 'The course.' }) }),
  ask: ({ courseId }, { id }) => ({ learnerId: id, courseId: localId('Course', courseId, 'input.courseId') }),
  payload: enrollmentIn,
  errors: [CourseNotFound],
})
