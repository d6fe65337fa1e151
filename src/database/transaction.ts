import { PrismaPg } from '@prisma/adapter-pg'
import type { Sql } from '@prisma/client/runtime/client'
import type { PrismaClient } from '../generated/prisma/client.ts'

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>
type Opened = Awaited<ReturnType<Adapter['startTransaction']>>
type Statement = Parameters<Opened['queryRaw']>[0]

/**
 * One of Prisma's interactive transactions: Prisma takes the connection, begins, bounds and ends it. What is sent in
 * between goes to Prisma's driver adapter itself, as it is: on its usual way Prisma would write each parameter as JSON,
 * read it again, and take four times as long as sending it does.
 */
export class Tx {
  readonly #send: { readonly query: Opened['queryRaw']; readonly execute: Opened['executeRaw'] }
  #isOver = false

  constructor(opened: Opened) {
    this.#send = { query: opened.queryRaw.bind(opened), execute: opened.executeRaw.bind(opened) }
    // All that Prisma itself asks from now on is COMMIT or ROLLBACK, the latter also when the time is over and we are
    // still at work. Whatever came behind it would take effect by itself, without locks.
    for (const end of ['executeRaw', 'commit', 'rollback'] as const) {
      const ask = opened[end].bind(opened) as (...asked: never[]) => Promise<never>
      opened[end] = (...asked: never[]) => {
        this.#isOver = true
        return ask(...asked)
      }
    }
  }

  /** The rows that it answers. Throws what the driver does, in PostgreSQL's words: see conflict.ts. */
  async query<Row>({ text, values }: Sql): Promise<Row[]> {
    const { columnNames, rows } = await this.#send.query(this.#statement(text, values)).catch(inWords)
    return rows.map((row) => Object.fromEntries(columnNames.map((name, i) => [name, row[i]]))) as Row[]
  }

  /** How many rows it wrote, or answers. Throws what the driver does, in PostgreSQL's words: see conflict.ts. */
  async execute(text: string, values: readonly unknown[]): Promise<number> {
    return this.#send.execute(this.#statement(text, values)).catch(inWords)
  }

  #statement(sql: string, args: readonly unknown[]): Statement {
    // as PostgreSQL has it where one was idle for too long
    if (this.#isOver) throw Object.assign(new Error('The transaction is over.'), { code: '25P03' })
    return { sql, args: [...args], argTypes: args.map(() => AS_IT_IS) }
  }
}

/** The adapter's errors are named by their kind only; PostgreSQL's own words are in their cause. */
function inWords(error: Error): never {
  const { originalMessage, originalCode, kind } = (error.cause ?? {}) as {
    originalMessage?: string
    originalCode?: string
    kind?: string
  }
  throw originalMessage
    ? new Error(`${originalMessage} (${originalCode ?? kind})`, { cause: { originalCode, kind } })
    : error
}
const AS_IT_IS = { scalarType: 'unknown', arity: 'scalar' } as const

/** Those who wait to be handed the transaction that they are in, by number. */
const claims = new Map<number, (tx: Tx) => void>()
let claimed = 0
/** What is said within a transaction to be handed it. It is never sent. */
const CLAIM = 'claim this transaction'

/** Prisma's adapter for PostgreSQL, whose transactions can be had by `inTransaction`. */
export class Driver extends PrismaPg {
  override async connect(): Promise<Adapter> {
    const adapter = await super.connect()
    const start = adapter.startTransaction.bind(adapter)
    adapter.startTransaction = async (isolation) => {
      const opened = await start(isolation)
      const executeRaw = opened.executeRaw
      opened.executeRaw = (statement) => {
        const claim = statement.sql === CLAIM && claims.get(statement.args[0] as number)
        if (!claim) return executeRaw.call(opened, statement)
        opened.executeRaw = executeRaw
        claim(new Tx(opened))
        return Promise.resolve(0)
      }
      return opened
    }
    return adapter
  }
}

/**
 * Runs in one interactive transaction, which is committed when `run` resolves, and rolled back when it rejects. Nothing
 * in it may catch a database error.
 */
export function inTransaction<T>(db: PrismaClient, run: (tx: Tx) => Promise<T>): Promise<T> {
  return db.$transaction(async (prismas) => {
    // Prisma does not say which of the adapter's transactions this is; but what is asked of it comes to that one, and
    // to no other.
    const number = ++claimed
    let own: Tx | undefined
    claims.set(number, (tx) => (own = tx))
    await prismas.$executeRawUnsafe(CLAIM, number).finally(() => claims.delete(number))
    return run(own!)
  })
}
