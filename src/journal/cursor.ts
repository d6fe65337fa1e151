import { parseSnapshot } from './snapshot.ts'

/** A place in one root's history: behind this version. */
export interface RootCursor {
  readonly epoch: string
  readonly rootType: string
  readonly rootId: string
  readonly version: number
}

/**
 * A place in a feed over many roots. All that `from` sees has been told. Of what `to` sees beyond that, it has been
 * told up to `place`, in the order of the journal; without a place, all of it.
 */
export interface TopicCursor {
  readonly epoch: string
  readonly topic: string
  readonly from: string
  readonly to: string
  readonly place: Place | null
}

/** Where in the journal an event is: its root's type and id, and its version. */
export type Place = readonly [rootType: string, rootId: string, version: number]

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

/** The most characters of a cursor. A snapshot names each transaction that is under way; a thousand of them fit. */
const LONGEST = 65_536
// which PostgreSQL refuses
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0')
const isVersion = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31

/** What a client kept, as a cursor; undefined if it is none. */
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
