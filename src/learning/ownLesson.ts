import { localId } from '../api/globalId.ts'
import { committedField } from '../api/history.ts'
import type { InputBuilder, PayloadBuilder } from '../api/mutation.ts'
import type { Actor } from '../commit/aggregate.ts'
import { Enrollment, shownEnrollment } from './enrollment.ts'
import { enrollments, mayTouch } from './enrollmentAggregate.ts'
import { EnrollmentVersion } from './enrollmentHistory.ts'
import type { EnrollmentState, EnrollmentView, LessonProgressView } from './enrollmentState.ts'
import { courseOf, enrollmentOf } from './id.ts'
import { LessonProgress, shownProgress } from './lessonProgress.ts'

/** A lesson of a learner's own. */
export interface OwnLesson {
  readonly learnerId: string
  readonly lessonId: string
}

/** What all verbs of an enrollment share. */
export const ofEnrollment = {
  aggregate: enrollments,
  may: (state: EnrollmentState, _: unknown, actor: Actor) => mayTouch(state, actor),
}

/** What verbs about one lesson share besides. */
export const ofLesson = {
  ...ofEnrollment,
  root: ({ learnerId, lessonId }: OwnLesson) => enrollmentOf(learnerId, courseOf(lessonId)),
  slice: ({ lessonId }: OwnLesson) => [lessonId],
}

/** The input of mutations about one lesson of the viewer's. */
export const lessonInput = {
  input: (t: InputBuilder) => ({ lessonId: t.id({ description: 'The lesson.' }) }),
  ask: ({ lessonId }: { lessonId: string }, { id }: Actor): OwnLesson => ({
    learnerId: id,
    lessonId: localId('Lesson', lessonId, 'input.lessonId'),
  }),
}

/** The enrollment in a payload. */
export const enrollmentIn = <Answer>(t: PayloadBuilder<EnrollmentView, Answer>) => ({
  enrollment: t.field({
    type: Enrollment,
    description: 'The enrollment as it is now.',
    resolve: ({ now }) => shownEnrollment(now.view),
  }),
  ...committedField(t, enrollments, EnrollmentVersion),
})

/** The enrollment and the lesson in a payload. */
export const lessonIn = <Answer extends { readonly lessonProgress: LessonProgressView }>(
  t: PayloadBuilder<EnrollmentView, Answer>,
) => ({
  ...enrollmentIn(t),
  lessonProgress: t.field({
    type: LessonProgress,
    description: 'The learner’s progress in the lesson as it is now.',
    resolve: ({ now }) => shownProgress(now.view, now.answer.lessonProgress),
  }),
})
