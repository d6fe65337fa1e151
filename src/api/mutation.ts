import type { FieldMap, InputFieldMap, InputShapeFromFields } from '@pothos/core'
import type { Actor, Shape, Verb } from '../commit/aggregate.ts'
import type { Committed } from '../commit/commit.ts'
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
import type { Shown } from './answers.ts'
import { builder, type SchemaTypes } from './builder.ts'
import type { Context } from './context.ts'
import type { ErrorClass } from './domainError.ts'

/** Builds the fields of an input. */
export type InputBuilder = PothosSchemaTypes.InputFieldBuilder<SchemaTypes, 'InputObject'>
/** Builds the fields of a mutation's payload from what was committed. */
export type PayloadBuilder<View, Answer = object> = PothosSchemaTypes.ObjectFieldBuilder<
  SchemaTypes,
  Committed<View, Answer>
>

interface MutationOptions<S extends Shape, Input, Answer extends object, Fields extends InputFieldMap> {
  readonly description: string
  /** The message if the server fails: `Failed to update progress.` */
  readonly failed: string
  readonly input: (t: InputBuilder) => Fields
  /** Makes the verb's input of the field's; throws InvalidInput. The key is for verbs that derive an id from it. */
  ask(given: InputShapeFromFields<Fields> & Common, viewer: Actor): Input
  readonly payload: (t: PayloadBuilder<S['view'], Answer>) => FieldMap
  readonly errors: readonly ErrorClass[]
  /** The verb adds up or creates: without a key, a request sent again could take effect twice. */
  readonly keyRequired?: true
  /** The answer if the database is not available; undefined: return the error. */
  degrade?(input: Input, error: DomainError): Committed<S['view'], Answer> | undefined
}

/** What every input has. */
interface Common {
  readonly idempotencyKey?: string | null
  readonly expectedVersion?: number | null
}

/** The errors that every mutation may be answered with. */
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
 * that can happen. Returns its parts, for batch mutations.
 */
export function mutation<S extends Shape, Input, Answer extends object, Fields extends InputFieldMap>(
  verb: Verb<S, Input, Answer>,
  options: MutationOptions<S, Input, Answer, Fields>,
) {
  const { name } = verb
  const Name = name[0]!.toUpperCase() + name.slice(1)
  const input = inputOf(Name, name, options)
  const payload = payloadOf(Name, verb, options)
  const errors = [...new Set([...common, ...options.errors])]
  const run = runner(verb, options)
  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      description: options.description,
      args: { input: t.arg({ type: input, description: `Input for ${name}.` }) },
      errors: {
        types: errors,
        union: { name: `${Name}Result`, description: `The payload of ${name}, or the error that it was refused with.` },
      },
      // generic: see below
      resolve: (_, args, context, { path }) =>
        context.answers.once(String(path.key), () => run((args as { input: unknown }).input, context)) as never,
    }),
  )
  return { input, payload, errors, run }
}

// Pothos computes the shapes of inputs and payloads from their fields. Where those are generic, as here, TypeScript
// can't follow it; hence the casts in this file. What callers see is exact.

function inputOf(
  Name: string,
  name: string,
  { input, keyRequired }: Pick<MutationOptions<Shape, never, object, InputFieldMap>, 'input' | 'keyRequired'>,
) {
  return builder.inputType(`${Name}Input`, {
    description: `Input for ${name}.`,
    fields: (t) => ({
      ...input(t),
      expectedVersion: t.int({
        required: false,
        description:
          'Make the change only if the current version is this one; otherwise the answer is VersionConflict.',
      }),
      idempotencyKey: t.id({
        required: keyRequired ?? false,
        description:
          'A key of your choice for this request, 1 to 200 printable ASCII characters, such as a UUID. However ' +
          'often a request is sent with the same key, it takes effect once, and is told what it made then.',
      }),
    }),
  })
}

function payloadOf<S extends Shape, Input, Answer extends object>(
  Name: string,
  { name }: Verb<S, Input, Answer>,
  options: { payload(t: PayloadBuilder<S['view'], Answer>): FieldMap },
) {
  return builder.objectRef<Done<S['view'], Answer>>(`${Name}Payload`).implement({
    description: `What ${name} did.`,
    interfaces: [Payload] as never, // Pothos can't see that a generic payload is one
    fields: (t) => options.payload(t as PayloadBuilder<S['view'], Answer>),
  })
}

/** What was committed, and to which kind of root. */
interface Done<View, Answer = object> extends Committed<View, Answer> {
  readonly rootType: string
}

const Payload = builder.interfaceRef<Done<{ readonly id: string }>>('Payload').implement({
  description: 'What every mutation of one thing returns if it was not refused.',
  fields: (t) => ({
    version: t.exposeInt('version', {
      description: 'The version that this request made; if it changed nothing, the version that it found.',
    }),
    cursor: t.field({
      type: 'Cursor',
      nullable: true,
      description:
        'Pass as `after` to receive only later changes. A change with this `version` is your own. Null only if the ' +
        'database could not be reached since the server started.',
      resolve: ({ rootType, view, version }, _, { cursorOf }) => cursorOf(rootType, view.id, version).catch(() => null),
    }),
    replayed: t.exposeBoolean('replayed', {
      description: 'True: a request with the same key was carried out before, and this is what that made.',
    }),
  }),
})

/** How a request is carried out: resolves with what was committed, rejects with a domain error. */
function runner<S extends Shape, Input, Answer extends object, Fields extends InputFieldMap>(
  verb: Verb<S, Input, Answer>,
  { ask, failed, degrade }: MutationOptions<S, Input, Answer, Fields>,
) {
  const rootType = verb.aggregate.root
  return async (given: unknown, context: Context): Promise<Done<S['view'], Answer>> => {
    const { viewer, commit, log, requestId, newest, answers } = context
    if (!viewer) throw new Unauthenticated()
    const asked = given as InputShapeFromFields<Fields> & Common
    const key = keyIn(asked.idempotencyKey)
    const input = ask(asked, viewer)
    const look = () => commit(looking(verb), { actor: viewer, input })
    try {
      const expectedVersion = asked.expectedVersion ?? undefined
      const done = { rootType, ...(await commit(verb, { actor: viewer, input, key, expectedVersion })) }
      newest.note(rootType, done.view.id, done.now.view.version)
      answers.add(shownBy(done, look))
      return done
    } catch (error) {
      if (error instanceof VersionConflict) answers.add(shownByConflict(error, look))
      const refusal = error instanceof DomainError ? error : new OperationFailed(failed, requestId)
      if (refusal !== error) log.error({ err: error, verb: verb.name, viewer: viewer.id, requestId }, failed)
      const instead = degrade?.(input, refusal)
      if (instead) return { rootType, ...instead }
      throw refusal
    }
  }
}

/** The verb, but it changes nothing: it returns the root, and the answer, as they are now. */
const looking = <S extends Shape, Input, Answer extends object>(verb: Verb<S, Input, Answer>) => ({
  ...verb,
  name: 'look',
  may() {}, // who may see the answer was decided when it was made
  decide: () => [],
})

interface Looked<View, Answer> {
  readonly view: View
  readonly answer: Answer
}

/** The root that a payload shows. */
const shownBy = <View extends Root, Answer>(
  done: Done<View, Answer>,
  look: () => Promise<Looked<View, Answer>>,
): Shown => ({
  rootType: done.rootType,
  rootId: done.view.id,
  get version() {
    return done.now.view.version
  },
  async refresh() {
    const { view, answer } = await look()
    Object.assign(done, { now: { view, answer } })
  },
})

/** The root that a conflict shows. */
const shownByConflict = (error: VersionConflict, look: () => Promise<Looked<Root, unknown>>): Shown => ({
  rootType: error.rootType,
  rootId: (error.current as Root).id, // a view has an id
  get version() {
    return error.currentVersion
  },
  async refresh() {
    const { view } = await look()
    const { current, currentVersion, message } = new VersionConflict(error.expectedVersion, error.rootType, view)
    Object.assign(error, { current, currentVersion, message })
  },
})

interface Root {
  readonly id: string
  readonly version: number
}

function keyIn(key: string | null | undefined): string | undefined {
  if (key === null || key === undefined) return undefined
  if (/^[\x20-\x7e]{1,200}$/.test(key)) return key
  const notPrintable = key.length > 0 && key.length <= 200
  throw new InvalidInput(
    'input.idempotencyKey',
    `input.idempotencyKey has ${key.length} ` +
      `characters${notPrintable ? ', some of them not printable ASCII' : ''}. Wanted are 1 to 200 characters of ` +
      `printable ASCII, such as a UUID.`,
  )
}
