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
import { parseConfig } from '../../src/operator/config.ts'
import { seedDemo } from '../../src/demo/demo.ts'
import { examples } from '../../src/server/graphiql.ts'
import { toSchema } from '../../src/server/schema.ts'
import { serve } from '../api.ts'
import { socketClient } from '../live/client.ts'
import { world } from '../world.ts'

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

  test('is printed in schema.graphql, possibleTypes.json and scalars.json as it is', async () => {
    await promisify(execFile)(process.execPath, ['--import', 'tsx', 'codegen.ts', '--check'], {
      cwd: new URL('../..', import.meta.url),
    })
  })
})

describe('GraphiQL', async () => {
  const w = await world()
  await seedDemo(w.url, parseConfig({ DATABASE_POOL_SIZE: '2' }))
  const api = await serve(w)

  test.each(
    examples.map(
      ({ query, headers, variables }) =>
        [/(?:query|mutation|subscription) (\w+)/.exec(query)![1]!, query, headers, variables] as const,
    ),
  )('has the example %s, which runs as it stands, and again', async (_, query, headers, variables) => {
    for (let time = 1; time <= 2; time++) {
      if (/^subscription/m.test(query)) {
        // as GraphiQL does it: over WebSocket, with the headers of the tab among the extensions
        const client = socketClient(api.url)
        const watching = client.iterate<Record<string, { __typename: string }>>({
          query,
          variables: JSON.parse(variables!),
          extensions: { headers: JSON.parse(headers) },
        })
        const { value } = await watching.next()
        expect(value).toEqual({
          data: {
            [Object.keys(value!.data!)[0]!]: expect.objectContaining({
              __typename: expect.stringMatching(/Snapshot$/),
              reason: 'INITIAL',
            }),
          },
        })
        await client.dispose()
        continue
      }
      const response = await fetch(`${api.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...JSON.parse(headers) },
        body: JSON.stringify({ query, variables: variables ? JSON.parse(variables) : undefined }),
      })
      const { data, errors } = (await response.json()) as {
        data: Record<string, { __typename?: string }>
        errors?: object[]
      }
      expect({ status: response.status, errors }).toEqual({ status: 200, errors: undefined })
      for (const answer of Object.values(data)) {
        expect(answer).not.toBeNull()
        if (answer.__typename) expect(answer.__typename).toMatch(/Payload$/)
      }
    }
  })

  test('seeding the demo again changes nothing', async () => {
    const rows = () =>
      w.query('select "rootType", "rootId", max(version) as version from "Event" group by 1, 2 order by 1, 2')
    const before = await rows()
    await seedDemo(w.url, parseConfig({ DATABASE_POOL_SIZE: '2' }))
    expect(await rows()).toEqual(before)
  })
})
