import type { FieldMap, InputFieldMap, InputShapeFromFields } from '@pothos/core'
import type { Actor, Shape, Verb } from '../commit/aggregate.ts'
import { builder, type SchemaTypes } from './builder.ts'
import type { Committed } from '../commit/commit.ts'
import type { Context } from './context.ts'
import {
  Busy,
  DomainError,
  Forbidden,
  IdempotencyKeyReused,
  InvalidInput,
  OperationFailed,
  OutcomeUnknown,
  Unauthenticated,
  Unavailable,
  VersionConflict,
} from '../commit/errors.ts'

type InputBuilder = PothosSchemaTypes.InputFieldBuilder<SchemaTypes, 'InputObject'>
/** Builds the fields of a mutation's payload, from what was committed. */
export type PayloadBuilder<View, Answer> = PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Committed<View, Answer>>
type ErrorClass = new (...args: never[]) => DomainError

interface MutationOptions<S extends Shape, Input, Answer extends object, Fields extends InputFieldMap> {
  /** Called late: the verb stands below its field. */
  verb(): Verb<S, Input, Answer>
  readonly description: string
  /** What is told if something goes wrong on our side. */
  readonly failed: string
  readonly input: (t: InputBuilder) => Fields
  /** The verb's input; throws InvalidInput. The key is there for those who derive an id from it. */
  ask(given: InputShapeFromFields<Fields> & { readonly idempotencyKey?: string | null }, viewer: Actor): Input
  readonly payload: (t: PayloadBuilder<S['view'], Answer>) => FieldMap
  readonly errors: readonly ErrorClass[]
  /** It adds up or creates, so that without a key a lost answer could make it happen twice. */
  readonly keyRequired?: true
  /** What is answered if the change could not be made for want of a database, where that is better than an error. */
  degrade?(input: Input, error: DomainError, context: Context): Committed<S['view'], Answer> | undefined
}

/** What every mutation may be answered with. */
const common: readonly ErrorClass[] = [
  Unauthenticated,
  Forbidden,
  InvalidInput,
  VersionConflict,
  IdempotencyKeyReused,
  Busy,
  Unavailable,
  OutcomeUnknown,
  OperationFailed,
]

/**
 * The GraphQL field of a verb: `name(input: NameInput!): NameResult!`, a union of `NamePayload` and the domain errors
 * that can happen. Answers with what it is made of, for a field that does many of the same.
 */
export function mutation<S extends Shape, Input, Answer extends object, Fields extends InputFieldMap>(
  name: string,
  options: MutationOptions<S, Input, Answer, Fields>,
) {
  const { description, failed, errors, keyRequired } = options
  const Name = name[0]!.toUpperCase() + name.slice(1)

  const input = builder.inputType(`${Name}Input`, {
    description: `What ${name} needs to know.`,
    fields: (t) => ({
      ...options.input(t),
      expectedVersion: t.int({
        required: false,
        description: 'Only if what is changed is still at this version; otherwise VersionConflict.',
      }),
      idempotencyKey: t.id({
        required: keyRequired ?? false,
        description:
          'A name of your choosing for this request, 1 to 200 characters, such as a UUID. Sent again with the same key, however often, it takes effect once and is answered as it was the first time.',
      }),
    }),
  })

  const payload = builder.objectRef<Committed<S['view'], Answer>>(`${Name}Payload`).implement({
    description: `What ${name} did, as it was committed.`,
    fields: (t) => ({
      ...options.payload(t as PayloadBuilder<S['view'], Answer>),
      version: t.exposeInt('version', {
        description: 'The version that this request made, or, if it changed nothing, found.',
      }),
      cursor: t.field({
        type: 'Cursor',
        nullable: true,
        description:
          'Behind that version: a subscription to the same with this as `after` tells what comes next. And whoever is told a change with this version has been told their own. Null only if the database could not be reached since the server began.',
        resolve: ({ view, version }, _, { cursorOf }) =>
          cursorOf(options.verb().aggregate.root, view.id, version).catch(() => null),
      }),
      replayed: t.exposeBoolean('replayed', {
        description:
          'True: this request had been carried out before, under the same key, and this is the answer it was given then.',
      }),
    }),
  })

  const errorTypes = [...new Set([...common, ...errors])]

  /** Asks for what was given, and answers with what was committed; throws a domain error. */
  async function carryOut(input: unknown, context: Context): Promise<Committed<S['view'], Answer>> {
    const given = input as InputShapeFromFields<Fields> & {
      idempotencyKey?: string | null
      expectedVersion?: number | null
    }
    const { viewer } = context
    if (!viewer) throw new Unauthenticated()
    const key = keyIn(given.idempotencyKey)
    const asked = options.ask(given, viewer)
    try {
      return await context.commit(options.verb(), {
        actor: viewer,
        input: asked,
        key,
        expectedVersion: given.expectedVersion ?? undefined,
      })
    } catch (error) {
      const told = error instanceof DomainError ? error : new OperationFailed(failed, context.requestId)
      if (!(error instanceof DomainError))
        context.log.error({ err: error, verb: name, viewer: viewer.id, requestId: context.requestId }, failed)
      const instead = options.degrade?.(asked, told, context)
      if (instead) return instead
      throw told
    }
  }

  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      description,
      args: { input: t.arg({ type: input, description: 'What is asked.' }) },
      errors: {
        types: errorTypes,
        union: {
          name: `${Name}Result`,
          description: `What ${name} is answered with: its payload, or why nothing was changed.`,
        },
      },
      resolve: (_, args, context) => carryOut((args as { input: unknown }).input, context) as never,
    }),
  )
  return { input, payload, errors: errorTypes, carryOut }
}

function keyIn(key: string | null | undefined): string | undefined {
  if (key === null || key === undefined) return undefined
  if (/^[\x20-\x7e]{1,200}$/.test(key)) return key
  throw new InvalidInput(
    'input.idempotencyKey',
    `input.idempotencyKey has ${key.length} characters${key.length > 200 || !key.length ? '' : ', some of them not printable ASCII'}. Wanted are 1 to 200 characters of printable ASCII, such as a UUID.`,
  )
}

const DomainErrorInterface = builder.interfaceRef<DomainError>('DomainError').implement({
  description: 'Why a request that was understood was not carried out. Nothing has changed.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'What it is, for a program: stable, in capitals.' }),
    message: t.exposeString('message', {
      description: 'What it is, for a person: what was found, what was wanted, what to do.',
    }),
  }),
})

const shownRoots = new Map<string, (view: never) => object>()

/** Says how a kind of root is shown, from its view, wherever it isn't known which kind it is. */
export function showRoot<View>(rootType: string, shown: (view: View) => object): void {
  shownRoots.set(rootType, shown)
}

type ErrorFields<E extends DomainError> = (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, E>) => FieldMap

/** Shows a domain error as a type of the API, with fields of its own where it has any. */
export function showError<E extends DomainError>(
  error: new (...args: never[]) => E,
  description: string,
  fields: ErrorFields<E> = () => ({}),
): void {
  builder.objectType(
    error as never,
    {
      name: error.name,
      description,
      interfaces: [DomainErrorInterface],
      isTypeOf: (value: unknown) => value instanceof error,
      fields: fields as never,
    } as never,
  )
}

const retryable: ErrorFields<Busy | Unavailable> = (t) => ({
  retryAfterMs: t.exposeInt('retryAfterMs', { description: 'After how many milliseconds it is worth asking again.' }),
})

showError(Unauthenticated, 'The caller has not said who they are, or their session has ended.')
showError(Forbidden, 'The caller may not do this.')
showError(InvalidInput, 'What was asked cannot be meant.', (t) => ({
  field: t.exposeString('field', { description: 'The argument, as `input.idempotencyKey`.' }),
}))
showError(IdempotencyKeyReused, 'The key was used before for another request.', (t) => ({
  idempotencyKey: t.exposeID('idempotencyKey', { description: 'The key.' }),
}))
showError(
  Busy,
  'Somebody else has been changing the same thing for too long. Nothing was changed; ask again.',
  retryable,
)
showError(Unavailable, 'The database cannot be reached just now. Nothing was changed; ask again.', retryable)
showError(
  OutcomeUnknown,
  'The connection was lost during the commit and it could not be found out whether the change was made. Look, or ask again with the same key.',
)
showError(OperationFailed, 'Something went wrong on our side. Nothing was changed.', (t) => ({
  requestId: t.exposeString('requestId', { description: 'What to tell us, so that we find it in the log.' }),
}))
showError(VersionConflict, 'The caller saw another version than the one that is now there.', (t) => ({
  expectedVersion: t.exposeInt('expectedVersion', { description: 'The version that the caller saw.' }),
  currentVersion: t.exposeInt('currentVersion', { description: 'The version that is there now.' }),
  current: t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    description: 'What is there now, as it was committed; null if there is nothing, which is version 0.',
    resolve: ({ rootType, current, currentVersion }) =>
      currentVersion ? ({ ...shownRoots.get(rootType)?.(current as never), __typename: rootType } as never) : null,
  }),
}))
