import pg from 'pg'
import { connectionTo } from '../database/connection.ts'
import { PLANS } from '../database/pool.ts'

/** Sends a statement on one connection. Rejects if the answer takes too long. */
export type Ask = <Row extends pg.QueryResultRow>(query: pg.QueryConfig) => Promise<Row[]>

export interface TailConnectionOptions {
  readonly url: string
  /** How long an answer is waited for, in ms. */
  readonly answerMs: number
  /** Another process has committed something. */
  onNotification(): void
  /** An open connection was lost. */
  onLost(): void
}

/**
 * The one connection of a tail, outside the pool: it listens for the notifications of other processes.
 *
 *   closed ──open()──▶ opening ──▶ open ──lost, or close()──▶ closed
 *                         └──────── failed ─────────────────────▲
 */
export class TailConnection {
  readonly #options: TailConnectionOptions
  #client: pg.Client | undefined
  #ask: Ask | undefined
  /** How many answers in a row did not arrive in time. */
  #slow = 0
  #ended = false

  constructor(options: TailConnectionOptions) {
    this.#options = options
  }

  /**
   * How to ask on the open connection; opens one if there is none. `begin` then comes first: if that fails, the new
   * connection is closed again.
   */
  async open(begin: (ask: Ask) => Promise<void>): Promise<Ask> {
    if (this.#ask) return this.#ask
    const client = this.#create()
    const ask: Ask = (query) => this.#askOn(client, query)
    try {
      await client.connect()
      if (this.#ended) throw new Error('Connection ended')
      await ask({ text: 'listen lockstep' })
      await begin(ask)
      if (this.#ended) throw new Error('Connection ended')
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    this.#client = client
    this.#ask = ask
    return ask
  }

  /** Closes the connection, if there is one; it can be opened again. */
  close(): Promise<void> {
    const client = this.#client
    this.#client = this.#ask = undefined
    return client?.end().catch(() => {}) ?? Promise.resolve()
  }

  /** Closes the connection for good. */
  end(): Promise<void> {
    this.#ended = true
    return this.close()
  }

  /** Answers arrive in time again. */
  relax(): void {
    this.#slow = 0
  }

  #create(): pg.Client {
    const { url, answerMs, onLost, onNotification } = this.#options
    const client = new pg.Client({
      // PostgreSQL gives up a statement soon after its connection is closed
      ...connectionTo(url, `-c client_connection_check_interval=1000 ${PLANS}`),
      application_name: 'lockstep (reads the journal)',
      connectionTimeoutMillis: answerMs,
      keepAlive: true,
    })
    client.on('error', () => {}) // 'end' follows
    client.on('end', () => {
      if (this.#client !== client) return
      this.#client = this.#ask = undefined
      onLost()
    })
    client.on('notification', ({ processId }) => {
      // pg's types leave `processID` out
      if (processId !== (client as pg.Client & { processID?: number }).processID) onNotification()
    })
    return client
  }

  /** After an answer that took too long, the next one is given twice the time. */
  async #askOn<Row extends pg.QueryResultRow>(client: pg.Client, query: pg.QueryConfig): Promise<Row[]> {
    // pg's types leave `query_timeout` out
    const bounded: pg.QueryConfig & { query_timeout: number } = {
      ...query,
      query_timeout: this.#options.answerMs * 2 ** Math.min(this.#slow, 6),
    }
    try {
      return (await client.query<Row>(bounded)).rows
    } catch (error) {
      if (error instanceof Error && error.message === 'Query read timeout') this.#slow++
      throw error
    }
  }
}
