import type { Verb } from '../commit/aggregate.ts'
import { localId } from '../api/builder.ts'
import { mutation } from '../api/mutation.ts'
import { CourseNotFound } from './courseAggregate.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import { enrollmentOf } from './id.ts'
import { enrollments, mayTouch } from './enrollmentAggregate.ts'
import type { Learning } from './enrollmentState.ts'

mutation('enroll', {
  verb: () => enroll,
  description: 'Enrolls the viewer in a course. Being enrolled already is a success that changes nothing.',
  failed: 'Failed to enroll.',
  input: (t) => ({ courseId: t.id({ description: 'The course.' }) }),
  ask: ({ courseId }, { id }) => ({ learnerId: id, courseId: localId('Course', courseId, 'input.courseId') }),
  payload: (t) => ({
    enrollment: t.field({
      type: Enrollment,
      description: 'The enrollment.',
      resolve: ({ view }) => shownEnrollment(view),
    }),
  }),
  errors: [CourseNotFound],
})

/** A learner is enrolled in a course once; enrolling again changes nothing. */
export const enroll: Verb<Learning, { learnerId: string; courseId: string }> = {
  name: 'enroll',
  aggregate: enrollments,
  creates: true,
  root: ({ learnerId, courseId }) => enrollmentOf(learnerId, courseId),
  slice: () => [],
  may: (state, _, actor) => mayTouch(state, actor),

  decide({ version, course }, { learnerId, courseId }) {
    if (version > 0) return []
    if (!course) throw new CourseNotFound(courseId)
    return [{ kind: 'enrolled', learnerId, courseId, courseVersion: course.version, total: course.total }]
  },
}
