import { PrismaPg } from '@prisma/adapter-pg'
import type { Sql } from '@prisma/client/runtime/client'
import type { PrismaClient } from '../generated/prisma/client.ts'

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>
type AdapterTransaction = Awaited<ReturnType<Adapter['startTransaction']>>
type Statement = Parameters<AdapterTransaction['queryRaw']>[0]

/**
 * One of Prisma's interactive transactions. Prisma takes the connection, begins, bounds and ends the transaction; the
 * statements in it go to Prisma's driver adapter directly. Prisma's own raw queries write each parameter as JSON and
 * read it again, which takes four times as long as sending it.
 */
export class Tx {
  readonly #queryRaw: AdapterTransaction['queryRaw']
  readonly #executeRaw: AdapterTransaction['executeRaw']
  #isOver = false

  constructor(transaction: AdapterTransaction) {
    this.#queryRaw = transaction.queryRaw.bind(transaction)
    this.#executeRaw = transaction.executeRaw.bind(transaction)
    // From now on Prisma itself only sends COMMIT or ROLLBACK; the latter also while we still send statements, if the
    // transaction takes too long. A statement sent after that would take effect by itself, without locks.
    const ends = <Arguments extends unknown[], Result>(send: (...sent: Arguments) => Result) => {
      return (...sent: Arguments): Result => {
        this.#isOver = true
        return send.apply(transaction, sent)
      }
    }
    transaction.executeRaw = ends(transaction.executeRaw)
    transaction.commit = ends(transaction.commit)
    transaction.rollback = ends(transaction.rollback)
  }

  /** Sends a statement and returns its rows. Rejects with what conflict.ts tells apart, in PostgreSQL's words. */
  async query<Row>({ text, values }: Sql): Promise<Row[]> {
    const { columnNames, rows } = await this.#queryRaw(this.#statement(text, values)).catch(rethrow)
    // only the caller knows which columns its statement has
    return rows.map((row) => Object.fromEntries(columnNames.map((name, i) => [name, row[i]]))) as Row[]
  }

  /** Sends a statement and returns how many rows it wrote or selected. Rejects as `query` does. */
  async execute(text: string, values: readonly unknown[]): Promise<number> {
    return this.#executeRaw(this.#statement(text, values)).catch(rethrow)
  }

  #statement(sql: string, args: readonly unknown[]): Statement {
    // PostgreSQL's own code for a transaction that was ended because it was idle for too long
    if (this.#isOver) throw Object.assign(new Error('The transaction is over.'), { code: '25P03' })
    return { sql, args: [...args], argTypes: args.map(() => UNCHANGED) }
  }
}

/** The adapter's errors have only their kind as a message; PostgreSQL's own words are in their cause. */
function rethrow(error: Error): never {
  // Prisma doesn't export the type of this cause
  const { originalMessage, originalCode, kind } = (error.cause ?? {}) as {
    originalMessage?: string
    originalCode?: string
    kind?: string
  }
  throw originalMessage
    ? new Error(`${originalMessage} (${originalCode ?? kind})`, { cause: { originalCode, kind } })
    : error
}

/** The type of a parameter that the adapter sends as it is. */
const UNCHANGED = { scalarType: 'unknown', arity: 'scalar' } as const

/** By number: those who wait to be handed the transaction that they are in. */
const claims = new Map<unknown, (tx: Tx) => void>()
let claimed = 0
/** The statement, within a transaction, that claims it. It is never sent to PostgreSQL. */
const CLAIM = 'claim this transaction'

/** Prisma's adapter for PostgreSQL, with transactions that `inTransaction` can claim. */
export class Driver extends PrismaPg {
  override async connect(): Promise<Adapter> {
    const adapter = await super.connect()
    const start = adapter.startTransaction.bind(adapter)
    adapter.startTransaction = async (isolation) => {
      const transaction = await start(isolation)
      const executeRaw = transaction.executeRaw
      transaction.executeRaw = (statement) => {
        const claim = statement.sql === CLAIM && claims.get(statement.args[0])
        if (!claim) return executeRaw.call(transaction, statement)
        transaction.executeRaw = executeRaw
        claim(new Tx(transaction))
        return Promise.resolve(0)
      }
      return transaction
    }
    return adapter
  }
}

/**
 * Runs in one interactive transaction. It is committed when `run` resolves, and rolled back when it rejects. `run` must
 * not catch database errors: PostgreSQL has then aborted the transaction, and COMMIT would roll it back without a word.
 */
export function inTransaction<T>(db: PrismaClient, run: (tx: Tx) => Promise<T>): Promise<T> {
  return db.$transaction(async (prismas) => {
    // Prisma does not say which of the adapter's transactions this is. A statement sent in it reaches that one, and
    // no other.
    const number = ++claimed
    let own: Tx | undefined
    claims.set(number, (tx) => (own = tx))
    await prismas.$executeRawUnsafe(CLAIM, number).finally(() => claims.delete(number))
    return run(own!)
  })
}
