// The operations of apollo.mjs and urql.mjs. They select the same fields of an enrollment everywhere, with its id and
// version: so the newest answer or change, whichever it is, has all that a cache needs.
const enrollment = '{ id version percent completedLessonCount completedAt }'
const lessonProgress = '{ id status completedAt }'

export const enrollmentQuery = `query Enrollment($courseId: ID!) {
  enrollment(courseId: $courseId) ${enrollment}
}`

export const enrollmentUpdates = `subscription Updates($enrollmentId: ID!, $after: Cursor) {
  enrollmentUpdates(enrollmentId: $enrollmentId, after: $after) {
    __typename
    ... on StreamItem { cursor }
    ... on Snapshot { reason }
    ... on EnrollmentSnapshot { enrollment ${enrollment} progress ${lessonProgress} }
    ... on EnrollmentChange { kind enrollment ${enrollment} lessonProgress ${lessonProgress} }
  }
}`

export const completeLesson = `mutation Complete($input: CompleteLessonInput!) {
  completeLesson(input: $input) {
    __typename
    ... on Payload { version replayed }
    ... on CompleteLessonPayload { enrollment ${enrollment} lessonProgress ${lessonProgress} }
    ... on DomainError { code message }
  }
}`

export const resetProgress = `mutation Reset($input: ResetProgressInput!) {
  resetProgress(input: $input) {
    __typename
    ... on Payload { version replayed }
    ... on ResetProgressPayload { enrollment ${enrollment} lessonProgress ${lessonProgress} }
    ... on DomainError { code message }
  }
}`

/** What the examples say to who is not enrolled. */
export const enrollFirst = (courseId) =>
  `Enroll first: send mutation { enroll(input: { courseId: "${courseId}" }) { __typename } } with this token.`
