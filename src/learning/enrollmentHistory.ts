import { builder } from '../api/builder.ts'
import { history, type ShownBy, type VersionBuilder } from '../api/history.ts'
import { sql } from '../database/client.ts'
import type { Enrollment as EnrollmentRow } from '../generated/prisma/client.ts'
import { Enrollment, newLessonsOf, percentOf } from './enrollment.ts'
import { enrollments, progressIn } from './enrollmentAggregate.ts'
import { EnrollmentStatus, statusOf } from './enrollmentFilter.ts'
import type { EnrollmentState, EnrollmentView, Learning, LessonProgressView } from './enrollmentState.ts'
import { enrollmentChange } from './enrollmentUpdates.ts'
import { Status } from './lessonProgress.ts'
import { visibleTo } from './visibility.ts'

const LessonProgressVersion = builder.objectRef<LessonProgressView>('LessonProgressVersion').implement({
  description: 'A learner’s progress in one lesson at one version of the enrollment. The present is `LessonProgress`.',
  fields: (t) => ({
    lessonId: t.globalID({
      description: 'The id of the lesson.',
      resolve: ({ lessonId }) => ({ type: 'Lesson', id: lessonId }),
    }),
    status: t.expose('status', { type: Status, description: 'The state of the progress.' }),
    openedAt: t.expose('openedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the lesson was opened; null if it was not, or was reset since.',
    }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the lesson was completed; null if it was not, or was reset since.',
    }),
    resets: t.exposeInt('resets', { description: 'How often the progress was reset.' }),
  }),
})

const PROGRESS = 'The progress in each lesson that was ever opened.'
const progressOf = (state: EnrollmentState) =>
  Object.keys(state.progress)
    .sort()
    .map((lessonId) => progressIn(state, lessonId))

/** What the enrollment has of itself, under the names of the present ones. */
const stateAt = (t: VersionBuilder, shown: ShownBy<EnrollmentView>) => ({
  completedLessonCount: t.int({
    description: 'How many of the active lessons of the course were completed.',
    resolve: shown(({ view }) => view.completed),
  }),
  lessonCount: t.int({
    description: 'How many active lessons the course had, as far as the enrollment had caught up with it.',
    resolve: shown(({ view }) => view.total),
  }),
  percent: t.int({
    description: 'How much of the active lessons was completed: 0 to 100, rounded down.',
    resolve: shown(({ view }) => percentOf(view)),
  }),
  lessonsVersion: t.int({
    description: 'The version of the course’s lessons at which the counts had been made.',
    resolve: shown(({ view }) => view.lessonsVersion),
  }),
  status: t.field({
    type: EnrollmentStatus,
    description: 'How far the learner was, in that attempt.',
    resolve: shown(({ view }) => statusOf(view)),
  }),
  attempt: t.int({ description: 'The number of the attempt, from 1.', resolve: shown(({ view }) => view.attempt) }),
  enrolledAt: t.field({
    type: 'DateTime',
    description: 'When the learner enrolled.',
    resolve: shown(({ view }) => view.enrolledAt),
  }),
  completedAt: t.field({
    type: 'DateTime',
    nullable: true,
    description: 'When the attempt completed the course; null if it had not.',
    resolve: shown(({ view }) => view.completedAt),
  }),
  lastActivityAt: t.field({
    type: 'DateTime',
    description: 'When the learner had last done something here.',
    resolve: shown(({ view }) => view.lastActivityAt),
  }),
  newLessonCount: t.int({
    description: 'How many lessons were added after the attempt completed the course and were not completed.',
    resolve: shown(({ view }) => newLessonsOf(view)),
  }),
})

/** What a version shows: the view, and of the fact the content item that was completed. */
interface ShownEnrollment extends EnrollmentView {
  readonly contentItemId: string | null
}
const shownEnrollment = sql`e.view || jsonb_build_object('contentItemId',
  case when e.kind = 'contentCompleted' then e.data -> 'contentItemId' end)`

/** One version of an enrollment. For whoever may see the enrollment. */
export const EnrollmentVersion = history<Learning, EnrollmentRow, ShownEnrollment>({
  aggregate: enrollments,
  root: Enrollment,
  name: 'Enrollment',
  description: 'An enrollment at one version, and the change that made it.',
  kind: enrollmentChange.kind,
  visible: (ids, { db, viewer }) =>
    db.enrollment.findMany({ where: { id: { in: [...ids] }, AND: visibleTo(viewer) }, select: { id: true } }),
  shown: shownEnrollment,
  fields: (t, { shown, below }) => ({
    lessonProgress: t.field({
      type: LessonProgressVersion,
      nullable: true,
      description: 'The progress in the changed lesson after the change; null if the change is not about one lesson.',
      resolve: shown(({ changed }) => changed?.lesson ?? null),
    }),
    contentItemId: t.globalID({
      nullable: true,
      description: 'The id of the content item that was completed; null if the change is not about one.',
      resolve: shown(({ view: { contentItemId: id } }) => (id === null ? null : { type: 'ContentItem', id })),
    }),
    ...stateAt(t, shown),
    progress: below(LessonProgressVersion, 'LessonProgressVersion', PROGRESS, progressOf),
  }),
})
