import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { refuse } from '../live/upgrade.ts'
import type { Listener } from '../operator/listener.ts'
import type { Log } from '../operator/log.ts'
import { fail, say } from './answer.ts'

/** Answers a request. What it throws is logged and answered with 500. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => unknown
export type Upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => void

interface Address {
  readonly host: string
  readonly port: number
}

export interface HttpOptions {
  /** By path. */
  readonly routes: ReadonlyMap<string, Handle>
  /** What takes an upgraded connection over; undefined: nothing does now. */
  readonly upgrade: () => Upgrade | undefined
  /** A request begins; call what it returns when the request has ended. */
  readonly onRequest: (path: string) => (status: number) => void
  readonly log: Log
}

/** Longer than most proxies keep idle connections (60 s): the side that closes first loses no request. */
const KEEP_ALIVE_MS = 75_000

/** The HTTP server: routes, and what becomes of connections when it closes. */
export class Http {
  readonly #options: HttpOptions
  readonly #server: Server
  /** Connections on which nothing was asked yet; browsers and load balancers open such in advance. */
  readonly #silent = new Set<Socket>()
  #isDraining = false

  constructor(options: HttpOptions) {
    this.#options = options
    this.#server = createServer({ connectionsCheckingInterval: 2_000 }, this.#answer)
      .on('connection', this.#connected)
      .on('upgrade', this.#upgrade)
    this.#server.requestTimeout = 30_000
    this.#server.headersTimeout = 10_000
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Resolves with the address; rejects if it can't be had. */
  async listen({ port, host }: Address): Promise<Address> {
    this.#server.listen(port, host)
    return this.#listening()
  }

  /** Listens in place of a listener, and serves the connections that have arrived there. */
  async takeOver({ server, early }: Listener): Promise<Address> {
    this.#server.listen(server)
    const address = await this.#listening()
    for (const socket of early) {
      this.#server.emit('connection', socket)
      socket.resume()
    }
    return address
  }

  async #listening(): Promise<Address> {
    await once(this.#server, 'listening')
    const found = this.#server.address() as AddressInfo // not the path of a pipe: it listens on a port
    return { host: found.address, port: found.port }
  }

  /** Accepts no more connections. `hangUp` ends what would go on for ever. Resolves when all requests are answered. */
  async drain(hangUp: () => void): Promise<void> {
    this.#isDraining = true
    const closed = new Promise((resolve) => this.#server.close(resolve))
    hangUp()
    this.#server.closeIdleConnections()
    for (const socket of this.#silent) if (!socket.bytesRead) socket.destroy() // a request that has begun is answered
    await closed
  }

  readonly #answer = (request: IncomingMessage, response: ServerResponse): void => {
    this.#silent.delete(request.socket)
    const path = pathOf(request)
    const handle = this.#options.routes.get(path)
    const onEnd = this.#options.onRequest(handle ? path : 'other')
    response.once('close', () => onEnd(response.statusCode))
    if (this.#isDraining) response.setHeader('connection', 'close')
    else response.once('close', () => setImmediate(() => this.#isDraining && this.#server.closeIdleConnections()))
    if (handle) void this.#run(handle, path, request, response)
    else say(response, 404, 'There is nothing here. GraphQL is at /graphql.')
  }

  async #run(handle: Handle, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await handle(request, response)
    } catch (error) {
      const { log } = this.#options
      if (response.destroyed || request.destroyed || request.errored)
        return log.debug({ err: error, path }, 'A client went away.')
      log.error({ err: error, path }, 'A request failed.')
      if (!response.headersSent) fail(response, 500, 'INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
      else response.destroy()
    }
  }

  readonly #connected = (socket: Socket): void => {
    this.#silent.add(socket)
    socket.once('close', () => this.#silent.delete(socket))
  }

  readonly #upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    this.#silent.delete(request.socket)
    const upgrade = this.#isDraining ? undefined : this.#options.upgrade()
    if (upgrade) upgrade(request, stream, head)
    else
      refuse(
        stream.on('error', () => {}),
        '503 Service Unavailable',
      )
  }
}

const pathOf = ({ url = '' }: IncomingMessage) => url.split('?', 1)[0]!
