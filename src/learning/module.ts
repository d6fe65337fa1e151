import type { Module } from '../api/module.ts'
import { commands } from './commands.ts'
import { assignInstructor } from './assignInstructor.ts'
import { catchUp } from './catchUp.ts'
import { completeContent } from './completeContent.ts'
import { completeLesson } from './completeLesson.ts'
import { ContentItem } from './contentItem.ts'
import { Course } from './course.ts'
import { courses } from './courseAggregate.ts'
import { CourseCompletion } from './courseCompletion.ts'
import { courseUpdates } from './courseUpdates.ts'
import { demo } from './demo.ts'
import { dismissInstructor } from './dismissInstructor.ts'
import { enroll } from './enroll.ts'
import { Enrollment } from './enrollment.ts'
import { enrollments } from './enrollmentAggregate.ts'
import { EnrollmentConnection } from './enrollmentList.ts'
import { EnrollmentVersion } from './enrollmentHistory.ts'
import { enrollmentsCaughtUp } from './enrollmentsCaughtUp.ts'
import { enrollmentUpdates } from './enrollmentUpdates.ts'
import { examples } from './examples.ts'
import { Lesson } from './lesson.ts'
import { LessonProgress } from './lessonProgress.ts'
import { openLesson } from './openLesson.ts'
import { resetProgress } from './resetProgress.ts'
import { reviseCourse } from './reviseCourse.ts'

/** What people learn: courses, lessons, enrollments. */
export const learning: Module = {
  name: 'learning',
  aggregates: [courses, enrollments],
  verbs: [
    ...[enroll, openLesson, completeContent, completeLesson, resetProgress, catchUp],
    ...[reviseCourse, assignInstructor, dismissInstructor],
  ],
  nouns: [
    Course,
    Lesson,
    ContentItem,
    Enrollment,
    EnrollmentConnection,
    EnrollmentVersion,
    LessonProgress,
    CourseCompletion,
  ],
  streams: [enrollmentUpdates, courseUpdates],
  reactions: [enrollmentsCaughtUp],
  examples,
  commands,
  demo,
}
