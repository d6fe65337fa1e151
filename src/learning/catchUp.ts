import type { Verb } from '../commit/aggregate.ts'
import { enrollments } from './enrollmentAggregate.ts'
import type { Learning } from './enrollmentState.ts'

/**
 * Brings an enrollment up to its course, which has changed: what is overdue happens before anything else is decided,
 * and here there is nothing else.
 */
export const catchUp: Verb<Learning, { enrollmentId: string }> = {
  name: 'catchUp',
  aggregate: enrollments,
  root: ({ enrollmentId }) => enrollmentId,
  slice: () => [],
  may: () => {},
  decide: () => [],
}
