import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Sink } from '../api/context.ts'
import { LONGEST_DELAY } from './access.ts'

/** The codes that a socket is closed with, besides those of graphql-transport-ws. */
export const closing = { unauthorized: 4401, tryAgainLater: 1013, goingAway: 1001 } as const

/** The most bytes of a reason in a close frame. */
const LONGEST_REASON = 123

/** One socket, as it is written to. Messages of the same turn of the event loop leave in one write. */
export class Wire {
  readonly #socket: WebSocket
  readonly #stream: Duplex
  #ready: string[] = []
  #readyLength = 0
  /** The client has answered the last ping, or there was none. */
  #isThere = true
  #expiry: NodeJS.Timeout | undefined
  #drained: (() => void)[] = []

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket
    this.#stream = stream
    stream.on('drain', () => this.#release())
  }

  /** The sink of the subscription with this id. With `closes`, the end of its session closes the whole socket. */
  sink(id: string, closes: boolean): Sink {
    const before = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    const wire = this
    return {
      send: (json) => wire.#queue(`${before}${json}}`, json.length),
      ...(closes && {
        signedOut: () => setImmediate(() => wire.close(closing.unauthorized, 'The session has ended.')),
      }),
      get waiting() {
        return wire.#readyLength + wire.#socket.bufferedAmount
      },
      drained: () => wire.drained(),
    }
  }

  /** Sends what is ready, in one write. */
  flush(): void {
    const ready = this.#ready
    this.#ready = []
    this.#readyLength = 0
    if (!this.#isOpen) return
    if (ready.length > 1) this.#stream.cork()
    for (const message of ready) this.#socket.send(message)
    if (ready.length > 1) this.#stream.uncork()
  }

  /** Sends a message behind those that are ready. Resolves when it has left this process, or never will. */
  write(message: string): Promise<void> {
    if (this.#ready.length) this.flush()
    return new Promise((resolve) => {
      if (!this.#isOpen) resolve()
      else this.#socket.send(message, () => resolve())
    })
  }

  /** Resolves when the network has taken what was sent, or the socket is closed. */
  drained(): Promise<void> {
    if (this.#ready.length) this.flush()
    return this.#isOpen && this.#stream.writableNeedDrain
      ? new Promise((resolve) => this.#drained.push(resolve))
      : Promise.resolve()
  }

  /** Reads no more from a client that leaves more than `most` bytes of its answers unread, until it has read them. */
  pace(most: number): void {
    if (this.#socket.bufferedAmount <= most || this.#socket.isPaused) return
    this.#socket.pause()
    void this.drained().then(() => this.#socket.resume())
  }

  /** Closes the socket when the session that opened it ends. */
  closeAt(date: Date): void {
    const left = date.getTime() - Date.now()
    if (this.#isOpen && left < LONGEST_DELAY)
      this.#expiry = setTimeout(() => this.close(closing.unauthorized, 'The session has ended.'), left)
  }

  /** Sends what is ready, then closes the socket. A reason that is too long is cut. */
  close(code: number, reason: string): void {
    if (this.#ready.length) this.flush()
    const bytes = Buffer.from(reason)
    this.#socket.close(code, bytes.length > LONGEST_REASON ? bytes.subarray(0, LONGEST_REASON - 3).toString() : reason)
  }

  /** Closes the socket at once; what has not left is lost. */
  terminate(): void {
    this.#socket.terminate()
  }

  /** The socket is closed: ends what waits for it. */
  closed(): void {
    clearTimeout(this.#expiry)
    this.#release()
  }

  /** Asks whether the client is still there; terminates the socket if the last ping was not answered. */
  ping(): void {
    if (!this.#isThere) this.terminate()
    else if (this.#isOpen) this.#socket.ping()
    this.#isThere = false
  }

  /** The client has answered a ping. */
  ponged(): void {
    this.#isThere = true
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  #queue(message: string, length: number): void {
    this.#ready.push(message)
    this.#readyLength += length
    if (this.#ready.length === 1) flushSoon(this)
  }

  #release(): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }
}

/** Those with messages ready, flushed together at the end of this turn of the event loop. */
let waiting: Wire[] = []
function flushSoon(wire: Wire): void {
  waiting.push(wire)
  if (waiting.length > 1) return
  setImmediate(() => {
    const all = waiting
    waiting = []
    for (const one of all) one.flush()
  })
}
