import { localId } from '../api/globalId.ts'
import { followFeed, stream } from '../api/stream.ts'
import { sql } from '../database/client.ts'
import { rootChannel } from '../journal/listeners.ts'
import { enrollmentChange } from './enrollmentUpdates.ts'
import { teaches } from './teaching.ts'

/** A class in numbers. */
interface CourseCounts {
  /** The course's. */
  readonly version: number
  readonly learners: number
  readonly completed: number
  readonly percent: number
  readonly changes: number
}

const counts = (courseId: string) => sql`
  select json_build_object(
    'version', c.version, 'learners', e.learners, 'completed', e.completed, 'percent', e.percent,
    'changes', e.changes) as row
  from "Course" c cross join lateral (
    select count(*)::int as learners, count("completedAt")::int as completed,
      coalesce(sum(completed) * 100 / nullif(sum(total), 0), 0)::int as percent,
      coalesce(sum(version), 0)::int as changes
    from "Enrollment" e where e."courseId" = c.id) e
  where c.id = ${courseId}`

export const courseUpdates = stream('courseUpdates', {
  description: 'Follows every enrollment of a course. For its instructors, and admins.',
  args: (t) => ({ courseId: t.id({ required: true, description: 'A `Course.id`.' }) }),
  open({ courseId }) {
    const id = localId('Course', courseId, 'courseId')
    return followFeed(
      {
        missing: 'There is no such course, or you do not teach it.',
        guards: [rootChannel('Course', id)],
        may: (context) => context.viewer?.role === 'ADMIN' || teaches(context, id),
      },
      {
        subject: { topic: `Course:${id}`, rootType: 'Enrollment' },
        read: counts(id),
        load: ([found]: readonly CourseCounts[]) => found,
      },
    )
  },
  snapshot: {
    description:
      'A class in numbers. Read its enrollments with `Course.enrollments`, at any time: of two items about one ' +
      'enrollment, the one with the higher version is newer.',
    fields: (t) => ({
      learnerCount: t.int({
        description: 'How many learners are enrolled.',
        resolve: ({ present }) => present.learners,
      }),
      completedLearnerCount: t.int({
        description: 'How many learners have completed the course in their present attempt.',
        resolve: ({ present }) => present.completed,
      }),
      percent: t.int({
        description: 'How much of the active lessons all learners together have completed: 0 to 100, rounded down.',
        resolve: ({ present }) => present.percent,
      }),
      changeCount: t.int({
        description:
          'How many changes the snapshot contains: the sum of the versions of all enrollments. Add 1 for each ' +
          'CourseChange that you receive. As soon as the sum is `Course.changeCount`, nothing was missed.',
        resolve: ({ present }) => present.changes,
      }),
    }),
  },
  change: {
    description:
      'One change of one enrollment of the course, as committed. The changes of one enrollment come in order; ' +
      'between enrollments, the order is not defined.',
    ofMany: 'The version that the change made of its enrollment: the same as `enrollment.version`.',
    ...enrollmentChange,
  },
})
