import { GraphQLError } from 'graphql'
import { LocalDateResolver } from 'graphql-scalars'
import { type Cursor, parseCursor } from '../journal/cursor.ts'

const badRequest = (message: string) => new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })

/** A day of the calendar. Prisma has a day as the midnight, in UTC, at its beginning. */
export const localDateScalar = {
  description: 'A day of the calendar, without a time zone: `YYYY-MM-DD`, from 0001-01-01 to 9999-12-31.',
  serialize: (day: Date | string) => (day instanceof Date ? day.toISOString().slice(0, 10) : day),
  parseValue(value: unknown): string {
    try {
      const day = LocalDateResolver.parseValue(value) as string // its type says unknown
      if (!day.startsWith('0000')) return day // JavaScript has a year 0; PostgreSQL and the calendar have not
    } catch {
      // answered below, in our own words
    }
    const found = JSON.stringify(value)?.slice(0, 40)
    throw badRequest(`${found} is no day. Wanted is a day that exists, as YYYY-MM-DD, from 0001-01-01 to 9999-12-31.`)
  },
}

/** A cursor of a stream, as text for clients and parsed for the server. */
export const cursorScalar = {
  description: 'A place in a stream of changes. Opaque; pass it as `after` to continue from there.',
  serialize: (text: unknown) => text as string, // Pothos types what resolvers return
  parseValue(value: unknown): Cursor {
    const cursor = typeof value === 'string' ? parseCursor(value) : undefined
    if (!cursor) throw badRequest('That is no cursor. Wanted is a cursor that a stream or a mutation returned.')
    return cursor
  },
}
