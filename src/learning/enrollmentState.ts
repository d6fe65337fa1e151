/** One learner in one course. */
export interface EnrollmentState {
  /** `<learner>.<course>` */
  readonly id: string
  /** 0: not enrolled. */
  readonly version: number
  readonly learnerId: string
  readonly courseId: string
  /** The course's `lessonsVersion` that `completed` and `total` were counted at. */
  readonly courseVersion: number
  readonly completed: number
  readonly total: number
  readonly attempt: number
  readonly enrolledAt: string
  readonly completedAt: string | null
  /**
   * The course as it is now, where that is another version than the one counted at, or nobody is enrolled yet. Null:
   * there is none, or nothing to catch up with.
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
  readonly completions: readonly {
    readonly attempt: number
    readonly courseVersion: number
    readonly completedAt: string
  }[]
}

/** A course as it is now, counted for one learner. */
export interface CourseNow {
  readonly version: number
  readonly total: number
  readonly completed: number
}
/** A lesson as its course has it now. */
export interface LessonFacts {
  readonly active: boolean
  readonly requires: readonly string[]
}
export interface Progress {
  readonly status: 'NOT_STARTED' | 'IN_PROGRESS' | 'COMPLETED'
  readonly openedAt: string | null
  readonly completedAt: string | null
  readonly resets: number
}

/** What can happen to an enrollment. */
export type EnrollmentEvent =
  | {
      readonly kind: 'enrolled'
      readonly learnerId: string
      readonly courseId: string
      readonly courseVersion: number
      readonly total: number
    }
  | {
      readonly kind: 'courseChanged'
      readonly courseVersion: number
      readonly total: number
      readonly completed: number
    }
  | { readonly kind: 'lessonOpened'; readonly lessonId: string }
  | { readonly kind: 'contentCompleted'; readonly contentItemId: string }
  | { readonly kind: 'lessonCompleted'; readonly lessonId: string }
  | { readonly kind: 'courseCompleted'; readonly attempt: number; readonly courseVersion: number }
  | { readonly kind: 'lessonReset'; readonly lessonId: string; readonly counted: boolean }
  | { readonly kind: 'enrollmentReset' }

/** An enrollment as answers and subscribers are shown it; the event's view also bears the lesson that it touched. */
export interface EnrollmentView {
  /** `<learner>.<course>`: it says whose it is, and of what. */
  readonly id: string
  readonly version: number
  readonly courseVersion: number
  readonly completed: number
  readonly total: number
  readonly attempt: number
  readonly enrolledAt: string
  readonly completedAt: string | null
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
