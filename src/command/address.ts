import { once } from 'node:events'
import net from 'node:net'
import type { Config } from '../operator/config.ts'
import type { Listener } from '../operator/listener.ts'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'

type Address = Pick<Config, 'host' | 'port'>

/**
 * Listens there, for a server that is not loaded yet: it takes this listener over, with the connections that have
 * arrived. Throws an OperatorError if the address can't be had.
 */
export async function bind({ port, host }: Address): Promise<Listener> {
  const early: net.Socket[] = []
  const server = net.createServer({ pauseOnConnect: true }, (socket) => early.push(socket))
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    throw addressError(error, { port, host })
  }
  return { server, early }
}

/** One sentence for an error of `listen`; any other error as it is. */
function addressError(error: unknown, { host, port }: Address): unknown {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new OperatorError(
        `Port ${port} at ${host} is in use by another program. Stop that one, or set PORT to a port that is free.`,
        exitCode.unavailable,
      )
    case 'EACCES':
      return new OperatorError(
        `Port ${port} at ${host} may not be used by this user. Set PORT to one above 1023.`,
        exitCode.permission,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new OperatorError(
        `HOST is ${host}, which is no address of this machine. Set it to 127.0.0.1, or to 0.0.0.0 for all ` +
          'its addresses.',
        exitCode.unavailable,
      )
    default:
      return error
  }
}

/** The server's URL, for a browser on this machine. */
export function urlOf({ host, port }: Address): string {
  const name = ['0.0.0.0', '::'].includes(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}

/** Whether only this machine can reach a server that listens there. */
export const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host)
