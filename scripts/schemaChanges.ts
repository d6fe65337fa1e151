import {
  type BreakingChangeType,
  type DangerousChangeType,
  findBreakingChanges,
  findDangerousChanges,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLSchema,
  isInputObjectType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
} from 'graphql'

/** A difference between two schemas that clients of the older one may notice. */
export interface Change {
  /** Breaking: an operation that was valid may now be refused, or gets what it was not written for. */
  readonly isBreaking: boolean
  /** What differs, always in the same words. */
  readonly text: string
  /** What it means for clients, and what to do. */
  readonly advice: string
}

/** What graphql-js finds, and three that it does not. */
type Kind = `${BreakingChangeType}` | `${DangerousChangeType}` | 'INPUT_BECAME_REQUIRED' | 'INPUT_DEFAULT' | 'ONE_OF'

const directive = 'Documents that use the directive so are refused.'
const required = 'Requests without it are refused. Make it nullable, or give it a default.'
const optional = 'Nothing is to be done if leaving it out means what it meant before.'
const unknown = 'Clients that handle each by name receive one that they do not know. Name it in the changelog.'
const newDefault = 'Requests that leave it out now mean something else. Keep what it means to leave it out.'
const gone = 'Documents that name it are refused. Keep it, and mark it as @deprecated.'

const advice: Record<Kind, string> = {
  TYPE_REMOVED: 'Documents that name it are refused. Keep it, and mark the fields that return it as @deprecated.',
  TYPE_CHANGED_KIND: 'Documents that use it are refused. Keep it, and add a type with another name.',
  TYPE_REMOVED_FROM_UNION: 'Documents with a fragment on it are refused. Keep it, even if it is never sent.',
  VALUE_REMOVED_FROM_ENUM: 'Requests with this value are refused. Keep it, and mark it as @deprecated.',
  FIELD_REMOVED: gone,
  ARG_REMOVED: gone,
  FIELD_CHANGED_KIND: 'Clients expect the old type. Keep it, and add a field with another name.',
  ARG_CHANGED_KIND: 'Requests with the old type are refused. Keep it, and add an argument with another name.',
  IMPLEMENTED_INTERFACE_REMOVED: 'Documents that read it through the interface are refused. Keep the interface.',
  REQUIRED_INPUT_FIELD_ADDED: required,
  REQUIRED_ARG_ADDED: required,
  INPUT_BECAME_REQUIRED: required,
  ONE_OF: 'Requests with none of the fields, or several, are refused. Keep the type, and add one with another name.',
  DIRECTIVE_REMOVED: directive,
  DIRECTIVE_ARG_REMOVED: directive,
  REQUIRED_DIRECTIVE_ARG_ADDED: directive,
  DIRECTIVE_REPEATABLE_REMOVED: directive,
  DIRECTIVE_LOCATION_REMOVED: directive,
  VALUE_ADDED_TO_ENUM: unknown,
  TYPE_ADDED_TO_UNION: unknown,
  IMPLEMENTED_INTERFACE_ADDED: 'Fragments on the interface now select from this type too.',
  OPTIONAL_INPUT_FIELD_ADDED: optional,
  OPTIONAL_ARG_ADDED: optional,
  ARG_DEFAULT_VALUE_CHANGE: newDefault,
  INPUT_DEFAULT: newDefault,
}

/** Every breaking and dangerous change from the released schema to the present one. */
export function schemaChanges(released: GraphQLSchema, present: GraphQLSchema): Change[] {
  const change = (isBreaking: boolean) => (found: { type: Kind; description: string }) => ({
    isBreaking,
    text: found.description,
    advice: advice[found.type],
  })
  return [
    ...findBreakingChanges(released, present).map(change(true)),
    ...stricterInputs(released, present).map(change(true)),
    ...findDangerousChanges(released, present).map(change(false)),
    ...otherDefaults(released, present).map(change(false)),
  ]
}

/** Inputs that can't be left out any more though their type is the same, and types of which now one field is wanted. */
function stricterInputs(released: GraphQLSchema, present: GraphQLSchema): { type: Kind; description: string }[] {
  const oneOf = Object.values(released.getTypeMap()).flatMap((before) => {
    const after = present.getType(before.name)
    const isNew = isInputObjectType(before) && isInputObjectType(after) && !before.isOneOf && after.isOneOf
    return isNew ? [{ type: 'ONE_OF' as const, description: `${before.name} became @oneOf.` }] : []
  })
  const required = inputsOfBoth(released, present)
    .filter(([, before, after]) => isNonNullType(before.type) && !isRequired(before) && isRequired(after))
    .map(([path]) => ({ type: 'INPUT_BECAME_REQUIRED' as const, description: `${path} became required.` }))
  return [...oneOf, ...required]
}

/** Input fields, and arguments that had no default, that mean something else when they are left out. */
function otherDefaults(released: GraphQLSchema, present: GraphQLSchema): { type: Kind; description: string }[] {
  const printed = ({ defaultValue }: Input) => (defaultValue === undefined ? 'none' : JSON.stringify(defaultValue))
  return inputsOfBoth(released, present)
    .filter(([path, before]) => before.defaultValue === undefined || !path.endsWith(')')) // the rest graphql-js finds
    .filter(([, before, after]) => !isRequired(before) && !isRequired(after) && printed(before) !== printed(after))
    .map(([path, before, after]) => ({
      type: 'INPUT_DEFAULT',
      description: `The default of ${path} changed from ${printed(before)} to ${printed(after)}.`,
    }))
}

type Input = GraphQLArgument | GraphQLInputField

const isRequired = ({ type, defaultValue }: Input) => isNonNullType(type) && defaultValue === undefined

function inputsOfBoth(released: GraphQLSchema, present: GraphQLSchema): [path: string, before: Input, after: Input][] {
  const now = new Map(inputs(present))
  return [...inputs(released)].flatMap(([path, before]) => {
    const after = now.get(path)
    return after ? [[path, before, after]] : []
  })
}

/** Each field of an input type, and each argument of a field, by its path. */
function* inputs(schema: GraphQLSchema): Generator<[path: string, input: Input]> {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isInputObjectType(type))
      for (const field of Object.values(type.getFields())) yield [`${type.name}.${field.name}`, field]
    if (isObjectType(type) || isInterfaceType(type))
      for (const { name, args } of Object.values(type.getFields()))
        for (const arg of args) yield [`${type.name}.${name}(${arg.name})`, arg]
  }
}
