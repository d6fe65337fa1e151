import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { bind } from '../../src/command/address.ts'
import { parseConfig } from '../../src/operator/config.ts'
import { startServer } from '../../src/server/server.ts'

test('a request that arrives before the server is loaded is answered, and a second server is refused', async () => {
  const config = parseConfig({ PORT: '0' })
  const listener = await bind(config)
  const { port } = listener.server.address() as { port: number }
  const early = fetch(`http://127.0.0.1:${port}/livez`)
  await expect(bind({ ...config, port })).rejects.toThrow(`Port ${port} at 127.0.0.1 is in use`)

  const server = await startServer({ config, log: pino({ level: 'silent' }), listener })
  onTestFinished(() => server.drain())
  expect(server.address.port).toBe(port)
  expect(await (await early).text()).toBe('alive\n')
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503)
  await expect(bind({ ...config, port })).rejects.toThrow(`Port ${port} at 127.0.0.1 is in use`)
})
