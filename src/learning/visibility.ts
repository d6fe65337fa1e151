import type { Prisma } from '../generated/prisma/client.ts'
import type { Viewer } from '../api/context.ts'

/** The enrollments that somebody may see: their own, those of the courses they teach, and an admin all. */
export function visibleTo(viewer: Viewer | null): Prisma.EnrollmentWhereInput {
  if (viewer?.role === 'ADMIN') return {}
  const userId = viewer?.id ?? ''
  const own = { learnerId: userId }
  return viewer?.role === 'INSTRUCTOR' ? { OR: [own, { course: { instructors: { some: { userId } } } }] } : own
}
