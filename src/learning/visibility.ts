import type { Prisma } from '../generated/prisma/client.ts'
import type { Viewer } from '../api/context.ts'

/** The enrollments that a viewer may see: their own and those of the courses that they teach; an admin, all. */
export function visibleTo(viewer: Viewer | null): Prisma.EnrollmentWhereInput {
  if (viewer?.role === 'ADMIN') return {}
  const userId = viewer?.id ?? ''
  const own = { learnerId: userId }
  return viewer?.role === 'INSTRUCTOR' ? { OR: [own, { course: { instructors: { some: { userId } } } }] } : own
}
