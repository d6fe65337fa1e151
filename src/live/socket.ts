import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SubscribePayload } from 'graphql-ws'
import { closing, type Wire } from './wire.ts'

/** How long a socket may take to close once the server has nothing more to say, in ms. */
const LEAVING_MS = 2_000

/**
 * One client's socket, and the operations that it has under way.
 *
 *   open ──server closes──▶ finishing ──nothing under way──▶ leaving ──written, or 2 s──▶ closed
 *    └──────────── the client closes, misses a ping, or its token is not valid ────────────▲
 *
 * A client may end an operation and use its id again while the first is still being prepared. graphql-ws knows
 * operations by their ids only, and would take the result of the first for that of the second. So this remembers
 * which operation is the newest of its id, and `newest` holds the results of all others back.
 */
export class Socket {
  readonly request: IncomingMessage
  readonly wire: Wire
  /** The token that the client connected with; null: none. Undefined until it has said so. */
  token: string | null | undefined
  /** The newest operation of each id, until its result or its stream is there. */
  readonly #beginning = new Map<string, SubscribePayload>()
  #underWay = 0
  #isFinishing = false
  #isLeaving = false

  constructor(request: IncomingMessage, wire: Wire) {
    this.request = request
    this.wire = wire
  }

  /**
   * How many operations are being carried out, whether or not the client still waits for them. A subscription counts
   * until its stream begins.
   */
  get underWay(): number {
    return this.#underWay
  }

  /** An operation begins. */
  begin(id: string, payload: SubscribePayload): void {
    this.#beginning.set(id, payload)
    this.#underWay++
  }

  /** An operation has its result, or its stream has begun. */
  end(): void {
    this.#underWay--
    if (this.#isFinishing) void this.#leave()
  }

  /** Whether an operation with this id is on its way. */
  isBeginning(id: string): boolean {
    return this.#beginning.has(id)
  }

  /** The result, if its operation is the newest of its id; otherwise never resolves, and ends what it would stream. */
  newest<Result extends object>(id: string, payload: SubscribePayload, result: Result): Result | Promise<never> {
    if (this.#beginning.get(id) === payload) {
      this.#beginning.delete(id)
      return result
    }
    if (isStream(result)) result.return?.(undefined)?.catch(() => {})
    return never()
  }

  /** Closes the socket when all that is under way has been answered. */
  finish(): void {
    this.#isFinishing = true
    void this.#leave()
  }

  async #leave(): Promise<void> {
    if (this.#underWay || this.#isLeaving) return
    this.#isLeaving = true
    setTimeout(() => this.wire.terminate(), LEAVING_MS).unref()
    await sleep(10) // the last answers are being written
    await this.wire.drained()
    await sleep(10) // and then the messages that they are complete
    this.wire.close(closing.goingAway, 'The server is going away.')
  }
}

/** A promise that graphql-ws waits for in vain: so it sends nothing. */
export const never = (): Promise<never> => new Promise<never>(() => {})

function isStream(result: object): result is AsyncIterator<unknown, unknown, unknown> {
  return 'return' in result
}
