import pg from 'pg'
import type { PoolOptions } from '../operator/config.ts'
import { connectionTo } from './connection.ts'

/** The pool's options where no setting is set. */
export const defaultPool: PoolOptions = {
  size: 20,
  max: 60,
  recycleSeconds: 3_600,
  validateIdleSeconds: 5,
  waitMs: 10_000,
  lockTimeoutMs: 4_000,
  statementTimeoutMs: 10_000,
  idleTransactionTimeoutMs: 15_000,
  isolation: 'read-committed',
}

/** How much longer than a statement's limit to wait for its answer. After that the connection is taken for dead. */
const GRACE_MS = 2_000

/**
 * A connection that closes itself when an answer does not arrive in time, since the next statement would wait behind
 * that one. Its loss does not end the process.
 */
class ClosingClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config)
    // The pool listens while it is idle, and Prisma while it is used. Between the two an unheard error would end the
    // process. The next statement on it fails anyway.
    this.on('error', () => {})
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg has a dozen overloads
  override query(...args: any[]): any {
    // TypeScript picks no overload for a spread; with a callback, pg returns no promise
    const answer = super.query(...(args as [string])) as Promise<unknown> | undefined
    answer?.catch?.((error: Error) => {
      if (error.message === 'Query read timeout') this.end().catch(() => {})
    })
    return answer
  }
}

type Callback = Parameters<pg.Pool['connect']>[0]

/** pg's pool, but it validates a connection that was idle before it hands it out. */
class ValidatingPool extends pg.Pool {
  readonly #idleSince = new WeakMap<pg.PoolClient, number>()
  readonly #validateIdleMs: number

  constructor(config: pg.PoolConfig, validateIdleMs: number) {
    super(config)
    this.#validateIdleMs = validateIdleMs
    this.on('release', (_, client) => this.#idleSince.set(client, performance.now()))
    this.on('error', () => {}) // an idle connection was lost: the pool has removed it, and nobody used it
  }

  override connect(): Promise<pg.PoolClient>
  override connect(callback: Callback): void
  override connect(callback?: Callback): Promise<pg.PoolClient> | undefined {
    const connected = this.#connect()
    if (!callback) return connected
    connected.then(
      (client) => callback(undefined, client, client.release.bind(client)),
      (error) => callback(error, undefined, () => {}),
    )
    return undefined
  }

  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await super.connect()
      const since = this.#idleSince.get(client)
      if (since === undefined || performance.now() - since < this.#validateIdleMs) return client
      try {
        const validation: pg.QueryConfig & { query_timeout: number } = { text: 'select 1', query_timeout: 2_000 }
        await client.query(validation) // a connection without an answer is dead, too
        return client
      } catch {
        client.release(true) // dead: the pool removes it, and the next one is tried
      }
    }
  }
}

/**
 * Session settings for plans. Planning takes longer than running, so each statement is planned once per connection. A
 * plan that is made while a table is empty would scan all of it, also after it has grown: hence no sequential scan
 * where there is an index. Compiling (jit) never pays.
 */
export const PLANS = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c random_page_cost=1.1 -c jit=off'

/** A pool whose sessions are in UTC and bound every statement and every wait. */
export function createPool(url: string, options: PoolOptions): pg.Pool {
  const config: pg.PoolConfig = {
    Client: ClosingClient,
    ...connectionTo(url, `${PLANS} -c default_transaction_isolation=${options.isolation.replace('-', '\\ ')}`),
    min: options.size,
    max: options.max,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: options.recycleSeconds,
    connectionTimeoutMillis: options.waitMs,
    lock_timeout: options.lockTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    query_timeout: options.statementTimeoutMs + GRACE_MS,
    idle_in_transaction_session_timeout: options.idleTransactionTimeoutMs,
    application_name: 'lockstep',
    keepAlive: true,
  }
  return new ValidatingPool(config, options.validateIdleSeconds * 1_000)
}
