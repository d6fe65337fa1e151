import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Origins } from './origins.ts'

/** Which clients may connect. */
export interface Admission {
  /** Which web pages may connect. */
  readonly origins: Pick<Origins, 'admits'>
  /** Whether there is room for one more connection. */
  room(): boolean
}

/** Why a request to upgrade the connection is not accepted: a status line and a sentence. Undefined if it is. */
export function refusal(
  { url, headers }: IncomingMessage,
  { origins, room }: Admission,
): readonly [status: string, why: string] | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return ['426 Upgrade Required', 'Only WebSocket is spoken here.']
  if (url?.split('?', 1)[0] !== '/graphql') return ['404 Not Found', 'There is nothing here. GraphQL is at /graphql.']
  if (!origins.admits(headers))
    return [
      '403 Forbidden',
      'This web page may not connect. The operator of this server can allow it with CORS_ORIGINS.',
    ]
  if (!room()) return ['503 Service Unavailable', 'The server has no room for more connections. Try again later.']
  return undefined
}

/** Answers a request to upgrade with an HTTP error, and closes the connection. */
export function refuse(stream: Duplex, status: string, why = ''): void {
  stream.once('finish', () => stream.destroy()) // otherwise the client decides how long it stays open
  const type = why && '\r\nContent-Type: text/plain; charset=utf-8'
  stream.end(
    `HTTP/1.1 ${status}\r\nConnection: close${type}\r\nContent-Length: ${Buffer.byteLength(why)}\r\n\r\n${why}`,
  )
}
