import { encodeGlobalID } from '@pothos/plugin-relay'
import type { Example } from '../api/module.ts'
import { demoCourse, demoLesson } from './demo.ts'
import { enrollmentOf } from './id.ts'

const course = demoCourse('sketching-with-code')
const lesson = (slug: string) => encodeGlobalID('Lesson', demoLesson('sketching-with-code', slug))

/** The tour through learning. The lessons require one that the demo has completed, and that no example resets. */
export const examples: readonly Example[] = [
  {
    token: 'demo-learner-1',
    query: `
# Welcome to Lockstep. Each tab is an example
# that runs as it is (▶ or Ctrl-Enter), in
# any order, with a token of the demo, which
# is under Headers.
# Who am I, and which courses are there?
query Catalog {
  viewer {
    name
    role
    enrollments { edges { node { percent course { title } } } }
  }
  courses {
    totalCount
    edges { node { id slug title description lessons { totalCount } } }
  }
}`,
  },
  {
    token: 'demo-learner-1',
    query: `
# Enroll in a course. If you run it again,
# nothing changes, and the answer has
# replayed: true.
mutation Enroll($input: EnrollInput!) {
  enroll(input: $input) {
    __typename
    ... on EnrollPayload { version replayed enrollment { id percent availableLessons { nodes { id title } } } }
    ... on DomainError { code message }
  }
}`,
    variables: { input: { courseId: encodeGlobalID('Course', course), idempotencyKey: 'tour-enroll' } },
  },
  {
    token: 'demo-learner-2',
    query: `
# Complete a lesson. Run it twice: the second
# time, nothing changes, and the answer has
# replayed: true. With another key in the
# variables, alreadyCompleted is true, unless
# the lesson was reset in between.
mutation Complete($input: CompleteLessonInput!) {
  completeLesson(input: $input) {
    __typename
    ... on CompleteLessonPayload {
      version replayed alreadyCompleted courseCompleted
      lessonProgress { status completedAt }
      enrollment { completedLessonCount lessonCount percent }
    }
    ... on PrerequisiteNotMet { message lessons { title } }
    ... on DomainError { code message }
  }
}`,
    variables: { input: { lessonId: lesson('color'), idempotencyKey: 'tour-complete-1' } },
  },
  {
    token: 'demo-learner-2',
    query: `
# Reset that lesson. Without progress in it,
# nothing changes, and reset is false. If
# Complete was run before, run it again with
# its old key: it does not undo the reset.
mutation Reset($input: ResetProgressInput!) {
  resetProgress(input: $input) {
    __typename
    ... on ResetProgressPayload { message reset version lessonProgress { status resets } enrollment { percent } }
    ... on DomainError { code message }
  }
}`,
    variables: { input: { target: { lessonId: lesson('color') } } },
  },
  {
    token: 'demo-learner-2',
    query: `
# Live. Run this, leave it running, and run
# the next tab in another window. Each change
# arrives here when it is committed. After a
# lost connection, GraphiQL passes the last
# cursor as $after: you miss nothing.
# Another tab stops this; use another window.
subscription Watch($enrollmentId: ID!, $after: Cursor) {
  enrollmentUpdates(enrollmentId: $enrollmentId, after: $after) {
    __typename
    ... on EnrollmentSnapshot {
      reason cursor version
      enrollment { completedLessonCount lessonCount percent }
      progress { id status }
    }
    ... on EnrollmentChange {
      kind cursor version occurredAt
      enrollment { completedLessonCount lessonCount percent }
      lessonProgress { id status }
    }
    ... on SubscriberTooSlow { cursor message }
  }
}`,
    variables: { enrollmentId: encodeGlobalID('Enrollment', enrollmentOf('demo-learner-2', course)) },
  },
  {
    token: 'demo-learner-2',
    query: `
# Something to watch: completes a lesson, and
# resets it.
mutation MoveOn($lessonId: ID!) {
  completeLesson(input: { lessonId: $lessonId }) {
    __typename
    ... on CompleteLessonPayload { version cursor enrollment { percent } }
    ... on DomainError { code message }
  }
  resetProgress(input: { target: { lessonId: $lessonId } }) {
    __typename
    ... on ResetProgressPayload { version cursor enrollment { percent } }
    ... on DomainError { code message }
  }
}`,
    variables: { lessonId: lesson('motion') },
  },
  {
    token: 'demo-instructor',
    query: `
# An instructor sees the learners of their
# courses. With a learner's token, this is
# refused.
query Learners {
  course(slug: "sketching-with-code") {
    title
    enrollments {
      totalCount
      edges { node { learner { name } completedLessonCount lessonCount percent } }
    }
    lessons {
      edges { node { title requires { nodes { title } } requiredBy { nodes { title } } } }
    }
  }
}`,
  },
  {
    token: 'demo-instructor',
    query: `
# Live: the whole class. Every change of
# every learner arrives here, without a
# refresh.
# Another tab stops this; use another window.
subscription Class($courseId: ID!, $after: Cursor) {
  courseUpdates(courseId: $courseId, after: $after) {
    __typename
    ... on CourseSnapshot { reason cursor learnerCount completedLearnerCount percent }
    ... on CourseChange {
      kind cursor version occurredAt actorId
      enrollment { id completedLessonCount lessonCount percent }
    }
    ... on SubscriberTooSlow { cursor message }
  }
}`,
    variables: { courseId: encodeGlobalID('Course', course) },
  },
]
