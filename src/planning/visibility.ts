import type { Viewer } from '../api/context.ts'
import type { Prisma } from '../generated/prisma/client.ts'

/** A filter for the plans that the viewer may see: for admins all, for others their own. */
export const plansOf = (viewer: Viewer | null): Prisma.PlanWhereInput =>
  viewer?.role === 'ADMIN' ? {} : { ownerId: viewer?.id ?? '' }
