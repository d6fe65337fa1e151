import { columns, moment, momentOrNull, number, text, type Values } from '../commit/columns.ts'
import { courseIn, learnerOf } from './id.ts'

/** The columns of an enrollment. Its id says whose it is and of which course. */
export const enrollmentColumns = columns(
  {
    /** The course's `lessonsVersion` at which `completed` and `total` were counted. */
    lessonsVersion: number(),
    completed: number(),
    total: number(),
    attempt: number(1),
    enrolledAt: moment(),
    completedAt: momentOrNull(),
    /** When the learner last did something; that the course changed is nothing that they did. */
    lastActivityAt: moment(),
  },
  { learnerId: learnerOf, courseId: courseIn },
)

/** One learner in one course. Version 0: not enrolled. */
export interface EnrollmentState extends Values<typeof enrollmentColumns> {
  /** `<learner>.<course>` */
  readonly id: string
  readonly version: number
  /**
   * The course as it is now: where its lessons have another version than the one counted at, or nobody is enrolled yet.
   * Null: there is no course, or nothing has changed.
   */
  readonly course: CourseNow | null
  /** The lessons asked for and those that they require, as the course has them now. */
  readonly lessons: Readonly<Record<string, LessonFacts>>
  /** What the learner did, by lesson, as far as it was asked for. */
  readonly progress: Readonly<Record<string, Progress>>
  /** The content items asked for: whether the course has them now. */
  readonly items: Readonly<Record<string, { readonly active: boolean }>>
  /** When content items were completed, as far as it was asked for. */
  readonly contents: Readonly<Record<string, string>>
  /** The completions of this enrollment that this state has seen happen; earlier ones are read only with EVERYTHING. */
  readonly completions: readonly Completion[]
}
export interface Completion {
  readonly attempt: number
  readonly lessonsVersion: number
  readonly completedAt: string
}

/** A course as it is now, counted for one learner. */
export interface CourseNow {
  readonly lessonsVersion: number
  readonly total: number
  readonly completed: number
}
/** A lesson as its course has it now. */
export interface LessonFacts {
  readonly active: boolean
  readonly requires: readonly string[]
}
/** The columns of what a learner did in one lesson. */
export const progressColumns = columns({
  status: text<'NOT_STARTED' | 'IN_PROGRESS' | 'COMPLETED'>('NOT_STARTED'),
  openedAt: momentOrNull(),
  completedAt: momentOrNull(),
  /** How often it was begun again. */
  resets: number(),
})
export type Progress = Values<typeof progressColumns>

/** What can happen to an enrollment. */
export type EnrollmentEvent =
  | {
      readonly kind: 'enrolled'
      readonly learnerId: string
      readonly courseId: string
      readonly lessonsVersion: number
      readonly total: number
    }
  | {
      readonly kind: 'courseChanged'
      readonly lessonsVersion: number
      readonly total: number
      readonly completed: number
    }
  | { readonly kind: 'lessonOpened'; readonly lessonId: string }
  | { readonly kind: 'contentCompleted'; readonly contentItemId: string }
  | { readonly kind: 'lessonCompleted'; readonly lessonId: string }
  | { readonly kind: 'courseCompleted'; readonly attempt: number; readonly lessonsVersion: number }
  | { readonly kind: 'lessonReset'; readonly lessonId: string; readonly counted: boolean }
  | { readonly kind: 'enrollmentReset' }

/** An enrollment as answers and subscribers are shown it. The view of an event also has the lesson that it changed. */
export interface EnrollmentView extends Values<typeof enrollmentColumns> {
  readonly id: string
  readonly version: number
  readonly lesson?: LessonProgressView
}
export interface LessonProgressView extends Progress {
  readonly lessonId: string
}

/** The types of the learning module's aggregate. */
export interface Learning {
  readonly state: EnrollmentState
  readonly event: EnrollmentEvent
  readonly view: EnrollmentView
}
