import { DomainError } from '../commit/errors.ts'
import type { Consistency } from './consistency.ts'
import type { Source } from './standingState.ts'

/** The specialization does not exist. */
export class SpecializationNotFound extends DomainError {
  readonly specialization: string
  constructor(specialization: string) {
    super(`There is no specialization ${specialization}.`)
    this.specialization = specialization
  }
}

/** The specialization has no such level. */
export class LevelOutOfRange extends DomainError {
  readonly requestedLevel: number
  readonly maxLevel: number
  constructor(requestedLevel: number, maxLevel: number) {
    super(`${requestedLevel} is no level of this specialization. Wanted is one from 1 to ${maxLevel}.`)
    this.requestedLevel = requestedLevel
    this.maxLevel = maxLevel
  }
}

/** The totals of a progress. */
export type Total = 'XP' | 'SESSIONS' | 'THEORY_HOURS' | 'PRACTICE_HOURS'

/** The greatest value of each total. */
export const MAXIMUM: Record<Total, number> = {
  XP: 2_000_000_000,
  SESSIONS: 2_000_000_000,
  THEORY_HOURS: 9_999_999,
  PRACTICE_HOURS: 9_999_999,
}

/** The change would make a total negative, or greater than its maximum. */
export class TotalOutOfRange extends DomainError {
  readonly total: Total
  readonly currentTotal: number
  readonly requestedTotal: number
  readonly maxTotal: number
  constructor(total: Total, currentTotal: number, requestedTotal: number) {
    super(
      `${total} is ${currentTotal} and would be ${requestedTotal}. Wanted is a change that leaves it at 0 to ` +
        `${MAXIMUM[total]}.`,
    )
    this.total = total
    this.currentTotal = currentTotal
    this.requestedTotal = requestedTotal
    this.maxTotal = MAXIMUM[total]
  }
}

/** The specialization does not count hours. */
export class HoursNotCounted extends DomainError {
  readonly specialization: string
  constructor(specialization: string) {
    super(`The specialization ${specialization} does not count hours. Omit theoryHoursChange and practiceHoursChange.`)
    this.specialization = specialization
  }
}

/** Progress and license have different levels, or one of them is missing, so no level can be changed. */
export class RecordsOutOfSync extends DomainError {
  readonly consistency: Consistency
  constructor(consistency: Consistency) {
    super(`${consistency.message}. First, an admin must sync the records with syncRecords; then ask again.`)
    this.consistency = consistency
  }
}

/** The record chosen as the source does not exist. */
export class RecordNotFound extends DomainError {
  readonly record: Source
  constructor(record: Source) {
    super(`This user has no ${record === 'PROGRESS' ? 'progress' : 'license'} in this specialization.`)
    this.record = record
  }
}
