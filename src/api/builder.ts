import SchemaBuilder from '@pothos/core'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin, { decodeGlobalID } from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import { GraphQLError, type GraphQLSchema, isInterfaceType } from 'graphql'
import { DateTimeResolver, LocalDateResolver } from 'graphql-scalars'
import type { Context } from './context.ts'
import { ownLookUps } from '../database/ownLookUps.ts'
import { InvalidInput } from '../commit/errors.ts'
import type PrismaTypes from '../generated/pothos.ts'
import { getDatamodel } from '../generated/pothos.ts'
import { type Cursor, parseCursor } from '../journal/cursor.ts'

interface Types {
  Context: Context
  PrismaTypes: PrismaTypes
  Scalars: {
    Cursor: { Input: Cursor; Output: string }
    DateTime: { Input: Date; Output: Date | string }
    ID: { Input: string; Output: string }
    LocalDate: { Input: string; Output: Date | string }
  }
  AuthScopes: {
    signedIn: boolean
    /** The user with this id. */
    self: string
    admin: boolean
    /** Those who teach, whatever it is. */
    instructor: boolean
    /** Whoever the check lets pass; it is called only where no scope before it was enough. */
    when: () => boolean | Promise<boolean>
  }
  DefaultFieldNullability: false
  DefaultInputFieldRequiredness: true
}

/** What a stream grants to what it shows: whoever may see the stream is shown what it bears. */
export const SHOWN = ['shown']

/** Scopes of a type that streams show too. The viewer is looked at only where no stream has granted it. */
export const unlessShown = <Scopes extends object>(scopes: Scopes) => ({ $any: { $granted: SHOWN[0]!, $any: scopes } })

/** Each operation's own way to read. */
const readers = new WeakMap<Context, Context['db']>()
function readerOf(context: Context): Context['db'] {
  let reader = readers.get(context)
  if (!reader) readers.set(context, (reader = ownLookUps(context.db)))
  return reader
}

/** The most things that are looked up by their ids at once. */
const MOST_IDS = 100

/** Refuses the ids of what has none. */
function checkIds(ids: readonly ({ readonly typename: string } | null | undefined)[], schema: GraphQLSchema): void {
  const node = schema.getType('Node')
  const types = isInterfaceType(node) ? schema.getPossibleTypes(node).map(({ name }) => name) : []
  if (ids.every((id) => !id || types.includes(id.typename))) return
  throw new GraphQLError(
    `That is the id of nothing that has one here. Wanted is an id as a query gave it to you: of a ${types.sort().join(', a ')}.`,
    {
      extensions: { code: 'BAD_REQUEST' },
    },
  )
}

/** What every type is built with. Connections have 20 items unless asked otherwise, and 100 at most. */
export const builder = new SchemaBuilder<Types>({
  plugins: [ErrorsPlugin, ScopeAuthPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  defaultInputFieldRequiredness: true,
  prisma: {
    client: readerOf,
    dmmf: getDatamodel(),
    maxConnectionSize: 100,
    defaultConnectionSize: 20,
    onUnusedQuery: null,
  },
  errors: { directResult: true },
  scopeAuth: {
    // looked at only where they are asked for: what is told to many at once is told by those who know no viewer
    authScopes: (context) => ({
      get signedIn() {
        return context.viewer !== null
      },
      self: (id) => context.viewer?.id === id,
      get admin() {
        return context.viewer?.role === 'ADMIN'
      },
      get instructor() {
        return context.viewer?.role === 'INSTRUCTOR'
      },
      when: (check) => check(),
    }),
    unauthorizedError: (_, { viewer }) =>
      viewer
        ? new GraphQLError('You may not see this.', { extensions: { code: 'FORBIDDEN' } })
        : new GraphQLError(
            'Sign in first: send the header `Authorization: Bearer <token>` with a token that has not ended.',
            {
              extensions: { code: 'UNAUTHENTICATED' },
            },
          ),
  },
  relay: {
    nodeTypeOptions: { description: 'Anything that has a global id.' },
    idFieldOptions: { description: 'The global id, opaque and stable.' },
    nodeQueryOptions: {
      description:
        'Anything by its global id; null if there is no such thing or the viewer may not see it. What is no global id at all is an error.',
      args: { id: { description: 'The global id.' } },
      resolve: (_, { id }, __, { schema }, load) => {
        checkIds([id], schema)
        return load(id)
      },
    },
    nodesQueryOptions: {
      description:
        'Many things by their global ids, 100 at most, each null if there is no such thing or the viewer may not see it. What is no global id at all is an error.',
      args: { ids: { description: 'The global ids.' } },
      resolve: (_, { ids }, __, { schema }, load) => {
        if (ids.length > MOST_IDS)
          throw new InvalidInput(
            'ids',
            `ids has ${ids.length} ids. Wanted are ${MOST_IDS} at most; ask for the others in another request.`,
          )
        checkIds(ids, schema)
        return load(ids)
      },
    },
    pageInfoTypeOptions: { description: 'Where a page of a connection begins and ends.' },
    hasNextPageFieldOptions: { description: 'Whether more follows this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there is more before this page.' },
    startCursorFieldOptions: { description: 'The cursor of the first item of this page; null if it is empty.' },
    endCursorFieldOptions: {
      description: 'The cursor of the last item of this page, to go on after it; null if it is empty.',
    },
    firstArgOptions: {
      description: 'How many, from the beginning or after `after`; 20 unless asked otherwise, and 100 at most.',
    },
    lastArgOptions: { description: 'How many, from the end or before `before`; 100 at most.' },
    afterArgOptions: { description: 'Only what comes after the item with this cursor.' },
    beforeArgOptions: { description: 'Only what comes before the item with this cursor.' },
    edgesFieldOptions: { description: 'What is on this page, each with its cursor.' },
    nodeFieldOptions: { description: 'What is at this place.' },
    cursorFieldOptions: { description: 'The place itself, to go on from here.' },
    pageInfoFieldOptions: { description: 'Where this page begins and ends.' },
    defaultConnectionTypeOptions: { description: 'One page of many.' },
    defaultEdgeTypeOptions: { description: 'One of many, and its place among them.' },
  },
})

/** What Pothos knows of this API. */
export type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never

builder.addScalarType('DateTime', DateTimeResolver)
builder.scalarType('LocalDate', {
  description: 'A day of the calendar, in no time zone: `YYYY-MM-DD`, from 0001-01-01 to 9999-12-31.',
  // Prisma has days as the midnight, in UTC, that they begin with
  serialize: (day) => (day instanceof Date ? day.toISOString().slice(0, 10) : day),
  parseValue(value) {
    try {
      const day = LocalDateResolver.parseValue(value) as string
      if (!day.startsWith('0000')) return day // a year that JavaScript knows, and PostgreSQL and the calendar don't
    } catch {
      // told below, in our own words
    }
    const found = JSON.stringify(value)?.slice(0, 40)
    throw new GraphQLError(
      `${found} is no day. Wanted is a day that exists, as YYYY-MM-DD, from 0001-01-01 to 9999-12-31.`,
      {
        extensions: { code: 'BAD_REQUEST' },
      },
    )
  },
})
builder.scalarType('Cursor', {
  description: 'A place in a stream of changes, opaque. Whoever has it goes on from there, as `after`.',
  serialize: (text) => text as string,
  parseValue(value) {
    const cursor = typeof value === 'string' ? parseCursor(value) : undefined
    if (!cursor)
      throw new GraphQLError('That is no cursor. Wanted is one as a stream or a mutation gave it to you.', {
        extensions: { code: 'BAD_REQUEST' },
      })
    return cursor
  },
})
builder.queryType({
  description: 'What can be asked. Everything but `viewer` asks that one has signed in.',
  authScopes: { signedIn: true },
})
builder.mutationType({
  description:
    'What can be done. Each takes effect exactly once; what was asked and cannot be done is answered by a type of its own, and then nothing has changed.',
})

/** The id behind a global id of this type. Throws InvalidInput if it is no such id; `field` says where it was found. */
export function localId(typename: string, globalId: string, field: string): string {
  const wanted = `Wanted is the id of a ${typename}, as a query gave it to you.`
  let decoded: { typename: string; id: string }
  try {
    decoded = decodeGlobalID(globalId)
  } catch {
    throw new InvalidInput(field, `${field} is no global id. ${wanted}`)
  }
  if (decoded.typename !== typename)
    throw new InvalidInput(
      field,
      `${field} is the id of ${/^[A-Za-z]{1,40}$/.test(decoded.typename) ? `a ${decoded.typename}` : 'something else'}. ${wanted}`,
    )
  if (!/^[\w.-]{1,200}$/.test(decoded.id))
    throw new InvalidInput(field, `${field} is no id that this server has given. ${wanted}`)
  return decoded.id
}
