import type { ArgBuilder } from '@pothos/core'
import { parsePrismaCursor } from '@pothos/plugin-prisma'
import { InvalidInput } from '../commit/errors.ts'
import { builder, type SchemaTypes } from './builder.ts'
import type { PageArguments } from './connection.ts'

/** How a list runs, in Prisma's words. */
type Direction = 'asc' | 'desc'

const DirectionType = builder.enumType('OrderDirection', {
  description: 'How an ordered list runs.',
  values: {
    ASC: { value: 'asc', description: 'Ascending: the least, the oldest or the first of the alphabet comes first.' },
    DESC: { value: 'desc', description: 'Descending: exactly the reverse of `ASC`.' },
  } as const,
})

/** An order that a client asks for. */
interface Order<Field extends string> {
  readonly field: Field
  readonly direction: Direction
}

interface OrderOptions<Field extends string, By> {
  /** What is in the list: `courses`. */
  readonly of: string
  /** What it can be ordered by, and how Prisma says it. */
  readonly fields: Readonly<Record<Field, { readonly description: string; by(direction: Direction): By }>>
  /** The order where the client asks for none; without it, by id. */
  readonly otherwise?: Order<NoInfer<Field>>
}

/**
 * The orders of a list: `arg` makes the argument `orderBy`, `by` what Prisma orders by. Items that are equal are
 * ordered by their ids, so that pages never repeat or skip one.
 */
export function ordersOf<Field extends string, By extends object>(
  name: string,
  { of, fields, otherwise }: OrderOptions<Field, By>,
) {
  const FieldType = builder.enumType(`${name}OrderField`, {
    description: `What ${of} can be ordered by.`,
    // Pothos wants the names of values at compile time; here they are generic
    values: fields as unknown as Record<string, { description: string }>,
  })
  const Input = builder.inputType(`${name}OrderInput`, {
    description: `An order of ${of}. Where it leaves ${of} equal, they are ordered by their ids.`,
    fields: (t) => ({
      field: t.field({ type: FieldType, description: 'What to order by.' }),
      direction: t.field({ type: DirectionType, defaultValue: 'asc', description: 'How the list runs.' }),
    }),
  })
  return {
    arg: (t: ArgBuilder<SchemaTypes>) => t({ type: Input, required: false, description: `How to order the ${of}.` }),
    by(asked: object | null | undefined): (By | { id: Direction })[] {
      const order = (asked as Order<Field> | null | undefined) ?? otherwise
      if (!order) return [{ id: 'asc' }]
      return [fields[order.field].by(order.direction), { id: order.direction }]
    },
  }
}

/** The most characters of a text to search for. */
const LONGEST = 200

/**
 * Prisma's filter for texts that contain this one, in capitals or not. The wildcards of LIKE stand for themselves.
 * Throws InvalidInput; `field` is the path of the text. Undefined without a text.
 */
export function containing(text: string | null | undefined, field: string) {
  if (!isGiven(text)) return undefined
  const { length } = [...text]
  const wanted = `Wanted are 1 to ${LONGEST} characters; leave it out to search for nothing.`
  if (!text.trim()) throw new InvalidInput(field, `${field} is blank. ${wanted}`)
  if (length > LONGEST) throw new InvalidInput(field, `${field} has ${length} characters. ${wanted}`)
  return { contains: text.replace(/[\\%_]/g, '\\$&'), mode: 'insensitive' as const }
}

/** A condition of a filter; falsy: the client did not give it. */
type Condition<Where> = Where | false | null | undefined

/**
 * Prisma's filter for items for which all conditions hold. A page that begins behind an item lets that item through
 * even if it has changed since and fits no more: Prisma looks for it among the items, and would find no page behind it.
 */
export function allOf<Where extends object>(
  conditions: readonly Condition<Where>[],
  { after, before }: PageArguments = {},
  column: 'id' | 'slug' = 'id',
): { AND?: Where[]; OR?: object[] } {
  const AND = conditions.filter((each): each is Where => typeof each === 'object' && each !== null)
  const cursor = after ?? before
  // not an OR with an empty AND, of which Prisma takes only the other half
  return AND.length && cursor ? { OR: [{ AND }, { [column]: parsePrismaCursor(cursor) }] } : { AND }
}

/** Whether a client gave a value. */
export const isGiven = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined
