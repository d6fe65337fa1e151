import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import {
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLUnionType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isNonNullType,
  isObjectType,
  isUnionType,
  OverlappingFieldsCanBeMergedRule,
  parse,
  validate,
} from 'graphql'
import { describe, expect, test } from 'vitest'
import { toSchema } from '../../src/server/schema.ts'

const schema = toSchema()
const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type))

/** A type with all that it is made of, by its path. */
function* parts(type: GraphQLNamedType): Generator<[path: string, description: string | null | undefined]> {
  yield [type.name, type.description]
  if (isEnumType(type))
    for (const { name, description } of type.getValues()) yield [`${type.name}.${name}`, description]
  if (isInputObjectType(type))
    for (const { name, description } of Object.values(type.getFields())) yield [`${type.name}.${name}`, description]
  if (!isObjectType(type) && !isInterfaceType(type)) return
  for (const { name, description, args } of Object.values(type.getFields())) {
    yield [`${type.name}.${name}`, description]
    for (const arg of args) yield [`${type.name}.${name}(${arg.name})`, arg.description]
  }
}

/** A selection of every field of a type, and of what these return, so many levels deep. */
function everything(type: GraphQLNamedType, levels: number): string {
  const selection = (parts: readonly string[]) => `{ ${parts.join(' ')} }`
  if (isUnionType(type) || (isInterfaceType(type) && levels > 1))
    return selection(
      schema.getPossibleTypes(type).map((member) => `... on ${member} ${everything(member, levels - 1)}`),
    )
  if (!isObjectType(type) && !isInterfaceType(type)) return ''
  if (levels === 0) return selection(['__typename'])
  return selection(
    Object.values(type.getFields()).map((field) => `${field.name} ${everything(getNamedType(field.type), levels - 1)}`),
  )
}

describe('the schema', () => {
  test('says of every type, field, argument and value what it is', () => {
    const builtIn = ['String', 'Int', 'Float', 'Boolean', 'ID']
    const mute = types
      .filter(({ name }) => !builtIn.includes(name))
      .flatMap((type) => [...parts(type)].filter(([, description]) => !description?.trim()).map(([path]) => path))
    expect(mute).toEqual([])
  })

  test.each([
    ['the schema', schema.description],
    ['Query', schema.getQueryType()!.description],
    ['Mutation', schema.getMutationType()!.description],
    ['Subscription', schema.getSubscriptionType()!.description],
  ])('says of %s what it is', (_, description) => {
    expect(description?.trim()).toBeTruthy()
  })

  test('may answer each field of Query with null, so that one that is refused leaves the others their answers', () => {
    const fields = Object.values(schema.getQueryType()!.getFields())
    expect(fields.filter(({ type }) => isNonNullType(type)).map(({ name }) => name)).toEqual([])
  })

  test.each(Object.values(schema.getMutationType()!.getFields()).map((field) => [field.name, field] as const))(
    'names what belongs to %s by one rule, and its answer is its payload or a domain error',
    (name, { args, type }) => {
      const Name = name[0]!.toUpperCase() + name.slice(1)
      expect(args.map(({ name, type }) => `${name}: ${type}`)).toEqual([`input: ${Name}Input!`])
      expect(String(type)).toBe(`${Name}Result!`)

      const input = schema.getType(`${Name}Input`)
      if (!isInputObjectType(input)) throw new Error(`${Name}Input is no input type.`)
      const { items } = input.getFields()
      if (items) {
        // a batch: each item is what its single form takes, with a key of its own, and is answered as that is
        const Single = Name.replace(/s$/, '')
        expect(String(items.type)).toBe(`[${Single}Input!]!`)
        expect(String((schema.getType(`${Name}Summary`) as GraphQLObjectType).getFields().results!.type)).toBe(
          `[${Name}ItemResult!]!`,
        )
        const answers = (union: string) =>
          (schema.getType(union) as GraphQLUnionType).getTypes().map(({ name }) => name)
        expect(answers(`${Name}ItemResult`).sort()).toEqual(answers(`${Single}Result`).sort())
        expect(answers(`${Name}Result`).sort()).toEqual([
          'Forbidden',
          'InvalidInput',
          'Unauthenticated',
          `${Name}Summary`,
        ])
        return
      }
      expect(String(input.getFields().idempotencyKey?.type)).toMatch(/^ID!?$/)
      expect(String(input.getFields().expectedVersion?.type)).toBe('Int')

      const result = schema.getType(`${Name}Result`) as GraphQLUnionType
      expect(isUnionType(result)).toBe(true)
      const [payloads, errors] = [
        result.getTypes().filter(({ name }) => name.endsWith('Payload')),
        result.getTypes().filter(({ name }) => !name.endsWith('Payload')),
      ]
      expect(payloads.map(({ name }) => name)).toEqual([`${Name}Payload`])
      expect(payloads[0]!.getInterfaces().map(({ name }) => name)).toEqual(['Payload'])
      expect(Object.keys(payloads[0]!.getFields())).toEqual(expect.arrayContaining(['version', 'cursor', 'replayed']))
      for (const error of errors) expect(error.getInterfaces().map(({ name }) => name)).toEqual(['DomainError'])
      const always = [
        'Busy',
        'Forbidden',
        'IdempotencyKeyReused',
        'InvalidInput',
        'OperationFailed',
        'OutcomeUnknown',
        'Unauthenticated',
        'Unavailable',
        'VersionConflict',
      ]
      expect(errors.map(({ name }) => name)).toEqual(expect.arrayContaining(always))
    },
  )

  test.each(Object.values(schema.getSubscriptionType()!.getFields()).map((field) => [field.name, field] as const))(
    'names what belongs to %s by one rule: a snapshot, a change or SubscriberTooSlow, each with its cursor',
    (name, { args, type }) => {
      const subject = name.replace(/Updates$/, '')
      const Subject = subject[0]!.toUpperCase() + subject.slice(1)
      expect(args.map(({ name, type }) => `${name}: ${type}`)).toContain('after: Cursor')
      expect(String(type)).toBe(`${Subject}Update!`)
      const told = (schema.getType(`${Subject}Update`) as GraphQLUnionType).getTypes()
      expect(told.map(({ name }) => name).sort()).toEqual(
        [`${Subject}Change`, `${Subject}Snapshot`, 'SubscriberTooSlow'].sort(),
      )
      for (const type of told) expect(String(type.getFields().cursor!.type)).toBe('Cursor!')
    },
  )

  test('has a code and a message for every domain error', () => {
    const errors = schema.getPossibleTypes(schema.getType('DomainError') as never)
    expect(errors.length).toBeGreaterThan(10)
    for (const error of errors)
      expect(Object.keys(error.getFields())).toEqual(expect.arrayContaining(['code', 'message']))
  })

  test.each(types.filter(isUnionType))('lets a client select every field of every member of %s at once', (type) => {
    const document = parse(`fragment All on ${type} ${everything(type, 3)}`)
    const conflicts = validate(schema, document, [OverlappingFieldsCanBeMergedRule])
    expect(conflicts.map(({ message }) => message)).toEqual([])
  })

  test('is printed in schema.graphql, possibleTypes.json and scalars.json as it is', async () => {
    await promisify(execFile)(process.execPath, ['--import', 'tsx', 'codegen.ts', '--check'], {
      cwd: new URL('../..', import.meta.url),
    })
  })
})
