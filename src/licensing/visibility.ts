import type { Viewer } from '../api/context.ts'

/** The rows of progress and licenses that a viewer may see: their own; instructors and admins, all. */
export const visibleTo = (viewer: Viewer | null): { userId?: string } =>
  seesAll(viewer) ? {} : { userId: viewer?.id ?? '' }

/** Whether the viewer may see the standings of all users. */
export const seesAll = (viewer: Viewer | null) => viewer?.role === 'INSTRUCTOR' || viewer?.role === 'ADMIN'

/** The same as scopes: the user, instructors and admins. */
export const seenBy = (userId: string) => ({ self: userId, instructor: true, admin: true })
