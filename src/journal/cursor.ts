import { parseSnapshot } from './snapshot.ts'

/** A place in one root's history: after this version. */
export interface RootCursor {
  readonly epoch: string
  readonly rootType: string
  readonly rootId: string
  readonly version: number
}

/**
 * A place in a feed over many roots. Everything that the snapshot `from` sees has been sent. Of what the snapshot `to`
 * sees beyond that, everything up to `place` has been sent, in the order of the journal; without a place, all of it.
 */
export interface TopicCursor {
  readonly epoch: string
  readonly topic: string
  readonly from: string
  readonly to: string
  readonly place: Place | null
}

/** The place of an event in the journal. */
export type Place = readonly [rootType: string, rootId: string, version: number]

/** A place in a stream, from which it can be resumed. */
export type Cursor = RootCursor | TopicCursor

const encode = (parts: readonly unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')

/** A cursor as clients keep it: opaque text. */
export const rootCursor = ({ epoch, rootType, rootId, version }: RootCursor): string =>
  encode([1, epoch, rootType, rootId, version])
/** A feed's cursor as clients keep it: opaque text. */
export const topicCursor = ({ epoch, topic, from, to, place }: TopicCursor): string =>
  encode([2, epoch, topic, from, to, place])
/** A cursor as clients keep it: opaque text. */
export const cursorText = (cursor: Cursor): string => ('topic' in cursor ? topicCursor(cursor) : rootCursor(cursor))

/** The most characters of a cursor. A snapshot lists each transaction that is under way; a thousand of them fit. */
const LONGEST = 65_536
// PostgreSQL refuses NUL
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0')
const isVersion = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31

/** The cursor in a text that a client sent; undefined if there is none. */
export function parseCursor(text: string): Cursor | undefined {
  if (text.length > LONGEST) return undefined
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(parts)) return undefined
  if (parts[0] === 1) {
    const [, epoch, rootType, rootId, version] = parts
    return parts.length === 5 && [epoch, rootType, rootId].every(isText) && isVersion(version)
      ? { epoch, rootType, rootId, version }
      : undefined
  }
  const [kind, epoch, topic, from, to, place] = parts
  if (
    kind !== 2 ||
    parts.length !== 6 ||
    ![epoch, topic, from, to].every(isText) ||
    !parseSnapshot(from) ||
    !parseSnapshot(to)
  )
    return undefined
  if (
    place !== null &&
    !(Array.isArray(place) && place.length === 3 && isText(place[0]) && isText(place[1]) && isVersion(place[2]))
  )
    return undefined
  return { epoch, topic, from, to, place }
}
