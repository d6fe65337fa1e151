/** The id of the course of a lesson or content item. */
export const courseOf = (lessonId: string) => lessonId.split('.', 1)[0]!
/** The id of the lesson of a content item; of a lesson, its own. */
export function lessonOf(contentItemId: string): string {
  const end = contentItemId.indexOf('.', contentItemId.indexOf('.') + 1)
  return end < 0 ? contentItemId : contentItemId.slice(0, end)
}

/** The id of an enrollment: a learner can be enrolled in a course only once. */
export const enrollmentOf = (learnerId: string, courseId: string) => `${learnerId}.${courseId}`
/** The id of the learner of an enrollment. */
export const learnerOf = (enrollmentId: string) => enrollmentId.slice(0, enrollmentId.indexOf('.'))
/** The id of the course of an enrollment. */
export const courseIn = (enrollmentId: string) => enrollmentId.slice(enrollmentId.indexOf('.') + 1)
