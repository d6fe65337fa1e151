import SchemaBuilder from '@pothos/core'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import { GraphQLError } from 'graphql'
import { DateTimeResolver } from 'graphql-scalars'
import { ownLookUps } from '../database/ownLookUps.ts'
import type PrismaTypes from '../generated/pothos.ts'
import { getDatamodel } from '../generated/pothos.ts'
import type { Cursor } from '../journal/cursor.ts'
import type { Context } from './context.ts'
import { checkNodeIds } from './globalId.ts'
import { cursorScalar, localDateScalar } from './scalar.ts'

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
    instructor: boolean
    /** Viewers whom the check allows. It is called only if no scope before it was enough. */
    when: () => boolean | Promise<boolean>
  }
  DefaultFieldNullability: false
  DefaultInputFieldRequiredness: true
}

/** What a stream grants to its items: viewers who may see the stream may see what its items contain. */
export const SHOWN = ['shown']

/** Scopes of a type that streams show too. The viewer is read only where no stream has granted the type. */
export const unlessShown = <Scopes extends object>(scopes: Scopes) => ({ $any: { $granted: SHOWN[0]!, $any: scopes } })

/** Each operation looks rows up by itself, so that one that fails fails no other. */
const readers = new WeakMap<Context, Context['db']>()
function readerOf(context: Context): Context['db'] {
  let reader = readers.get(context)
  if (!reader) readers.set(context, (reader = ownLookUps(context.db)))
  return reader
}

/** How many items of a connection are returned by default, and at most. */
export const [PAGE, LARGEST_PAGE] = [20, 100]

/** Builds every type. */
export const builder = new SchemaBuilder<Types>({
  plugins: [ErrorsPlugin, ScopeAuthPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  defaultInputFieldRequiredness: true,
  prisma: {
    client: readerOf,
    dmmf: getDatamodel(),
    maxConnectionSize: LARGEST_PAGE,
    defaultConnectionSize: PAGE,
    filterConnectionTotalCount: true,
    onUnusedQuery: null,
  },
  errors: { directResult: true },
  scopeAuth: {
    // Lazy: shared rendering must not read the viewer.
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
        : new GraphQLError('Sign in first: send the header `Authorization: Bearer <token>` with a valid token.', {
            extensions: { code: 'UNAUTHENTICATED' },
          }),
  },
  relay: {
    nodeTypeOptions: { description: 'Anything that has a global id.' },
    idFieldOptions: { description: 'The global id: opaque, and always the same.' },
    nodeQueryOptions: {
      description:
        'Anything by its global id; null if it does not exist or the viewer may not see it. Text that is no ' +
        'global id is an error.',
      args: { id: { description: 'The global id.' } },
      resolve: (_, { id }, __, { schema }, load) => {
        checkNodeIds([id], schema)
        return load(id)
      },
    },
    nodesQueryOptions: {
      nullable: { list: true, items: true },
      description:
        'Things by their global ids, 100 at most; null for each that does not exist or that the viewer may not ' +
        'see. Text that is no global id is an error.',
      args: { ids: { description: 'The global ids.' } },
      resolve: (_, { ids }, __, { schema }, load) => {
        checkNodeIds(ids, schema)
        return load(ids)
      },
    },
    pageInfoTypeOptions: { description: 'The ends of a page, and whether there are more pages.' },
    hasNextPageFieldOptions: { description: 'Whether there are items after this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there are items before this page.' },
    startCursorFieldOptions: { description: 'The cursor of the first item of the page; null if the page is empty.' },
    endCursorFieldOptions: {
      description: 'The cursor of the last item of the page. Pass as `after` for the next page. Null if it is empty.',
    },
    firstArgOptions: {
      description: 'The number of items from the beginning, or after `after`: 20 by default, 100 at most.',
    },
    lastArgOptions: { description: 'The number of items from the end, or before `before`: 100 at most.' },
    afterArgOptions: { description: 'Return only items after the one with this cursor.' },
    beforeArgOptions: { description: 'Return only items before the one with this cursor.' },
    edgesFieldOptions: { description: 'The items of the page, each with its cursor.' },
    nodeFieldOptions: { description: 'The item.' },
    cursorFieldOptions: { description: 'The cursor of the item.' },
    pageInfoFieldOptions: { description: 'The ends of the page.' },
    nodesOnConnection: { description: 'The items of the page, without their cursors.' },
  },
})

/** The types of this API, as Pothos knows them. */
export type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never

builder.addScalarType('DateTime', DateTimeResolver)
builder.scalarType('LocalDate', localDateScalar)
builder.scalarType('Cursor', cursorScalar)
builder.queryType({
  description: 'Reads. Everything but `viewer` requires a token.',
  authScopes: { signedIn: true },
})
builder.mutationType({
  description:
    'Changes. Each takes effect exactly once. A mutation that is refused returns a type that says why, and ' +
    'changes nothing.',
})
