import { exitCode, OperatorError } from '../operator/operatorError.ts'
import type { UserState } from './userAggregate.ts'

/** All roles, as they are written. */
export const roles: readonly UserState['role'][] = ['LEARNER', 'INSTRUCTOR', 'ADMIN']

/** The role that an operator wrote after `--role`. Throws an OperatorError if there is none of that name. */
export function roleIn(text: string): UserState['role'] {
  const role = roles.find((role) => role === text)
  if (role) return role
  throw new OperatorError(`--role must be one of ${roles.join(', ')}, and is ${JSON.stringify(text)}.`, exitCode.usage)
}
