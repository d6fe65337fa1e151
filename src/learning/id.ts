/** The course that a lesson or content item hangs below; its id says it. */
export const courseOf = (lessonId: string) => lessonId.split('.', 1)[0]!
/** The lesson that a content item hangs below; of a lesson's id, itself. */
export function lessonOf(contentItemId: string): string {
  const end = contentItemId.indexOf('.', contentItemId.indexOf('.') + 1)
  return end < 0 ? contentItemId : contentItemId.slice(0, end)
}

/** A learner is enrolled in a course once, so the two of them name the enrollment. */
export const enrollmentOf = (learnerId: string, courseId: string) => `${learnerId}.${courseId}`
/** Whose enrollment it is. */
export const learnerOf = (enrollmentId: string) => enrollmentId.slice(0, enrollmentId.indexOf('.'))
/** Of which course it is. */
export const courseIn = (enrollmentId: string) => enrollmentId.slice(enrollmentId.indexOf('.') + 1)
