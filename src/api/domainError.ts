import type { FieldMap } from '@pothos/core'
import {
  Busy,
  type DomainError,
  Forbidden,
  IdempotencyKeyReused,
  InvalidInput,
  OperationFailed,
  OutcomeUnknown,
  Unauthenticated,
  Unavailable,
  VersionConflict,
} from '../commit/errors.ts'
import { builder, type SchemaTypes } from './builder.ts'

export type ErrorClass<E extends DomainError = DomainError> = new (...args: never[]) => E

const DomainErrorInterface = builder.interfaceRef<DomainError>('DomainError').implement({
  description: 'Why a request was refused. Nothing has changed, except with OutcomeUnknown, where that is not known.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'The error’s stable code for programs, in capitals.' }),
    message: t.exposeString('message', {
      description: 'The error for people: what was found, what was wanted, what to do.',
    }),
  }),
})

type ErrorFields<E extends DomainError> = (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, E>) => FieldMap

/** Makes a domain error a type of the API, with fields of its own where it has any. */
export function showError<E extends DomainError>(
  error: ErrorClass<E>,
  description: string,
  fields: ErrorFields<E> = () => ({}),
): void {
  const options = {
    name: error.name,
    description,
    interfaces: [DomainErrorInterface],
    isTypeOf: (value: unknown) => value instanceof error,
    fields,
  }
  // Pothos takes only classes whose constructor has no arguments
  builder.objectType(error as never, options as never)
}

const shownRoots = new Map<string, (view: never) => object>()

/** Defines how a kind of root is shown from its view, where the type is known only at run time. */
export function showRoot<View>(rootType: string, shown: (view: View) => object): void {
  shownRoots.set(rootType, shown)
}

const retryable: ErrorFields<Busy | Unavailable> = (t) => ({
  retryAfterMs: t.exposeInt('retryAfterMs', { description: 'Ask again after this many milliseconds.' }),
})

showError(Unauthenticated, 'The request was sent without a token.')
showError(Forbidden, 'The viewer may not do this.')
showError(InvalidInput, 'A value of the input is not valid.', (t) => ({
  field: t.exposeString('field', { description: 'The path of the value, such as `input.idempotencyKey`.' }),
}))
showError(IdempotencyKeyReused, 'The key was used before for another request.', (t) => ({
  idempotencyKey: t.exposeID('idempotencyKey', { description: 'The key.' }),
}))
showError(Busy, 'Others kept changing the same thing for too long. Nothing was changed; ask again.', retryable)
showError(Unavailable, 'The database cannot be reached at the moment. Nothing was changed; ask again.', retryable)
showError(
  OutcomeUnknown,
  'The connection to the database was lost during the commit, and the outcome could not be found out. Look at ' +
    'the data, or ask again with the same key.',
)
showError(OperationFailed, 'The server failed. Nothing was changed.', (t) => ({
  requestId: t.exposeString('requestId', { description: 'The request’s id, under which the log has the cause.' }),
}))
showError(VersionConflict, 'The current version is not the expected one.', (t) => ({
  expectedVersion: t.exposeInt('expectedVersion', { description: 'The version that the request expected.' }),
  currentVersion: t.exposeInt('currentVersion', { description: 'The current version.' }),
  current: t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    description: 'The current state, as committed. Null at version 0: there is nothing yet.',
    resolve: ({ rootType, current, currentVersion }) => {
      if (!currentVersion) return null
      return { ...shownRoots.get(rootType)?.(current as never), __typename: rootType } as never // a type known only now
    },
  }),
}))
