import pino from 'pino'
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { parseConfig } from '../../src/operator/config.ts'
import { startServer } from '../../src/server/server.ts'
import { world } from '../world.ts'

const w = await world()

/** A server with what it logs, and ways to ask it as a page of some origin. */
async function server(allowed = 'none') {
  const lines: { level: number; msg: string; origin?: string }[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const started = await startServer({ config: parseConfig({ PORT: '0', CORS_ORIGINS: allowed }), log })
  await started.open({ databaseUrl: w.url, demo: false })
  w.onClose(() => started.drain())
  const url = `http://127.0.0.1:${started.address.port}`
  const http = (method: string, headers: Record<string, string>) =>
    fetch(`${url}/graphql${method === 'GET' ? '?query={__typename}' : ''}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(method === 'POST' && { body: '{"query":"{ __typename }"}' }),
    }).then(({ status }) => status)
  const socket = (origin: string) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { origin })
      const answered = (status: number) => {
        socket.on('error', () => {}).terminate()
        resolve(status)
      }
      socket.once('unexpected-response', (_, { statusCode }) => answered(statusCode!))
      socket.once('open', () => answered(101))
    })
  return { url, lines, http, socket }
}

test('an origin that is refused is logged once, with what to do, however it comes', async () => {
  const { url, lines, http, socket } = await server('https://app.example.com')
  await http('OPTIONS', { origin: 'https://a.example', 'access-control-request-method': 'POST' })
  await http('POST', { origin: 'https://b.example' })
  await http('GET', { origin: 'https://c.example' })
  expect(await socket('https://d.example')).toBe(403)
  await http('POST', { origin: 'null' })
  const logged = lines.map(({ level, origin, msg }) => [level, origin, /add it to CORS_ORIGINS/.test(msg)])
  const refused = ['https://a.example', 'https://b.example', 'https://c.example', 'https://d.example', 'null']
  expect(logged).toEqual(refused.map((origin) => [40, origin, true]))
  for (const origin of refused) {
    await http('POST', { origin })
    expect(await socket(origin)).toBe(403)
  }
  for (const origin of ['https://app.example.com', url, url.replace('http', 'https')]) {
    await http('POST', { origin })
    expect(await socket(origin)).toBe(101)
  }
  await http('POST', {})
  expect(lines).toHaveLength(5)
})

test('a page that the browser calls this server’s own is not logged: a proxy may hide the host', async () => {
  const { lines, http } = await server()
  expect(await http('POST', { origin: 'https://app.example.com', 'sec-fetch-site': 'same-origin' })).toBe(200)
  expect(lines).toEqual([])
})

test('of an origin 200 characters are logged, and at most 100 origins', async () => {
  const { lines, http } = await server()
  const long = `https://${'x'.repeat(5_000)}.example`
  for (const end of ['', '/1', '/2']) await http('POST', { origin: long + end })
  expect(lines.map(({ origin }) => origin)).toEqual([long.slice(0, 200)])
  for (let i = 0; i < 120; i++) await http('POST', { origin: `https://${i}.example` })
  expect(lines).toHaveLength(101)
  expect(lines.at(-1)!.msg).toBe(
    'Web pages of 100 origins were refused. Further ones are refused without being logged.',
  )
})

test('`*` refuses and logs nobody', async () => {
  const { lines, http, socket } = await server('*')
  await http('POST', { origin: 'https://a.example' })
  expect(await socket('https://a.example')).toBe(101)
  expect(lines).toEqual([])
})
