import { builder, localId } from '../api/builder.ts'
import type { Context } from '../api/context.ts'
import { sql } from '../database/client.ts'
import type { ChangeItem, SnapshotItem } from '../journal/follow.ts'
import { rootChannel } from '../journal/listeners.ts'
import { teaches } from './teaching.ts'
import { enrollmentChange } from './enrollmentUpdates.ts'
import { NotFound, stream, Why } from '../api/stream.ts'

/** A class, counted. */
interface CourseCounts {
  readonly version: number
  readonly learners: number
  readonly completed: number
  readonly percent: number
}

const CourseSnapshot = builder.objectRef<SnapshotItem<CourseCounts>>('CourseSnapshot').implement({
  description:
    'A class as it is, counted. Its enrollments are paged by `Course.enrollments`, at any time: of two tellings of one enrollment, the one with the higher version is newer.',
  fields: (t) => ({
    why: t.expose('why', { type: Why, description: 'Why this is told, and not a change.' }),
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'Behind this; what to give as `after` to go on from here.',
    }),
    learners: t.int({ description: 'How many are enrolled.', resolve: ({ present }) => present.learners }),
    completed: t.int({
      description: 'How many of them have completed the course in their present attempt.',
      resolve: ({ present }) => present.completed,
    }),
    percent: t.int({
      description: 'How much of the active lessons all of them together have completed, from 0 to 100, rounded down.',
      resolve: ({ present }) => present.percent,
    }),
  }),
})

const CourseChange = builder.objectRef<ChangeItem>('CourseChange').implement({
  description:
    'One change of one enrollment of a course, as it was committed. Of each enrollment, its changes come in order; among enrollments, in no certain one.',
  fields: enrollmentChange,
})

stream('courseUpdates', {
  description: 'Follows every enrollment of a course; for its instructors, and admins.',
  args: (t) => ({ courseId: t.id({ required: true, description: 'As `Course.id`.' }) }),
  snapshot: CourseSnapshot,
  change: CourseChange,
  open({ courseId }) {
    const id = localId('Course', courseId as string, 'courseId')
    return {
      source: {
        subject: { topic: `Course:${id}`, rootType: 'Enrollment' },
        read: sql`select json_build_object('version', c.version, 'learners', e.learners, 'completed', e.completed, 'percent', e.percent) as row from "Course" c
          cross join lateral (select count(*)::int as learners, count("completedAt")::int as completed, coalesce(sum(completed) * 100 / nullif(sum(total), 0), 0)::int as percent
            from "Enrollment" e where e."courseId" = c.id) e where c.id = ${id}`,
        load: ([counts]: readonly CourseCounts[]) => counts,
        missing,
      },
      guards: [rootChannel('Course', id)],
      authorize: async (context: Context) => {
        if (context.viewer?.role !== 'ADMIN' && !(await teaches(context, id))) throw missing()
      },
    }
  },
})

const missing = () => new NotFound('There is no such course, or you do not teach it.')
