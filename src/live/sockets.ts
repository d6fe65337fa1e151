import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ExecutionArgs, GraphQLError } from 'graphql'
import { handleProtocols, makeServer, type Server, type ServerOptions, type SubscribePayload } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import { coded, problem, shownError } from '../api/shownError.ts'
import type { Log } from '../operator/log.ts'
import { prepare, type Prepared, type PrepareOptions, type Result, tokenIn } from './prepare.ts'
import { never, Socket } from './socket.ts'
import { type Admission, refusal, refuse } from './upgrade.ts'
import { closing, Wire } from './wire.ts'

export interface SocketsOptions extends Admission, PrepareOptions {
  /** The most bytes of a message. */
  readonly maxPayload: number
  readonly log: Log
  /** How often clients are asked whether they are still there, in ms. */
  readonly pingMs?: number
}

/** An operation on its way through graphql-ws. */
interface Begun {
  readonly prepared: Prepared
  readonly socket: Socket
  readonly id: string
  readonly payload: SubscribePayload
}

type Protocol = Required<Pick<ServerOptions<Record<string, unknown>, Socket>, 'onConnect' | 'onSubscribe'>>
type Connect = NonNullable<Protocol['onConnect']>
type Subscribe = NonNullable<Protocol['onSubscribe']>

/**
 * GraphQL over WebSocket: all sockets of this process, and what they and graphql-ws (which speaks the protocol
 * graphql-transport-ws) need of each other.
 */
export class Sockets {
  readonly #options: SocketsOptions
  readonly #server: WebSocketServer
  readonly #protocol: Server<Socket>
  readonly #connected = new Set<Socket>()
  /** By the arguments, which graphql-ws hands on as they are. */
  readonly #begun = new WeakMap<ExecutionArgs, Begun>()
  readonly #pinging: NodeJS.Timeout
  #isClosed = false

  constructor(options: SocketsOptions) {
    this.#options = options
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: options.maxPayload,
      handleProtocols,
      clientTracking: false,
      perMessageDeflate: false,
    })
    this.#protocol = makeServer<Record<string, unknown>, Socket>({
      connectionInitWaitTimeout: 10_000,
      onConnect: this.#connect,
      onSubscribe: this.#subscribe,
      execute: (args) => this.#run(args, 'execute'),
      subscribe: (args) => this.#run(args, 'subscribe'),
      // Nothing is sent where the id is used again meanwhile; nor where only this server ends the subscription, because
      // a client that hears that it is complete does not come back.
      onComplete: ({ extra, subscriptions }, id) =>
        extra.isBeginning(id) || (this.#isClosed && subscriptions[id]) ? never() : undefined,
      onError: (_, __, ___, errors) => errors.map(plain),
      onNext: (_, __, ___, ____, result) =>
        result.errors ? { ...result, errors: result.errors.map(plain) } : undefined,
    })
    this.#pinging = setInterval(() => {
      for (const { wire } of this.#connected) wire.ping()
    }, options.pingMs ?? 12_000)
  }

  /** How many are open. */
  get count(): number {
    return this.#connected.size
  }

  /** For the event `upgrade` of an HTTP server. */
  readonly upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    stream.on('error', () => stream.destroy())
    const refused = refusal(request, this.#options)
    if (refused) refuse(stream, ...refused)
    else this.#server.handleUpgrade(request, stream, head, (socket) => this.#open(socket, request, stream))
  }

  /** Closes all, each when what it asked has been answered. Clients connect again and resume with their cursors. */
  close(): void {
    clearInterval(this.#pinging)
    this.#isClosed = true
    for (const socket of this.#connected) socket.finish()
  }

  #open(webSocket: WebSocket, request: IncomingMessage, stream: Duplex): void {
    const { log, maxPayload } = this.#options
    const wire = new Wire(webSocket, stream)
    const socket = new Socket(request, wire)
    this.#connected.add(socket)
    const closed = this.#protocol.opened(
      {
        protocol: webSocket.protocol,
        send: (data) => wire.write(data),
        close: (code = 1000, reason = '') => wire.close(code, reason),
        onMessage: (hear) => webSocket.on('message', (message) => this.#receive(wire, hear(String(message)))),
      },
      socket,
    )
    webSocket.on('ping', () => wire.pace(maxPayload))
    webSocket.on('pong', () => wire.ponged())
    webSocket.on('error', (error) => log.debug({ err: error }, 'A WebSocket failed.')) // 'close' follows
    webSocket.once('close', (code, reason) => {
      this.#connected.delete(socket)
      wire.closed()
      closed(code, String(reason)).catch((error) => log.warn({ err: error }, 'A WebSocket could not be put away.'))
    })
  }

  #receive(wire: Wire, handled: Promise<void>): void {
    wire.pace(this.#options.maxPayload)
    handled.catch((error) => {
      this.#options.log.warn({ err: error }, 'A message over WebSocket could not be handled.')
      wire.close(closing.tryAgainLater, 'Try again later.')
    })
  }

  readonly #connect: Connect = async ({ connectionParams, extra: socket }) => {
    socket.token = tokenIn(connectionParams) ?? socket.request.headers.authorization ?? null
    if (!socket.token) return
    const viewer = await this.#options.viewerOf(socket.token)
    if (viewer) socket.wire.closeAt(viewer.expiresAt)
    else socket.wire.close(closing.unauthorized, 'The token is not valid, or its session has ended.')
    return viewer !== null
  }

  readonly #subscribe: Subscribe = async ({ extra: socket, subscriptions }, id, payload) => {
    socket.begin(id, payload)
    const underWay = Math.max(socket.underWay, Object.keys(subscriptions).length)
    const prepared = this.#isClosed
      ? [problem('TRY_AGAIN_LATER', 'The server is going away. Connect again.')]
      : await prepare(socket, id, payload, underWay, this.#options).catch((error) => [this.#shown(error)])
    if ('args' in prepared) {
      this.#begun.set(prepared.args, { prepared, socket, id, payload })
      return prepared.args
    }
    socket.end()
    return socket.newest(id, payload, prepared)
  }

  /** What fails is the operation's own failure: the socket has others. */
  async #run(args: ExecutionArgs, how: 'execute' | 'subscribe'): Promise<Result> {
    const { prepared, socket, id, payload } = this.#begun.get(args)!
    let result: Result
    try {
      result = await prepared[how](args)
    } catch (error) {
      result = { errors: [this.#shown(error)] }
    } finally {
      socket.end()
    }
    return socket.newest(id, payload, result)
  }

  #shown(error: unknown): GraphQLError {
    return shownError(error, this.#options.log)
  }
}

/** An error as it is sent: with a code, and without what is meant for HTTP. */
function plain(error: GraphQLError) {
  const { extensions, ...rest } = coded(error).toJSON()
  const { http: _, ...own } = extensions ?? {}
  return { ...rest, extensions: own }
}
