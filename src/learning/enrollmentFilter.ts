import { builder } from '../api/builder.ts'
import { containing, isGiven, ordersOf } from '../api/listing.ts'
import { InvalidInput } from '../commit/errors.ts'
import type { Prisma } from '../generated/prisma/client.ts'

type Status = 'NOT_STARTED' | 'IN_PROGRESS' | 'COMPLETED'

/** How far a learner is in a course. */
export const EnrollmentStatus = builder.enumType('EnrollmentStatus', {
  description: 'How far a learner is in a course, in the present attempt.',
  values: {
    NOT_STARTED: { description: 'No lesson is completed.' },
    IN_PROGRESS: { description: 'Some lessons are completed.' },
    COMPLETED: { description: 'The course was completed. It stays so if lessons are added, until a reset.' },
  } as const,
})

/** The status of an enrollment; `HAVING` says the same to Prisma. */
export const statusOf = ({ completed, completedAt }: { readonly completed: number; readonly completedAt: unknown }) =>
  (completedAt ? 'COMPLETED' : completed ? 'IN_PROGRESS' : 'NOT_STARTED') satisfies Status

const HAVING: Readonly<Record<Status, Prisma.EnrollmentWhereInput>> = {
  NOT_STARTED: { completedAt: null, completed: 0 },
  IN_PROGRESS: { completedAt: null, completed: { gt: 0 } },
  COMPLETED: { completedAt: { not: null } },
}

/** The argument `filter` of lists of enrollments. */
export const EnrollmentFilterInput = builder.inputType('EnrollmentFilterInput', {
  description: 'Which enrollments to list: those for which all that is given holds.',
  fields: (t) => ({
    status: t.field({
      type: [EnrollmentStatus],
      required: false,
      description: 'Those with one of these, at least one.',
    }),
    minPercent: t.int({ required: false, description: 'Those with this `percent` or a higher one: 0 to 100.' }),
    maxPercent: t.int({ required: false, description: 'Those with this `percent` or a lower one: 0 to 100.' }),
    activeSince: t.field({
      type: 'DateTime',
      required: false,
      description: 'Those whose learner was active at this time or later; see `Enrollment.lastActivityAt`.',
    }),
    inactiveSince: t.field({
      type: 'DateTime',
      required: false,
      description: 'Those whose learner was last active before this time.',
    }),
    learnerName: t.string({
      required: false,
      description: 'Those whose learner’s name contains this text, in capitals or not: 1 to 200 characters.',
    }),
  }),
})
type Filter = typeof EnrollmentFilterInput.$inferInput

/** What must hold of the enrollments that a filter lets through. Throws InvalidInput. */
export function conditionsOf(filter: Filter | null | undefined): Condition[] {
  const { status, minPercent, maxPercent, activeSince, inactiveSince, learnerName } = filter ?? {}
  if (status?.length === 0)
    throw new InvalidInput('filter.status', 'filter.status is empty. Wanted is at least one; leave it out to see all.')
  checkPercents(minPercent, maxPercent)
  checkTimes(activeSince, inactiveSince)
  const name = containing(learnerName, 'filter.learnerName')
  return [
    status && { OR: status.map((each) => HAVING[each]) },
    isGiven(minPercent) && { percent: { gte: minPercent } },
    isGiven(maxPercent) && { percent: { lte: maxPercent } },
    activeSince && { lastActivityAt: { gte: activeSince } },
    inactiveSince && { lastActivityAt: { lt: inactiveSince } },
    name && { learner: { name } },
  ]
}
type Condition = Prisma.EnrollmentWhereInput | false | null | undefined

type Optional<T> = T | null | undefined

function checkPercents(minPercent: Optional<number>, maxPercent: Optional<number>): void {
  for (const [name, percent] of Object.entries({ minPercent, maxPercent }))
    if (typeof percent === 'number' && (percent < 0 || percent > 100))
      throw new InvalidInput(`filter.${name}`, `filter.${name} is ${percent}. Wanted is a number from 0 to 100.`)
  if ((minPercent ?? 0) > (maxPercent ?? 100))
    throw new InvalidInput(
      'filter.minPercent',
      `filter.minPercent is ${minPercent}, and filter.maxPercent is ${maxPercent}. Wanted is a minPercent that is ` +
        'not higher than maxPercent.',
    )
}

function checkTimes(activeSince: Optional<Date>, inactiveSince: Optional<Date>): void {
  for (const [name, time] of Object.entries({ activeSince, inactiveSince }))
    if (time && !(time.getUTCFullYear() >= 1 && time.getUTCFullYear() <= 9999))
      throw new InvalidInput(`filter.${name}`, `filter.${name} is in no year from 1 to 9999. Wanted is such a time.`)
  if (activeSince && inactiveSince && activeSince >= inactiveSince)
    throw new InvalidInput(
      'filter.activeSince',
      `filter.activeSince is ${activeSince.toJSON()}, and filter.inactiveSince is ${inactiveSince.toJSON()}. Wanted ` +
        'is an activeSince that is earlier than inactiveSince.',
    )
}

/** The argument `orderBy` of lists of enrollments. */
export const enrollmentOrders = ordersOf('Enrollment', {
  of: 'enrollments',
  fields: {
    PERCENT: { description: 'By `percent`.', by: (percent): By => ({ percent }) },
    LAST_ACTIVITY: { description: 'By `lastActivityAt`.', by: (lastActivityAt) => ({ lastActivityAt }) },
    LEARNER_NAME: { description: 'By the learner’s name.', by: (name) => ({ learner: { name } }) },
    ENROLLED_AT: { description: 'By `enrolledAt`.', by: (enrolledAt) => ({ enrolledAt }) },
  },
})
type By = Prisma.EnrollmentOrderByWithRelationInput
