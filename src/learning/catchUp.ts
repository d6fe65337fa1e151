import type { Verb } from '../commit/aggregate.ts'
import { enrollments } from './enrollmentAggregate.ts'
import type { Learning } from './enrollmentState.ts'

/**
 * Evaluates an enrollment again after its course has changed. commit() adds what is overdue before it calls `decide`,
 * so there is nothing left to decide here.
 */
export const catchUp: Verb<Learning, { enrollmentId: string }> = {
  name: 'catchUp',
  aggregate: enrollments,
  root: ({ enrollmentId }) => enrollmentId,
  slice: () => [],
  may: () => {},
  decide: () => [],
}
