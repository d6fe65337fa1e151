import { builder, localId, SHOWN } from '../api/builder.ts'
import type { Context } from '../api/context.ts'
import type { ChangeItem, SnapshotItem } from '../journal/follow.ts'
import { rootChannel } from '../journal/listeners.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import { enrollments, progressIn } from './enrollmentAggregate.ts'
import { whole } from '../commit/aggregate.ts'
import type { EnrollmentState, EnrollmentView } from './enrollmentState.ts'
import { courseIn, learnerOf } from './id.ts'
import { teaches } from './teaching.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'
import { change } from '../api/change.ts'
import { NotFound, stream, Why } from '../api/stream.ts'

const EnrollmentSnapshot = builder.objectRef<SnapshotItem<EnrollmentState>>('EnrollmentSnapshot').implement({
  description: 'An enrollment as it is, whole, at one version.',
  fields: (t) => ({
    why: t.expose('why', { type: Why, description: 'Why this is told, and not a change.' }),
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'Behind this; what to give as `after` to go on from here.',
    }),
    version: t.exposeInt('version', { description: 'The version that it is at.' }),
    enrollment: t.field({
      type: Enrollment,
      grantScopes: SHOWN,
      description: 'The enrollment at this version.',
      resolve: ({ present }) => shownEnrollment(enrollments.view(present)),
    }),
    lessons: t.field({
      type: [LessonProgress],
      grantScopes: SHOWN,
      description: 'What was done at this version, lesson by lesson, as far as any was opened.',
      resolve: ({ present }) => {
        const view = enrollments.view(present)
        return Object.keys(present.progress)
          .sort()
          .map((lessonId) => shownProgress(view, progressIn(present, lessonId)))
      },
    }),
  }),
})

const EnrollmentChange = builder.objectRef<ChangeItem>('EnrollmentChange').implement({
  description: 'One change of an enrollment, as it was committed.',
  fields: enrollmentChange,
})

/** What a change of an enrollment tells, in whichever stream. */
export function enrollmentChange(
  t: PothosSchemaTypes.ObjectFieldBuilder<import('../api/builder.ts').SchemaTypes, ChangeItem>,
) {
  return {
    ...change(t),
    kind: t.field({ type: Kind, description: 'What happened.', resolve: ({ event }) => event.kind as never }),
    enrollment: t.field({
      type: Enrollment,
      grantScopes: SHOWN,
      description:
        'The enrollment as this change left it: its version, counts and times. What it leads to (course, learner, progress …) is shown as it is now.',
      resolve: ({ event }) => shownEnrollment(event.view as EnrollmentView),
    }),
    lesson: t.field({
      type: LessonProgress,
      nullable: true,
      grantScopes: SHOWN,
      description:
        'What is done in the lesson that was changed, as this change left it; null where it is not about one lesson.',
      resolve: ({ event }) => {
        const view = event.view as EnrollmentView
        return view.lesson ? shownProgress(view, view.lesson) : null
      },
    }),
    contentItemId: t.globalID({
      nullable: true,
      description: 'The content item that was completed; null where it is not about one.',
      resolve: ({ event }) => {
        const { contentItemId } = event.data as { contentItemId?: string }
        return contentItemId ? { type: 'ContentItem', id: contentItemId } : null
      },
    }),
  }
}

const Kind = builder.enumType('EnrollmentChangeKind', {
  description: 'What can happen to an enrollment.',
  values: {
    ENROLLED: { value: 'enrolled', description: 'It began.' },
    COURSE_CHANGED: {
      value: 'courseChanged',
      description: 'The course has other lessons now, so that there is more or less to do.',
    },
    LESSON_OPENED: { value: 'lessonOpened', description: 'A lesson was begun.' },
    CONTENT_COMPLETED: { value: 'contentCompleted', description: 'A content item was completed.' },
    LESSON_COMPLETED: { value: 'lessonCompleted', description: 'A lesson was completed.' },
    COURSE_COMPLETED: {
      value: 'courseCompleted',
      description: 'The last lesson was completed, and with it the course.',
    },
    LESSON_RESET: { value: 'lessonReset', description: 'A lesson is begun again.' },
    ENROLLMENT_RESET: {
      value: 'enrollmentReset',
      description: 'Everything is begun again: all lessons are NOT_STARTED.',
    },
  },
})

stream('enrollmentUpdates', {
  description: 'Follows one enrollment; for the learner, the course’s instructors, and admins.',
  args: (t) => ({ enrollmentId: t.id({ required: true, description: 'As `Enrollment.id`.' }) }),
  snapshot: EnrollmentSnapshot,
  change: EnrollmentChange,
  open({ enrollmentId }) {
    const id = localId('Enrollment', enrollmentId as string, 'enrollmentId')
    return {
      source: {
        subject: { rootType: 'Enrollment', rootId: id },
        read: enrollments.read(whole(id)),
        load: (rows) => (enrollments.load(rows) as readonly EnrollmentState[]).find(({ version }) => version > 0),
        missing,
      },
      guards: [rootChannel('Course', courseIn(id))],
      authorize: async (context: Context) => {
        const { viewer } = context
        if (viewer && (viewer.id === learnerOf(id) || viewer.role === 'ADMIN')) return
        if (!(await teaches(context, courseIn(id)))) throw missing()
      },
    }
  },
})

const missing = () => new NotFound('There is no such enrollment, or you may not see it.')
