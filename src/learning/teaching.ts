import type { Context, Load } from '../api/context.ts'
import { acrossOperations } from '../api/loader.ts'

/** The ids of the courses that a user teaches. */
const taughtBy = acrossOperations<ReadonlySet<string>>(async (userIds, db) => {
  const found = await db.courseInstructor.findMany({ where: { userId: { in: [...new Set(userIds)] } } })
  const courses = new Map(userIds.map((userId) => [userId, new Set<string>()]))
  for (const { userId, courseId } of found) courses.get(userId)!.add(courseId)
  return userIds.map((userId) => courses.get(userId)!)
})

/** Remembered for the operation. */
const taught: Load<string, ReadonlySet<string>> = (userIds, { db }) =>
  Promise.all(userIds.map((id) => taughtBy(db, id)))

/** Whether the viewer teaches the course. Looked up once an operation. */
export async function teaches(context: Context, courseId: string): Promise<boolean> {
  const { viewer } = context
  return viewer?.role === 'INSTRUCTOR' && (await context.load(taught, viewer.id)).has(courseId)
}
