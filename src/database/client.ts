import { Prisma, PrismaClient } from '../generated/prisma/client.ts'
import { createPool } from './pool.ts'
import type { PoolOptions } from '../operator/config.ts'
import { Driver } from './transaction.ts'

export type Db = PrismaClient
export type Sql = Prisma.Sql
export const sql = Prisma.sql
/** Parts of a statement, put together. */
export const join = (parts: readonly Sql[], separator: string) => Prisma.join(parts as Sql[], separator)
/** A name from our own code in a statement; never anything that a client sent. */
export const raw = Prisma.raw

/**
 * Prisma over a pool of our own. Transactions are bounded by the session's own time limits; Prisma's, which do not
 * bound a lock wait, lie above them.
 */
export function connect(url: string, options: PoolOptions): Db {
  const pool = createPool(url, options)
  const adapter = new Driver(pool, {
    disposeExternalPool: true,
    onPoolError: () => {},
    onConnectionError: () => {},
    statementNameGenerator: nameOf,
  })
  const timeout = options.statementTimeoutMs + options.lockTimeoutMs + 5_000
  return new PrismaClient({ adapter, errorFormat: 'minimal', transactionOptions: { maxWait: options.waitMs, timeout } })
}

/**
 * One prepared statement per text, so that it is parsed and planned once a connection. Prisma's IN lists of varying
 * length, and whatever would be too many (but for our own, which begin with WITH), stay unnamed.
 */
const names = new Map<string, string>()
function nameOf({ sql }: { sql: string }): string {
  const name = names.get(sql)
  if (name !== undefined) return name
  if ((names.size >= 500 && !sql.startsWith('with ')) || /^(BEGIN|COMMIT|ROLLBACK)$| IN \(\$\d+,/.test(sql))
    return undefined as unknown as string
  names.set(sql, `s${names.size}`)
  return names.get(sql)!
}
