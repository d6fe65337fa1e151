/** A snapshot of PostgreSQL: which transactions had ended when it was taken (pg_current_snapshot in its manual). */
export interface Snapshot {
  /** As PostgreSQL writes it: `xmin:xmax:` and the transactions between them that were under way. */
  readonly text: string
  /** All transactions before this one had ended. */
  readonly xmin: bigint
  /** This transaction and all after it had not begun. */
  readonly xmax: bigint
  readonly underWay: ReadonlySet<bigint>
}

/** Whether a transaction can have this number: 64 bits, of which the lower 32 are never all 0. */
const isNumber = (xid: bigint) => xid < 2n ** 64n && (xid & 0xffff_ffffn) !== 0n

/** The snapshot in a text; undefined if PostgreSQL would not write that. */
export function parseSnapshot(text: string): Snapshot | undefined {
  const [, xmin, xmax, list] = /^(\d{1,20}):(\d{1,20}):((?:\d{1,20}(?:,\d{1,20})*)?)$/.exec(text) ?? []
  if (xmin === undefined) return undefined
  const underWay = list ? list.split(',').map(BigInt) : []
  const ascending = [BigInt(xmin), ...underWay, BigInt(xmax!)]
  if (
    ![BigInt(xmin), BigInt(xmax!)].every(isNumber) ||
    ascending.some((xid, i) => i > 0 && (xid < ascending[i - 1]! || (i > 1 && xid === ascending[i - 1])))
  )
    return undefined
  return { text, xmin: BigInt(xmin), xmax: BigInt(xmax!), underWay: new Set(underWay) }
}

/** Whether the snapshot sees what the transaction committed, as pg_visible_in_snapshot does. */
export const sees = ({ xmin, xmax, underWay }: Snapshot, xid: bigint): boolean =>
  xid < xmin || (xid < xmax && !underWay.has(xid))

/** Whether `a` was taken later than `b`, by the same server: then it sees all that `b` sees, and more. */
export const isLater = (a: Snapshot, b: Snapshot): boolean =>
  a.xmax > b.xmax || (a.xmax === b.xmax && a.underWay.size < b.underWay.size)

/**
 * The part of a snapshot that lasts through a crash. After one, PostgreSQL gives the number of a transaction again if
 * nothing of it had reached the disk (it rolled back, or only sent a NOTIFY). All numbers up to `newest`, the newest
 * transaction that has an event, are on the disk. Beyond it there are no events to see.
 */
export function lasting(text: string, newest: string | null): string {
  const { xmin, xmax, underWay } = parseSnapshot(text)!
  const end = (newest === null ? 2n : BigInt(newest)) + 1n
  if (end >= xmax) return text
  return `${xmin < end ? xmin : end}:${end}:${[...underWay].filter((xid) => xid < end)}`
}
