import { builder, SHOWN } from '../api/builder.ts'
import { localId } from '../api/globalId.ts'
import type { Context } from '../api/context.ts'
import { type ChangeBuilder, followRoot, stream } from '../api/stream.ts'
import { rootChannel } from '../journal/listeners.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import { enrollments, progressIn } from './enrollmentAggregate.ts'
import type { EnrollmentView } from './enrollmentState.ts'
import { courseIn, learnerOf } from './id.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'
import { teaches } from './teaching.ts'

const Kind = builder.enumType('EnrollmentChangeKind', {
  description: 'What can happen to an enrollment.',
  values: {
    ENROLLED: { value: 'enrolled', description: 'The learner enrolled.' },
    COURSE_CHANGED: {
      value: 'courseChanged',
      description: 'The lessons of the course changed, so the counts did too.',
    },
    LESSON_OPENED: { value: 'lessonOpened', description: 'A lesson was opened.' },
    CONTENT_COMPLETED: { value: 'contentCompleted', description: 'A content item was completed.' },
    LESSON_COMPLETED: { value: 'lessonCompleted', description: 'A lesson was completed.' },
    COURSE_COMPLETED: {
      value: 'courseCompleted',
      description: 'The last lesson was completed, and with it the course.',
    },
    LESSON_RESET: { value: 'lessonReset', description: 'The progress in a lesson was reset.' },
    ENROLLMENT_RESET: { value: 'enrollmentReset', description: 'All progress was reset: every lesson is NOT_STARTED.' },
  },
})

/** What a change of an enrollment has, in whichever stream. */
export const enrollmentChange = {
  kind: Kind,
  fields: (t: ChangeBuilder) => ({
    enrollment: t.field({
      type: Enrollment,
      grantScopes: SHOWN,
      description:
        'The enrollment after this change: version, counts and times. What it links to (course, learner, ' +
        'progress …) is the present.',
      resolve: ({ event }) => shownEnrollment(viewOf(event)),
    }),
    lessonProgress: t.field({
      type: LessonProgress,
      nullable: true,
      grantScopes: SHOWN,
      description: 'The progress in the changed lesson after this change; null if the change is not about one lesson.',
      resolve: ({ event }) => {
        const view = viewOf(event)
        return view.lesson ? shownProgress(view, view.lesson) : null
      },
    }),
    contentItemId: t.globalID({
      nullable: true,
      description: 'The id of the content item that was completed; null if the change is not about one.',
      resolve: ({ event: { data } }) =>
        'contentItemId' in data ? { type: 'ContentItem', id: String(data.contentItemId) } : null,
    }),
  }),
}

/** The journal has views of all kinds of roots; in these streams they are of enrollments. */
const viewOf = ({ view }: { readonly view: object }) => view as EnrollmentView

export const enrollmentUpdates = stream('enrollmentUpdates', {
  description: 'Follows one enrollment. For the learner, the course’s instructors, and admins.',
  args: (t) => ({ enrollmentId: t.id({ required: true, description: 'An `Enrollment.id`.' }) }),
  open({ enrollmentId }) {
    const id = localId('Enrollment', enrollmentId, 'enrollmentId')
    const courseId = courseIn(id)
    return followRoot(enrollments, id, {
      missing: 'There is no such enrollment, or you may not see it.',
      guards: [rootChannel('Course', courseId)],
      may: (context: Context) => {
        const { viewer } = context
        return viewer?.id === learnerOf(id) || viewer?.role === 'ADMIN' || teaches(context, courseId)
      },
    })
  },
  snapshot: {
    description: 'A whole enrollment at one version.',
    ofRoot: true,
    fields: (t) => ({
      enrollment: t.field({
        type: Enrollment,
        grantScopes: SHOWN,
        description: 'The enrollment at this version.',
        resolve: ({ present }) => shownEnrollment(enrollments.view(present)),
      }),
      progress: t.field({
        type: [LessonProgress],
        grantScopes: SHOWN,
        description: 'The progress at this version, one item for each lesson that was ever opened.',
        resolve: ({ present }) => {
          const view = enrollments.view(present)
          const lessonIds = Object.keys(present.progress).sort()
          return lessonIds.map((lessonId) => shownProgress(view, progressIn(present, lessonId)))
        },
      }),
    }),
  },
  change: { description: 'One change of an enrollment, as committed.', ...enrollmentChange },
})
