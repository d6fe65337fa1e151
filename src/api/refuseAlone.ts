import { parsePrismaCursor } from '@pothos/plugin-prisma'
import { defaultFieldResolver, getNamedType, type GraphQLField, type GraphQLSchema, isObjectType } from 'graphql'
import type { PageArguments } from './connection.ts'
import { problem } from './shownError.ts'

/**
 * Lets a list be refused alone. Pothos reads a list in the query of its parent, so a cursor or a filter that is refused
 * would make the parent null, with all that was asked of it. With this, such a list is left out of that query, and its
 * own field has the error.
 *
 * A cursor that Prisma can't use is refused before it is asked. The values in cursors are texts; where they are others,
 * the field's `extensions.cursor` has a letter for each: S for a text, D for a date, N for a number.
 */
export function refuseAlone(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap()))
    if (isObjectType(type)) for (const field of Object.values(type.getFields())) if (isList(field)) guard(field)
}

type Field = GraphQLField<unknown, unknown, PageArguments>
type Select = (args: PageArguments, ...more: readonly unknown[]) => unknown

const isList = ({ type }: Field) => getNamedType(type).name.endsWith('Connection')

function guard(field: Field): void {
  const { resolve = defaultFieldResolver } = field
  const letters = typeof field.extensions.cursor === 'string' ? field.extensions.cursor : 'S'
  field.resolve = (parent, args, context, info) => {
    checkCursors(args, letters)
    return resolve(parent, args, context, info)
  }
  const select = field.extensions.pothosPrismaSelect as Select | object | undefined
  if (typeof select !== 'function') return
  const selectUnlessRefused: Select = (args, ...more) => {
    try {
      checkCursors(args, letters)
      return select(args, ...more)
    } catch {
      return null // the field itself throws it again
    }
  }
  field.extensions = { ...field.extensions, pothosPrismaSelect: selectUnlessRefused }
}

function checkCursors({ after, before }: PageArguments, letters: string): void {
  for (const cursor of [after, before])
    if (cursor && !isUsable(cursor, letters))
      throw problem('BAD_REQUEST', 'That is no cursor of this list. Wanted is one that this connection returned.')
}

function isUsable(cursor: string, letters: string): boolean {
  let found: unknown
  try {
    found = parsePrismaCursor(cursor)
  } catch {
    return true // of another kind, or none: the list says so itself
  }
  const values = Array.isArray(found) ? found : [found]
  return values.length === letters.length && values.every((value, i) => KINDS[letters[i]!]!(value))
}

const KINDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  S: (value) => typeof value === 'string' && !value.includes('\0'),
  D: (value) => value instanceof Date && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999,
  N: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
}
