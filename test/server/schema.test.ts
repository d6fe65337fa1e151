import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import {
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLUnionType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isUnionType,
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

describe('the schema', () => {
  test('says of every type, field, argument and value what it is', () => {
    const builtIn = ['String', 'Int', 'Float', 'Boolean', 'ID']
    const mute = types
      .filter(({ name }) => !builtIn.includes(name))
      .flatMap((type) => [...parts(type)].filter(([, description]) => !description?.trim()).map(([path]) => path))
    expect(mute).toEqual([])
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
        expect(String((schema.getType(`${Name}Payload`) as GraphQLObjectType).getFields().results!.type)).toBe(
          `[${Name}ItemResult!]!`,
        )
        const answers = (union: string) =>
          (schema.getType(union) as GraphQLUnionType).getTypes().map(({ name }) => name)
        expect(answers(`${Name}ItemResult`).sort()).toEqual(answers(`${Single}Result`).sort())
        expect(answers(`${Name}Result`).sort()).toEqual([
          'Forbidden',
          'InvalidInput',
          'Unauthenticated',
          `${Name}Payload`,
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
    'names what belongs to %s by one rule: a snapshot, a change or StreamLagging, each with its cursor',
    (name, { args, type }) => {
      const subject = name.replace(/Updates$/, '')
      const Subject = subject[0]!.toUpperCase() + subject.slice(1)
      expect(args.map(({ name, type }) => `${name}: ${type}`)).toContain('after: Cursor')
      expect(String(type)).toBe(`${Subject}Update!`)
      const told = (schema.getType(`${Subject}Update`) as GraphQLUnionType).getTypes()
      expect(told.map(({ name }) => name).sort()).toEqual(
        [`${Subject}Change`, `${Subject}Snapshot`, 'StreamLagging'].sort(),
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

  test('is printed in schema.graphql as it is', async () => {
    await promisify(execFile)(process.execPath, ['--import', 'tsx', 'codegen.ts', '--check'], {
      cwd: new URL('../..', import.meta.url),
    })
  })
})
