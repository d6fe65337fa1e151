import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { vi } from 'vitest'

/** Stands between a client and a server, speaks HTTP, and does with the answers what a network may do. */
export async function answers(target: string) {
  const held: (() => void)[] = []
  const n = {
    url: '',
    /** The answers are kept here, though the server has given them. */
    isHolding: false,
    /** So many of the next answers are lost, and their connections with them. */
    losing: 0,
    /** How many requests have been passed on. */
    requests: 0,
    /** Resolves when so many answers are kept here. */
    untilHeld: (count: number) => vi.waitUntil(() => held.length >= count, { timeout: 20_000, interval: 5 }),
    /** Lets the answer go that was kept first, or last. */
    release: (which: 'first' | 'last' = 'first') => (which === 'first' ? held.shift() : held.pop())?.(),
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  }
  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const { authorization = '' } = request.headers
    const headers = { 'content-type': 'application/json', accept: 'application/json', authorization }
    const answering = fetch(target, { method: 'POST', headers, body })
    n.requests++
    const answer = await answering
    const text = await answer.text()
    if (n.losing > 0) {
      n.losing--
      return void request.socket.destroy()
    }
    if (n.isHolding) await new Promise<void>((resolve) => held.push(resolve))
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  n.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  return n
}
