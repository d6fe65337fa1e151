import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { client, localIdOf, payload } from '../api.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'
import { demoServer, end, type Run, run } from './demoServer.ts'

const w = await world()
const learner = 'demo-learner-2'
let server: Awaited<ReturnType<typeof demoServer>>
let network: Awaited<ReturnType<typeof proxy>>
let example: Run

beforeAll(async () => {
  server = await demoServer(w.url)
  network = await proxy(server.url)
})

afterAll(async () => {
  await end(example)
  await network.close()
  await end(server)
})

interface Item {
  readonly __typename: string
  readonly version?: number
  readonly kind?: string
}

test('the client of the README misses nothing and receives nothing twice, whatever network and server do', async () => {
  const api = () => client(server.url)
  const query = '{ viewer { enrollments { edges { node { version availableLessons { nodes { id } } } } } } }'
  const answer = (await api().ask<{ viewer: Viewer }, object>(query, {}, learner)).data
  const [{ node }] = answer.viewer.enrollments.edges
  const lesson = localIdOf(node.availableLessons.nodes[0].id)
  const change = async () => {
    payload(await api().complete(learner, lesson))
    payload(await api().resetLesson(learner, lesson))
  }

  example = run(process.execPath, ['examples/resume.mjs', network.url.replace('http', 'ws')])
  const items = () =>
    example.printed
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Item)
  const until = (count: number) =>
    vi.waitFor(() => expect(items().length, example.printed).toBeGreaterThanOrEqual(count), { timeout: 40_000 })

  await until(1)
  await change()
  await until(3)
  for (const round of [1, 2]) {
    network.unreachable = true
    network.cut()
    await change()
    network.unreachable = false
    await until(4 * round + 1)
    await change()
    await until(4 * round + 3)
  }
  process.kill(-server.child.pid!, 'SIGKILL')
  await server.ended
  await sleep(7_000) // so long may it be gone
  server = await demoServer(w.url)
  network.target = server.url
  await change()
  await until(13)

  const [snapshot, ...changes] = items()
  expect(snapshot).toMatchObject({ __typename: 'CourseSnapshot', reason: 'INITIAL' })
  expect(changes.map(({ version }) => version)).toEqual(changes.map((_, i) => node.version + 1 + i))
  expect(changes.map(({ kind }) => kind)).toEqual(changes.map((_, i) => (i % 2 ? 'LESSON_RESET' : 'LESSON_COMPLETED')))
}, 120_000)

test('without access, it ends and says why', async () => {
  const refused = run(process.execPath, ['examples/resume.mjs', server.url.replace('http', 'ws'), learner])
  await refused.ended
  expect(refused.child.exitCode).toBe(1)
  expect(refused.printed).toContain('NOT_FOUND')
}, 60_000)

interface Viewer {
  readonly enrollments: {
    readonly edges: readonly [
      {
        readonly node: {
          readonly version: number
          readonly availableLessons: { readonly nodes: readonly [{ readonly id: string }] }
        }
      },
    ]
  }
}
