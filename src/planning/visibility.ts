import type { Prisma } from '../generated/prisma/client.ts'
import type { Viewer } from '../api/context.ts'

/** The plans that somebody may see: their own, and an admin all. */
export const plansOf = (viewer: Viewer | null): Prisma.PlanWhereInput =>
  viewer?.role === 'ADMIN' ? {} : { ownerId: viewer?.id ?? '' }
