import type { Viewer } from '../api/context.ts'

/** Whose progress and licenses somebody may see: their own; instructors and admins, everybody's. */
export const visibleTo = (viewer: Viewer | null): { userId?: string } =>
  seesAll(viewer) ? {} : { userId: viewer?.id ?? '' }

/** Instructors and admins do. */
export const seesAll = (viewer: Viewer | null) => viewer?.role === 'INSTRUCTOR' || viewer?.role === 'ADMIN'
