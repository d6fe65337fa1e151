import { Prisma, PrismaClient } from '../generated/prisma/client.ts'
import { createPool } from './pool.ts'
import type { PoolOptions } from '../operator/config.ts'
import { Driver } from './transaction.ts'

/** A pool of connections, with Prisma's models and raw statements. */
export type Db = PrismaClient
/** A statement, or a part of one, with its parameters. */
export type Sql = Prisma.Sql
/** Makes a statement from a template; its values become parameters. */
export const sql = Prisma.sql
/** Joins parts of a statement. */
export const join = (parts: readonly Sql[], separator: string) => Prisma.join([...parts], separator)
/** Puts text from our own code into a statement; never anything that a client sent. */
export const raw = Prisma.raw

/**
 * Prisma over a pool of our own. PostgreSQL's time limits, set in the session, bound each transaction. Prisma's own
 * limits do not bound a lock wait, and are longer.
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

/** The name of each statement's text: so named, it is parsed and planned once per connection. */
const names = new Map<string, string>()
/** Statements beyond this number stay unnamed, except our own writes, which begin with `with`. */
const MOST_NAMES = 500
/** Statements that stay unnamed: Prisma's IN lists have a text for each length. */
const UNNAMED = /^(BEGIN|COMMIT|ROLLBACK)$| IN \(\$\d+,/

function nameOf({ sql }: { sql: string }): string {
  const known = names.get(sql)
  if (known !== undefined) return known
  const isOneTooMany = names.size >= MOST_NAMES && !sql.startsWith('with ')
  // the adapter takes undefined for unnamed, but its type doesn't say so
  if (isOneTooMany || UNNAMED.test(sql)) return undefined as unknown as string
  const name = `s${names.size}`
  names.set(sql, name)
  return name
}
