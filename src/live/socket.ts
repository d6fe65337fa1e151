import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { getOperationAST, GraphQLError } from 'graphql'
import { handleProtocols, makeServer, type ServerOptions, type SubscribePayload } from 'graphql-ws'
import type { Logger } from 'pino'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Sink } from '../api/context.ts'
import type { Viewer } from '../api/context.ts'
import { coded, shownError } from '../api/shownError.ts'

/**
 * What is carried out for a client over a socket: an operation, parsed, checked against all limits, and with its
 * context.
 */
export interface Prepared {
  readonly args: Parameters<NonNullable<ServerOptions['execute']>>[0]
  execute(args: unknown): unknown
  subscribe(args: unknown): unknown
}

export interface SocketsOptions {
  /** Throws, or answers with, GraphQL errors. */
  prepare(
    payload: SubscribePayload,
    viewer: Viewer | null,
    requestId: string,
    sink: Sink,
  ): Promise<Prepared | readonly GraphQLError[]>
  viewerOf(authorization: string | null): Promise<Viewer | null>
  /** Origins of web pages that may connect, besides this server's own. */
  readonly origins: readonly string[]
  /** The most bytes of a message. */
  readonly maxPayload: number
  /** Whether one more may connect. */
  room(): boolean
  readonly perConnection: number
  readonly log: Logger
  /** How often it is asked whether a client is still there, in ms. */
  readonly pingMs?: number
}

/** The codes that a socket is closed with, besides those of graphql-transport-ws. */
const UNAUTHORIZED = 4401
const TRY_AGAIN_LATER = 1013
const GOING_AWAY = 1001

/** What belongs to one socket. */
interface Extra {
  readonly request: IncomingMessage
  readonly wire: Wire
  /**
   * How many operations are being carried out, whether or not somebody still waits for them; a subscription until it is
   * begun.
   */
  underWay: number
  /** The newest operation of each id, until its result or its stream is there. */
  readonly beginning: Map<string, SubscribePayload>
  token?: string | null
  /** It is being closed, since the server is going away. */
  isLeft?: true
}

/** GraphQL over WebSocket (the protocol graphql-transport-ws), for those who come to the path of GraphQL. */
export function sockets(options: SocketsOptions) {
  const { prepare, viewerOf, origins, maxPayload, room, perConnection, log, pingMs = 12_000 } = options
  const server = new WebSocketServer({
    noServer: true,
    maxPayload,
    handleProtocols,
    clientTracking: false,
    perMessageDeflate: false,
  })
  const connected = new Set<Extra>()
  let leaving = false

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: 10_000,
    async onConnect({ connectionParams, extra }) {
      extra.token = tokenIn(connectionParams) ?? extra.request.headers.authorization ?? null
      if (!extra.token) return
      const viewer = await viewerOf(extra.token)
      if (viewer) extra.wire.closeAt(viewer.expiresAt)
      else extra.wire.close(UNAUTHORIZED, 'The token is not valid, or its session has ended.')
      return viewer !== null
    },
    async onSubscribe({ extra, subscriptions }, id, payload) {
      extra.beginning.set(id, payload)
      extra.underWay++
      const result = await prepared(extra, Math.max(extra.underWay, Object.keys(subscriptions).length), id, payload)
      if (Array.isArray(result)) {
        ended(extra)
        return newest({ extra, id, payload }, result) as never
      }
      return { ...(result as Prepared).args, begun: { prepared: result, extra, id, payload } } as never
    },
    async execute(args) {
      const begun = begunIn(args)
      return newest(begun, await failing(begun.extra, () => begun.prepared.execute(args))) as never
    },
    async subscribe(args) {
      const begun = begunIn(args)
      return newest(begun, await failing(begun.extra, () => begun.prepared.subscribe(args))) as never
    },
    // Nothing is told of its end, if it ended and its id was taken up again; nor if we end a subscription only because
    // we are going away: whoever is told that it is complete does not come back.
    onComplete: ({ extra, subscriptions }, id) =>
      extra.beginning.has(id) || (leaving && subscriptions[id]) ? never() : undefined,
    onError: (_, __, ___, errors) => errors.map((error) => plain(error)),
    onNext: (_, __, ___, ____, result) =>
      result.errors ? ({ ...result, errors: result.errors.map((error) => plain(error)) } as never) : undefined,
  })

  /** What is to be carried out, or why it is not. */
  async function prepared(
    extra: Extra,
    underWay: number,
    id: string,
    payload: SubscribePayload,
  ): Promise<Prepared | readonly GraphQLError[]> {
    try {
      if (leaving) return [problem('TRY_AGAIN_LATER', 'The server is going away. Connect again.')]
      if (underWay > perConnection)
        return [
          problem(
            'TOO_MANY_SUBSCRIPTIONS',
            `This connection has ${perConnection} operations under way, which is the most for one. End some first.`,
          ),
        ]
      const own = tokenIn((payload.extensions as { headers?: Record<string, unknown> } | null | undefined)?.headers)
      const viewer = await viewerOf(own ?? extra.token ?? null)
      if (!viewer && own)
        return [
          problem(
            'UNAUTHENTICATED',
            'The token among the headers of this operation is not valid, or its session has ended.',
          ),
        ]
      if (!viewer && extra.token) {
        extra.wire.close(UNAUTHORIZED, 'The session has ended.')
        return [problem('UNAUTHENTICATED', 'Your session has ended.')]
      }
      const prepared = await prepare(payload, viewer, randomUUID(), extra.wire.sink(id, own === undefined))
      if ('args' in prepared && !getOperationAST(prepared.args.document, prepared.args.operationName))
        return [problem('BAD_REQUEST', 'There is no operation of that name, or there are several and none is named.')]
      return prepared
    } catch (error) {
      return [told(error)]
    }
  }

  const told = (error: unknown) => {
    const shown = shownError(error, log)
    return shown instanceof GraphQLError ? shown : problem('INTERNAL_SERVER_ERROR', 'Something went wrong on our side.')
  }

  /** What fails is the operation's failure; the socket has others. */
  const failing = async (extra: Extra, run: () => unknown) => {
    try {
      return await run()
    } catch (error) {
      return { errors: [told(error)] }
    } finally {
      ended(extra)
    }
  }

  function ended(extra: Extra) {
    extra.underWay--
    if (leaving) void leave(extra)
  }

  /** Closes it, when what was asked by it has been answered. */
  async function leave(extra: Extra) {
    const { underWay, isLeft, wire } = extra
    if (underWay || isLeft) return
    extra.isLeft = true
    setTimeout(() => wire.terminate(), 2_000).unref()
    await sleep(10) // its last answers are being written
    await wire.drained()
    await sleep(10) // and now that they were the last
    wire.close(GOING_AWAY, 'The server is going away.')
  }

  /** Whoever does not answer a ping before the next is gone. */
  const pinging = setInterval(() => {
    for (const { wire } of connected) wire.ping()
  }, pingMs)

  function opened(socket: WebSocket, request: IncomingMessage, stream: Duplex) {
    const wire = new Wire(socket, stream)
    const extra: Extra = { request, wire, underWay: 0, beginning: new Map() }
    connected.add(extra)
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) => wire.write(data),
        close: (code = 1000, reason = '') => wire.close(code, reason),
        onMessage: (hear) =>
          socket.on('message', (message) => {
            wire.pace(maxPayload)
            hear(String(message)).catch((error) => {
              log.warn({ err: error }, 'A message over WebSocket could not be dealt with.')
              wire.close(TRY_AGAIN_LATER, 'Try again later.')
            })
          }),
      },
      extra,
    )
    socket.on('ping', () => wire.pace(maxPayload))
    socket.on('pong', () => wire.isThere())
    socket.on('error', (error) => log.debug({ err: error }, 'A WebSocket failed.')) // 'close' follows
    socket.once('close', (code, reason) => {
      connected.delete(extra)
      wire.closed()
      closed(code, String(reason)).catch((error) => log.warn({ err: error }, 'A WebSocket could not be put away.'))
    })
  }

  return {
    /** How many are open. */
    get count() {
      return connected.size
    },
    /** For the `upgrade` event of an HTTP server. */
    upgrade(request: IncomingMessage, stream: Duplex, head: Buffer) {
      stream.on('error', () => stream.destroy())
      const { origin, host } = request.headers
      if (request.headers.upgrade?.toLowerCase() !== 'websocket')
        return refuse(stream, '426 Upgrade Required', 'Only WebSocket is spoken here.')
      if (request.url!.split('?', 1)[0] !== '/graphql')
        return refuse(stream, '404 Not Found', 'There is nothing here. GraphQL is at /graphql.')
      const isOurs =
        !origin ||
        (URL.canParse(origin) && new URL(origin).host === host) ||
        origins.includes('*') ||
        origins.includes(origin)
      if (!isOurs)
        return refuse(
          stream,
          '403 Forbidden',
          'This web page may not connect. Whoever runs the server can let it, with CORS_ORIGINS.',
        )
      if (!room())
        return refuse(stream, '503 Service Unavailable', 'No more connections can be taken just now. Try again later.')
      server.handleUpgrade(request, stream, head, (socket) => opened(socket, request, stream))
    },
    /**
     * Closes all, each when what it is asked for has been answered; clients that are made well come back, and go on
     * with their cursors.
     */
    close() {
      clearInterval(pinging)
      leaving = true
      for (const extra of connected) void leave(extra)
    },
  }
}

/** An operation that is about to be carried out. */
interface Begun {
  readonly prepared: Prepared
  readonly extra: Extra
  readonly id: string
  readonly payload: SubscribePayload
}
const begunIn = (args: unknown) => (args as { begun: Begun }).begun

const never = () => new Promise<never>(() => {})

/**
 * The result, if its operation is still the one of its id. A client may end an operation and take up its id again while
 * the first is still on its way; graphql-ws keeps operations by their ids alone, and would take the one's result for
 * the other's. So it is never told of the first's.
 */
function newest({ extra, id, payload }: Omit<Begun, 'prepared'>, result: unknown): unknown {
  if (extra.beginning.get(id) === payload) {
    extra.beginning.delete(id)
    return result
  }
  if (typeof result === 'object' && result !== null && 'return' in result)
    (result as AsyncGenerator).return(undefined).catch(() => {})
  return never()
}

const problem = (code: string, message: string) => new GraphQLError(message, { extensions: { code } })

/** As a client is told it: with a code, without what is meant for HTTP or for us. */
function plain(error: unknown) {
  const { extensions, ...rest } = coded(error as GraphQLError).toJSON()
  const { http: _, ...own } = extensions ?? {}
  return { ...rest, extensions: own }
}

/** A token in what a client says of itself, in whichever case the name is written. */
function tokenIn(params: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  const [, token] = Object.entries(params ?? {}).find(([name]) => name.toLowerCase() === 'authorization') ?? []
  return typeof token === 'string' && token ? token : undefined
}

function refuse(stream: Duplex, status: string, why: string) {
  stream.once('finish', () => stream.destroy()) // or else it is the client who says how long it stays
  stream.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(why)}\r\n\r\n${why}`,
  )
}

/** One socket, as it is written to. */
class Wire {
  readonly #socket: WebSocket
  readonly #stream: Duplex
  #ready: string[] = []
  #readyLength = 0
  #there = true
  #expiry: NodeJS.Timeout | undefined
  #drained: (() => void)[] = []

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket
    this.#stream = stream
    stream.on('drain', () => this.#release())
  }

  /** Where the results of one subscription go. What is ready in the same turn of the event loop is written at once. */
  sink(id: string, own: boolean): Sink {
    const before = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    const wire = this
    return {
      send(json) {
        wire.#ready.push(`${before}${json}}`)
        wire.#readyLength += json.length
        if (wire.#ready.length === 1) flushed(wire)
      },
      // whoever signed in with the connection has no more business on it
      ...(own && { signedOut: () => setImmediate(() => wire.close(UNAUTHORIZED, 'The session has ended.')) }),
      get waiting() {
        return wire.#readyLength + wire.#socket.bufferedAmount
      },
      drained: () => wire.drained(),
    }
  }

  /** Resolves when the network has taken what there was, or it is closed. */
  drained(): Promise<void> {
    if (this.#ready.length) this.flush()
    return this.#isOpen && this.#stream.writableNeedDrain
      ? new Promise((resolve) => this.#drained.push(resolve))
      : Promise.resolve()
  }

  /** Hears no more from whoever takes nothing of what they are answered, until they have. */
  pace(most: number) {
    if (this.#socket.bufferedAmount <= most || this.#socket.isPaused) return
    this.#socket.pause()
    void this.drained().then(() => this.#socket.resume())
  }

  get #isOpen() {
    return this.#socket.readyState === this.#socket.OPEN
  }

  /** What is ready goes out in one write. */
  flush() {
    const ready = this.#ready
    this.#ready = []
    this.#readyLength = 0
    if (!this.#isOpen) return
    if (ready.length === 1) return this.#socket.send(ready[0]!)
    this.#stream.cork()
    for (const message of ready) this.#socket.send(message)
    this.#stream.uncork()
  }

  /** Resolves when it is out of this process, or never will be. */
  write(message: string): Promise<void> {
    if (this.#ready.length) this.flush() // what came first goes first
    return new Promise((resolve) => {
      if (!this.#isOpen) resolve()
      else this.#socket.send(message, () => resolve())
    })
  }

  /** Closes it with the end of the session that it was opened in. */
  closeAt(date: Date) {
    const left = date.getTime() - Date.now()
    if (this.#isOpen && left < 2 ** 31)
      this.#expiry = setTimeout(() => this.close(UNAUTHORIZED, 'The session has ended.'), left)
  }

  close(code: number, reason: string) {
    if (this.#ready.length) this.flush()
    // no more fits into a frame
    this.#socket.close(code, Buffer.byteLength(reason) > 123 ? Buffer.from(reason).subarray(0, 120).toString() : reason)
  }

  closed() {
    clearTimeout(this.#expiry)
    this.#release()
  }

  isThere() {
    this.#there = true
  }

  ping() {
    if (!this.#there) return this.#socket.terminate()
    this.#there = false
    if (this.#isOpen) this.#socket.ping()
  }

  terminate() {
    this.#socket.terminate()
  }

  #release() {
    for (const resolve of this.#drained.splice(0)) resolve()
  }
}

/** Those who have something ready. */
let waiting: Wire[] = []
function flushed(wire: Wire) {
  waiting.push(wire)
  if (waiting.length > 1) return
  setImmediate(() => {
    const all = waiting
    waiting = []
    for (const one of all) one.flush()
  })
}
