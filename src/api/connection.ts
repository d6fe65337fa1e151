import type { FieldMap, ObjectRef } from '@pothos/core'
import { resolveArrayConnection } from '@pothos/plugin-relay'
import { builder, LARGEST_PAGE, PAGE, type SchemaTypes } from './builder.ts'

/** The count of a connection, as resolvers return it: a function where counting takes a query of its own. */
interface Counted {
  readonly totalCount?: number | (() => number | Promise<number>)
}

/**
 * The connection of a type, named after it: `CourseConnection`, with `CourseEdge`. Every list of the type has this one.
 * Pass it as the last argument of a connection field. `more` are fields that this list has besides.
 */
export function connectionOf<Node, Page extends object = object>(
  node: ObjectRef<SchemaTypes, Node>,
  name: string,
  more: (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Page>) => FieldMap = () => ({}),
): never {
  const connection = builder.connectionObject(
    {
      type: node,
      name: `${name}Connection`,
      description: `A page of a list of \`${name}\`.`,
      fields: (t) => ({
        ...more(t as never), // what a resolver returns besides the page, Pothos does not know of
        totalCount: t.int({
          description: 'The number of items on all pages.',
          resolve: (page) => {
            const { totalCount } = page as Counted // Pothos does not know of it
            if (totalCount === undefined) throw new Error(`${name}Connection was returned without its count.`)
            return typeof totalCount === 'function' ? totalCount() : totalCount
          },
        }),
      }),
    },
    { name: `${name}Edge`, description: `A \`${name}\` of a list, with its cursor.` },
  )
  return connection as never // each kind of connection field wants another type of the same reference
}

/** The arguments of every connection. */
export interface PageArguments {
  readonly first?: number | null
  readonly last?: number | null
  readonly after?: string | null
  readonly before?: string | null
}

/** A page of a list that is read whole, because it is short. Its cursors are places in the list. */
export const pageOf = <Node extends object>(args: PageArguments, items: readonly Node[]) =>
  resolveArrayConnection({ args, defaultSize: PAGE, maxSize: LARGEST_PAGE }, items)

/**
 * What the nodes of a connection that is read whole select of their table, by `edges` and by `nodes`. `nested` is what
 * Pothos hands to `select`. Pothos can't type a nested selection that is computed; hence the loose types.
 */
export function selectedNodes(nested: (selection: never, path: never) => unknown): unknown {
  const selected = nested(nested(true as never, ['edges', 'node'] as never) as never, ['nodes'] as never)
  return isEmpty(selected) ? true : selected // Prisma refuses an empty selection
}

const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && !Object.keys(value).length
