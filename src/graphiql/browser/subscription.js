// @ts-check

/** @import { Client, ClientOptions, SubscribePayload } from 'graphql-ws' */

/** @typedef {{ data?: Record<string, unknown> | null, errors?: unknown }} Result */

/** How many of the last items are shown. */
const SHOWN = 20
/** The longest wait before the next attempt, in ms. */
const LONGEST_WAIT = 4_000
/** Errors that pass: the same request may succeed later. */
const passing = ['SUBSCRIBER_TOO_SLOW', 'TRY_AGAIN_LATER', 'UNAVAILABLE']

/**
 * Waits before the next attempt: shortly after a first failure, longer after more, and not exactly as long as the other
 * clients of a server that went.
 *
 * @param {number} failures
 * @returns {Promise<void>}
 */
const backOff = (failures) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(LONGEST_WAIT, 250 * 2 ** failures) * (0.5 + Math.random() / 2))
  })

/**
 * How a client of graphql-ws connects again for good. Without this, it gives up when a server is gone.
 *
 * @satisfies {Partial<ClientOptions>}
 */
export const patient = {
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true,
  retryWait: backOff,
}

/**
 * A subscription as GraphiQL shows it: its last items, the newest first. It goes on until it is stopped, or until the
 * server ends it. After a lost connection it continues at the cursor of the last item.
 */
export class Subscription {
  /** @type {Client} */ #client
  /** @type {SubscribePayload & { variables: Record<string, unknown> }} */ #payload
  /** @type {string | undefined} */ #after
  /** @type {{ next(shown: object): void, complete(): void }} */ #observer
  /** @type {Result[]} */ #newestFirst = []
  #received = 0
  #failures = 0
  #isOver = false
  #unsubscribe = () => {}

  /**
   * @param {Client} client its own, `patient`
   * @param {{ query: string, variables?: Record<string, unknown> | null, operationName?: string | null }} operation
   * @param {string | undefined} after the variable that takes a cursor; without one, it begins anew each time
   * @param {{ next(shown: object): void, complete(): void }} observer
   */
  constructor(client, operation, after, observer) {
    this.#client = client
    this.#payload = { ...operation, variables: { ...operation.variables } }
    this.#after = after
    this.#observer = observer
    client.on('connected', (_socket, _payload, isAgain) => isAgain && this.#show('open'))
    client.on('closed', () => this.#show('lost, trying again'))
    this.#begin()
  }

  /** Shows that nothing more will arrive, at once: later, GraphiQL would show it in the tab that was opened instead. */
  stop() {
    this.#show('stopped')
    this.#close()
  }

  #close() {
    this.#isOver = true
    this.#unsubscribe() // first: a client whose subscription is not over connects once more
    Promise.resolve(this.#client.dispose()).catch(() => {}) // it was connecting, and can't any more
  }

  #begin() {
    if (this.#isOver) return
    let hasFailed = false
    /** @param {unknown} reason */
    const fail = (reason) => {
      if (!hasFailed) this.#fail(reason)
      hasFailed = true
    }
    this.#unsubscribe = this.#client.subscribe(this.#payload, {
      next: (/** @type {Result} */ result) => (result.data ? this.#receive(result) : fail(result.errors)),
      error: fail,
      complete: () => hasFailed || this.#complete(),
    })
  }

  /** @param {Result} result */
  #receive(result) {
    this.#failures = 0
    this.#received++
    this.#newestFirst = [result, ...this.#newestFirst].slice(0, SHOWN)
    const { cursor } = this.#newest
    // graphql-ws sends the variables as they are when it connects again
    if (this.#after && typeof cursor === 'string') this.#payload.variables[this.#after] = cursor
    this.#show('open')
  }

  /** The newest item. */
  get #newest() {
    const [item] = Object.values(this.#newestFirst[0]?.data ?? {})
    return /** @type {{ __typename?: string, cursor?: string }} */ (item ?? {})
  }

  /** @param {unknown} reason */
  #fail(reason) {
    const errors = [reason].flat().map(plain)
    if (errors.every(({ extensions }) => passing.includes(extensions?.code))) return this.#retry()
    this.#end(errors)
  }

  /** A stream that ends with an item that is neither a snapshot nor a change ends because this reader was too slow. */
  #complete() {
    if (/(?:Snapshot|Change)$/.test(this.#newest.__typename ?? 'Change')) this.#end()
    else this.#retry()
  }

  #retry() {
    this.#show('open, trying again')
    void backOff(this.#failures++).then(() => this.#begin())
  }

  /** @param {object[]} [errors] */
  #end(errors) {
    if (this.#isOver) return
    this.#show('closed', errors)
    this.#observer.complete()
    this.#close()
  }

  /**
   * @param {string} connection
   * @param {object[]} [errors]
   */
  #show(connection, errors) {
    if (this.#isOver) return
    this.#observer.next({ connection, received: this.#received, errors, newestFirst: this.#newestFirst })
  }
}

/**
 * An error of GraphQL, or why a connection was closed, so that it can be shown.
 *
 * @param {any} reason
 * @returns {{ message: string, extensions?: any }}
 */
function plain({ message, extensions, code, reason, ...more }) {
  if (code !== undefined) return { message: `The server closed the connection: ${code} ${reason}` }
  return { message, extensions, ...more }
}
