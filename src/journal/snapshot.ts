/**
 * One of PostgreSQL's snapshots: which transactions were over when it was taken (see pg_current_snapshot in its
 * manual).
 */
export interface Snapshot {
  /** As PostgreSQL writes it: xmin:xmax:those in between that were under way. */
  readonly text: string
  readonly xmin: bigint
  readonly xmax: bigint
  readonly underWay: ReadonlySet<bigint>
}

/** Whether a transaction can have this number: 64 bits, of which the lower 32 are never all 0. */
const isNumber = (xid: bigint) => xid < 2n ** 64n && (xid & 0xffff_ffffn) !== 0n

/** Reads a snapshot; undefined if the text is none that PostgreSQL would write. */
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

/** Whether what the transaction committed is seen in the snapshot, as pg_visible_in_snapshot says. */
export const sees = ({ xmin, xmax, underWay }: Snapshot, xid: bigint): boolean =>
  xid < xmin || (xid < xmax && !underWay.has(xid))

/**
 * Whether the first was taken later than the second, by the same server, and so sees all that that one sees and more.
 */
export const isLater = (a: Snapshot, b: Snapshot): boolean =>
  a.xmax > b.xmax || (a.xmax === b.xmax && a.underWay.size < b.underWay.size)

/**
 * What of a snapshot lasts through a crash. A number that was drawn for a transaction of which nothing had reached the
 * disk (it rolled back, or only told somebody something) is drawn again after a crash, by another one. Up to the newest
 * event that is seen, all are on the disk; beyond, there is nothing to see.
 */
export function lasting(text: string, newest: string | null): string {
  const { xmin, xmax, underWay } = parseSnapshot(text)!
  const end = (newest === null ? 2n : BigInt(newest)) + 1n
  if (end >= xmax) return text
  return `${xmin < end ? xmin : end}:${end}:${[...underWay].filter((xid) => xid < end)}`
}
