import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { execute, type ExecutionArgs, parse } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import pino from 'pino'
import { WebSocketServer } from 'ws'
import type { Actor } from '../src/commit/aggregate.ts'
import type { Commit } from '../src/commit/commit.ts'
import { parseConfig } from '../src/operator/config.ts'
import { createContext, type Surroundings } from '../src/api/context.ts'
import { eventOf } from '../src/journal/event.ts'
import type { ChangeItem } from '../src/journal/follow.ts'
import { completeLesson } from '../src/learning/completeLesson.ts'
import { toSchema } from '../src/server/schema.ts'
import { startServer } from '../src/server/server.ts'
import type { Answer, Told } from './crowd.ts'
import { createWorld, ENROLLMENTS, LESSONS } from './world.ts'

// npm run bench -- live [--rounds 3]: one event, and bursts of 32, to many WebSocket subscribers of one enrollment,
// beside raw ws that sends the same bytes and plain graphql-ws that executes for each, all in one run; and how long a
// commit takes to reach a client.
const rounds = Number(process.argv[process.argv.indexOf('--rounds') + 1]) || 3
const crowds = [100, 1_000, 5_000]
const BURST = 32

const document = `subscription Watch($id: ID!) { enrollmentUpdates(enrollmentId: $id) { __typename
  ... on EnrollmentSnapshot { cursor version }
  ... on EnrollmentChange { cursor version kind occurredAt actorId
    enrollment { id version completedLessonCount lessonCount percent } lessonProgress { id status completedAt } } } }`
const feed = `subscription Class($id: ID!) { courseUpdates(courseId: $id) { __typename
  ... on CourseSnapshot { cursor learnerCount }
  ... on CourseChange { cursor version kind occurredAt enrollment { id version completedLessonCount percent } } } }`
const globalId = (typename: string, id: string) => Buffer.from(`${typename}:${id}`).toString('base64')
const enrollmentId = globalId('Enrollment', 'u0.c')

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!
const at = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!
const ms = (from: bigint, to: bigint) => Number(to - from) / 1e6

const world = await createWorld()
await world.reset()
const child = fork(new URL('crowd.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
const answers: Answer[] = []
let answered = () => {}
child.on('message', (answer: Answer) => {
  answers.push(answer)
  answered()
})
const crowd = {
  tell: (told: Told) => child.send(told),
  async answer<Did extends Answer['did']>(did: Did): Promise<Extract<Answer, { did: Did }>> {
    const late = setTimeout(() => {
      console.error(`The crowd has not answered '${did}' for a minute.`)
      process.exit(1)
    }, 60_000)
    for (;;) {
      const at = answers.findIndex((answer) => answer.did === did)
      if (at >= 0) {
        clearTimeout(late)
        return answers.splice(at, 1)[0] as Extract<Answer, { did: Did }>
      }
      await new Promise<void>((resolve) => (answered = resolve))
    }
  },
  async ask<Did extends Answer['did']>(told: Told, did: Did) {
    crowd.tell(told)
    return crowd.answer(did)
  },
}

/** One way to push to many. */
interface Pusher {
  readonly port: number
  readonly path: string
  readonly protocol?: string
  messages(n: number): string[]
  /** Pushes so many events; answers when they were published. */
  push(count: number): Promise<bigint>
  close(): Promise<unknown>
}

let n = 0
const learner: Actor = { id: 'u0', role: 'LEARNER' }
const complete = (commit: Commit, actor = learner) => {
  n++
  return commit(completeLesson, {
    actor,
    input: { learnerId: actor.id, lessonId: `c.l${1 + (n % LESSONS)}` },
    key: randomUUID(),
  })
}

async function lockstep(environment: Record<string, string> = {}): Promise<Pusher & { commit: Commit }> {
  const config = parseConfig({
    PORT: '0',
    DATABASE_POOL_SIZE: '4',
    DATABASE_POOL_MAX: '12',
    LIVE_SUBSCRIPTIONS_PER_USER: '10000',
    ...environment,
  })
  const server = await startServer({ config, log: pino({ level: 'warn' }, pino.destination(2)) })
  const commit = await server.open({ databaseUrl: world.url, demo: false })
  return {
    commit,
    port: server.address.port,
    path: '/graphql',
    protocol: 'graphql-transport-ws',
    messages: () => [
      JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer token-u0' } }),
      JSON.stringify({
        id: randomUUID(),
        type: 'subscribe',
        payload: { query: document, variables: { id: enrollmentId } },
      }),
    ],
    async push(count) {
      await Promise.all(Array.from({ length: count }, () => complete(commit)))
      return process.hrtime.bigint()
    },
    close: () => server.drain(),
  }
}

/** An event as the journal bears it, to be sent by those who have none. */
const [{ event }] = await (async () => {
  const { EVENT_COLUMNS } = await import('../src/journal/event.ts')
  const one = await lockstep()
  await one.push(1)
  await one.close()
  return (
    await world.admin.query(`select ${EVENT_COLUMNS.sql} as event from "Event" e where "rootId" = 'u0.c' limit 1`)
  ).rows
})()
const sample = eventOf(event)
const itemOf = (version: number): ChangeItem => ({
  is: 'change',
  cursor: 'WzEsIm9OdnBZcWtxIiwiRW5yb2xsbWVudCIsInUwLmMiLDJd',
  version,
  event: { ...sample, version, view: { ...sample.view, version } },
})
const schema = toSchema()
const viewer = { id: 'u0', role: 'LEARNER' as const, sessionId: 's0', expiresAt: new Date(Date.now() + 1e8) }

/** graphql-ws as its documentation has it: each subscriber iterates, executes, and serializes. */
async function plain(): Promise<Pusher> {
  const http = createServer().listen(0, '127.0.0.1')
  await once(http, 'listening')
  const wss = new WebSocketServer({ server: http, path: '/graphql' })
  const listeners = new Set<(item: ChangeItem) => void>()
  const subscribe = async function* (args: ExecutionArgs) {
    const queue = [itemOf(1)] // as ours begins with the present
    let rung = () => {}
    const hear = (item: ChangeItem) => {
      queue.push(item)
      rung()
    }
    listeners.add(hear)
    try {
      for (;;) {
        const item = queue.shift()
        if (item)
          yield await execute({
            ...args,
            rootValue: item,
            contextValue: createContext({} as Surroundings, viewer, 'x'),
          })
        else await new Promise<void>((resolve) => (rung = resolve))
      }
    } finally {
      listeners.delete(hear)
    }
  }
  const parsed = parse(document)
  useServer(
    {
      onSubscribe: (_, __, { variables }) => ({ schema, document: parsed, variableValues: variables }),
      subscribe: subscribe as never,
    },
    wss,
  )
  return {
    port: (http.address() as AddressInfo).port,
    path: '/graphql',
    protocol: 'graphql-transport-ws',
    messages: () => [
      JSON.stringify({ type: 'connection_init' }),
      JSON.stringify({
        id: randomUUID(),
        type: 'subscribe',
        payload: { query: document, variables: { id: enrollmentId } },
      }),
    ],
    async push(count) {
      const begun = process.hrtime.bigint()
      for (let i = 0; i < count; i++) {
        const item = itemOf(i + 2)
        for (const hear of listeners) hear(item)
      }
      return begun
    },
    close: async () => {
      for (const client of wss.clients) client.terminate()
      wss.close()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** The least that can be done: the same bytes to each socket. */
async function raw(): Promise<Pusher> {
  const http = createServer().listen(0, '127.0.0.1')
  await once(http, 'listening')
  const wss = new WebSocketServer({ server: http, path: '/graphql', perMessageDeflate: false })
  const item = itemOf(2)
  const result = await execute({
    schema,
    document: parse(document),
    variableValues: { id: enrollmentId },
    rootValue: item,
    contextValue: createContext({} as Surroundings, viewer, 'x'),
  })
  const message = JSON.stringify({ id: randomUUID(), type: 'next', payload: result })
  return {
    port: (http.address() as AddressInfo).port,
    path: '/graphql',
    messages: () => [],
    async push(count) {
      const begun = process.hrtime.bigint()
      for (let i = 0; i < count; i++) for (const client of wss.clients) client.send(message)
      return begun
    },
    close: async () => {
      for (const client of wss.clients) client.terminate()
      wss.close()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

const heap = () => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const pushers = { Lockstep: lockstep, 'raw ws': raw, 'plain graphql-ws': plain }
type Name = keyof typeof pushers
interface Result {
  readonly one: number[]
  readonly burst: number[]
  readonly bytes: number[]
}
const found = new Map<string, Result>()

console.log(
  `${rounds} rounds; Node ${process.version}; the subscribers are a process of their own. ` +
    'Times in ms, from when an event was published to when its last subscriber had it.\n',
)
for (let round = 1; round <= rounds; round++) {
  for (const size of crowds) {
    for (const name of Object.keys(pushers) as Name[]) {
      const pusher = await pushers[name]()
      const { port, path, protocol } = pusher
      const before = heap()
      await crowd.ask(
        {
          do: 'connect',
          port,
          path,
          ...(protocol && { protocol }),
          send: Array.from({ length: size }, () => pusher.messages(2)),
        },
        'connect',
      )
      const bytes = (heap() - before) / size
      const reach = async (count: number) => {
        crowd.tell({ do: 'expect', count: count * size })
        await sleep(30)
        const published = await pusher.push(count)
        return ms(published, BigInt((await crowd.answer('arrived')).at))
      }
      const times = async (count: number, events: number) => {
        const result: number[] = []
        for (let i = 0; i < count; i++) result.push(await reach(events))
        return result
      }
      await times(10, 1)
      const one = await times(size > 1_000 ? 10 : 25, 1)
      const burst = await times(size > 1_000 ? 2 : 5, BURST)
      await crowd.ask({ do: 'leave' }, 'leave')
      await pusher.close()
      const key = `${size} | ${name}`
      const all = found.get(key) ?? { one: [], burst: [], bytes: [] }
      found.set(key, { one: [...all.one, ...one], burst: [...all.burst, ...burst], bytes: [...all.bytes, bytes] })
      console.log(
        `  ${String(size).padStart(5)}  ${name.padEnd(17)} one: p50 ${median(one).toFixed(1).padStart(7)}` +
          `  p99 ${at(one, 0.99).toFixed(1).padStart(7)}   ${BURST}: p50 ${median(burst).toFixed(0).padStart(6)}`,
      )
    }
  }
}

/** How long after its commit an event reaches a client that watches the class, at a rate. */
async function latency(rate: number, seconds: number): Promise<number[]> {
  await world.reset()
  const server = await lockstep()
  await world.admin.query(
    `insert into "CourseInstructor" values ('c', 'u1') on conflict do nothing;
      update "User" set role = 'INSTRUCTOR' where id = 'u1'`,
  )
  const init = JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer token-u1' } })
  const subscribe = JSON.stringify({
    id: '1',
    type: 'subscribe',
    payload: { query: feed, variables: { id: globalId('Course', 'c') } },
  })
  await crowd.ask(
    { do: 'connect', port: server.port, path: '/graphql', protocol: 'graphql-transport-ws', send: [[init, subscribe]] },
    'connect',
  )
  await crowd.ask({ do: 'watch' }, 'seen')
  const committed = new Map<string, bigint>()
  const flying: Promise<unknown>[] = []
  const start = performance.now()
  for (let due = start; due < start + seconds * 1_000; ) {
    due += (-Math.log(1 - Math.random()) / rate) * 1_000
    if (due > performance.now() + 1) await sleep(due - performance.now())
    const id = `u${2 + ((n * 7_919) % (ENROLLMENTS - 1))}`
    flying.push(
      complete(server.commit, { id, role: 'LEARNER' }).then(({ version }) =>
        committed.set(`${globalId('Enrollment', `${id}.c`)} ${version}`, process.hrtime.bigint()),
      ),
    )
  }
  await Promise.all(flying)
  await sleep(500)
  const { messages } = await crowd.ask({ do: 'watch' }, 'seen')
  await crowd.ask({ do: 'leave' }, 'leave')
  await server.close()
  const took: number[] = []
  for (const [time, text] of messages) {
    const { enrollment, version } = JSON.parse(text).payload.data.courseUpdates
    const key = `${enrollment.id} ${version}`
    took.push(ms(committed.get(key)!, BigInt(time)))
    committed.delete(key)
  }
  if (committed.size) throw new Error(`${committed.size} events never came`)
  return took
}

const latencies = new Map<number, number[]>()
for (let round = 1; round <= rounds; round++)
  for (const rate of [20, 1_000])
    latencies.set(rate, [...(latencies.get(rate) ?? []), ...(await latency(rate, rate < 100 ? 8 : 4))])

console.log('\nMedians of all rounds\n')
const perSecond = (deliveries: number, ms: number) => String(Math.round((deliveries / ms) * 1_000)).padStart(7)
for (const [key, { one, burst, bytes }] of found) {
  const [size, name] = key.split(' | ') as [string, Name]
  console.log(
    `  ${size.padStart(5)}  ${name.padEnd(17)} one: ${perSecond(Number(size), median(one))} deliveries/s, ` +
      `p50 ${median(one).toFixed(1).padStart(6)}, p99 ${at(one, 0.99).toFixed(1).padStart(6)} ms` +
      `   ${BURST}: ${perSecond(Number(size) * BURST, median(burst))} deliveries/s, ` +
      `p50 ${median(burst).toFixed(0).padStart(5)} ms` +
      (globalThis.gc ? `   ${(median(bytes) / 1_024).toFixed(1)} KiB a subscriber` : ''),
  )
}
for (const [rate, took] of latencies)
  console.log(
    `  commit to client at ${rate}/s: p50 ${median(took).toFixed(2)}, ` +
      `p99 ${at(took, 0.99).toFixed(2)} ms (${took.length} events)`,
  )

const ratio = (size: number, other: Name, field: 'one' | 'burst') =>
  median(found.get(`${size} | ${other}`)![field]) / median(found.get(`${size} | Lockstep`)![field])
const goals: [string, number, boolean, number | undefined][] = [
  ['1,000: deliveries per second, one event, to plain graphql-ws', ratio(1_000, 'plain graphql-ws', 'one'), true, 3],
  ['1,000: deliveries per second, one event, to raw ws', ratio(1_000, 'raw ws', 'one'), true, 0.7],
  [
    '1,000: deliveries per second, bursts of 32, to plain graphql-ws',
    ratio(1_000, 'plain graphql-ws', 'burst'),
    true,
    3,
  ],
  ['1,000: deliveries per second, bursts of 32, to raw ws', ratio(1_000, 'raw ws', 'burst'), true, 0.7],
  ['commit to client at 20/s, p50 in ms', median(latencies.get(20)!), false, 2],
  ['commit to client at 1,000/s, p50 in ms', median(latencies.get(1_000)!), false, 2],
]
console.log('\nRatios\n')
for (const [what, value, more, goal] of goals) {
  const isReached = more ? value >= goal! : value <= goal!
  console.log(
    `  ${value.toFixed(2).padStart(6)}  ${what}; wanted: at ${more ? 'least' : 'most'} ${goal}` +
      (isReached ? '' : '  ← not reached here'),
  )
}
child.kill()
await world.close()
process.exit()
