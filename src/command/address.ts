import { once } from 'node:events'
import net from 'node:net'
import type { Config } from '../operator/config.ts'
import { errorCode } from '../operator/errorCode.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'

type Address = Pick<Config, 'host' | 'port'>

/** Listens there for a moment. Throws an OperatorError if nobody could. */
export async function expectFree(address: Address): Promise<void> {
  const probe = net.createServer()
  try {
    probe.listen(address.port, address.host)
    await once(probe, 'listening')
  } catch (error) {
    throw addressError(error, address)
  }
  probe.close()
  await once(probe, 'close')
}

/** One sentence for an error of `listen`; any other error as it is. */
export function addressError(error: unknown, { host, port }: Address): unknown {
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
