import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { range, versions } from '../live/client.ts'
import { launch } from '../live/fleet.ts'
import { graphqlSse, graphqlWs, recommended, watch } from './plainClient.ts'
import { guarded, record, watch as watchWithRelay } from './relayClient.ts'
import { scene } from './scene.ts'

const s = await scene()

test('a server that is gone for 7 seconds and comes back: streams go on at their cursor; nothing is missed, nothing ' +
  'comes twice. Only graphql-ws with its default options gives up', async () => {
  const first = await launch(s.url)
  s.onClose(() => first.stop())
  const { enrollment, change, ...learner } = await s.learner(first.url)
  const place = { ...learner, url: first.url }
  const clients = {
    'graphql-ws with its defaults': graphqlWs(place),
    'graphql-ws': graphqlWs(place, recommended.graphqlWs),
    'graphql-sse': graphqlSse(place, recommended.graphqlSse),
  }
  const relay = guarded(place)
  const streams = Object.entries(clients).map(([name, client]) => ({ name, stream: watch(client, enrollment) }))
  streams.push({ name: 'Relay', stream: watchWithRelay(relay, enrollment) })
  for (const { stream } of streams) await stream.until(1)
  await change(2)
  for (const { stream } of streams) await stream.until(3)

  await first.stop()
  await Promise.all([change(3), sleep(7_000)])
  const again = await launch(s.url, { PORT: new URL(first.url).port })
  s.onClose(() => again.stop())

  const [impatient, ...others] = streams
  for (const { stream } of others) await stream.until(6)
  await change()
  for (const { name, stream } of others) {
    expect(versions(await stream.until(7)), name).toEqual(range(1, 7))
    stream.stop()
  }
  expect(record(relay, enrollment)).toMatchObject({ version: 7 })
  expect(impatient!.stream.ended).toBe(true)
  expect((impatient!.stream.errors[0] as Error).message).toContain('ECONNREFUSED')
}, 90_000)
