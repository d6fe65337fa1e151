import net from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { persistentFetch, resumingSocket } from '../../examples/network.mjs'
import type { LessonState } from '../../src/learning/courseAggregate.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { reviseCourse } from '../../src/learning/reviseCourse.ts'
import { academy, system } from '../academy.ts'
import { globalId, serve } from '../api.ts'
import { range } from '../live/client.ts'
import { world } from '../world.ts'
import { answers } from './answers.ts'

const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const server = await serve(w, { LIVE_BUFFER_BYTES: '65536' })

const COMPLETE = `mutation ($input: CompleteLessonInput!) {
  completeLesson(input: $input) { __typename ... on Payload { version replayed } }
}`

async function learning() {
  const [learner, lessons] = [await person(), await course(2)]
  await server.enroll(learner.token, lessons.id)
  return { ...learner, lessons, enrollmentId: enrollmentOf(learner.id, lessons.id) }
}

/** Sends an operation as clients do over HTTP. */
async function send(url: string, token: string, query: string, variables: object) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  const response = await persistentFetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  return response.json()
}

test('a mutation with a key, and a query, are sent again until they are answered', async () => {
  const { token, lessons } = await learning()
  const slow = await answers(`${server.url}/graphql`)
  onTestFinished(() => void slow.close())
  slow.losing = 2
  const input = { lessonId: globalId('Lesson', lessons.lesson(1)), idempotencyKey: 'once' }
  expect(await send(slow.url, token, COMPLETE, { input })).toMatchObject({
    data: { completeLesson: { version: 2, replayed: true } },
  })
  slow.losing = 1
  expect(await send(slow.url, token, '{ viewer { role } }', {})).toEqual({ data: { viewer: { role: 'LEARNER' } } })
  expect(slow.requests).toBe(5)
})

test('a mutation without a key is sent once', async () => {
  const { token, lessons } = await learning()
  const slow = await answers(`${server.url}/graphql`)
  onTestFinished(() => void slow.close())
  slow.losing = 1
  const input = { lessonId: globalId('Lesson', lessons.lesson(1)) }
  await expect(send(slow.url, token, COMPLETE, { input })).rejects.toThrow()
  expect(slow.requests).toBe(1)
})

interface Item {
  readonly __typename: string
  readonly version?: number
}

/** The items of an enrollment's stream, and the reason if it ends. */
function watching(client: ReturnType<typeof resumingSocket>, enrollmentId: string, fields: string) {
  const items: Item[] = []
  const errors: unknown[] = []
  const query = `subscription ($id: ID!, $after: Cursor) { enrollmentUpdates(enrollmentId: $id, after: $after) {
    __typename
    ... on StreamItem { cursor }
    ... on EnrollmentSnapshot { version }
    ... on EnrollmentChange { version enrollment { id ${fields} } }
  } }`
  const stop = client.subscribe(
    { query, variables: { id: globalId('Enrollment', enrollmentId), after: null } },
    {
      next: ({ data }: { data: { enrollmentUpdates: Item } }) => items.push(data.enrollmentUpdates),
      error: (error: unknown) => errors.push(error),
      complete() {},
    },
  )
  onTestFinished(stop)
  const versions = () => items.flatMap(({ version }) => version ?? [])
  const until = (version: number) =>
    vi.waitUntil(() => errors.length > 0 || versions().at(-1)! >= version, { timeout: 30_000, interval: 5 })
  return { items, errors, versions, until }
}

const socketOf = (url: string) => new URL('/graphql', url.replace('http', 'ws')).href

test('a socket on which nothing arrives any more is given up, and the stream goes on over another', async () => {
  const { token, lessons, enrollmentId } = await learning()
  const pipe = await pausable(server.url)
  const { versions, until } = watching(resumingSocket(socketOf(pipe.url), token, 500), enrollmentId, 'percent')
  await until(1)
  pipe.pause()
  await server.complete(token, lessons.lesson(1))
  await server.complete(token, lessons.lesson(2))
  await until(4)
  expect(versions()).toEqual(range(1, 4))
})

test('a stream that ended because its reader was too slow goes on at its cursor', async () => {
  const { token, lessons, enrollmentId } = await learning()
  const states = range(1, 2).map((n): [string, LessonState] => [
    lessons.lesson(n),
    { slug: `${n}`, position: n, title: `${n}`.padEnd(200_000, '.'), active: true, requires: [], contents: {} },
  ])
  const { id: courseId, slug } = lessons
  const input = { courseId, slug, title: slug, description: '', lessons: Object.fromEntries(states) }
  await commit(reviseCourse, { actor: system, input })
  const pipe = await pausable(server.url)
  const client = resumingSocket(socketOf(pipe.url), token)
  const { items, versions, until } = watching(client, enrollmentId, 'availableLessons { nodes { title } }')
  await until(1)
  pipe.pause()
  const first = versions().at(-1)!
  const rounds = 40 // 400 kB each: more than the buffers between us
  for (const _ of range(1, rounds)) {
    await server.complete(token, lessons.lesson(1))
    await server.resetLesson(token, lessons.lesson(1))
  }
  pipe.resume()
  await until(first + 2 * rounds)
  expect(items.filter(({ __typename }) => __typename === 'SubscriberTooSlow').length).toBeGreaterThan(0)
  expect(versions()).toEqual(range(first, first + 2 * rounds))
}, 120_000)

/** A connection that can stop carrying, so that what is sent waits at the sender. */
async function pausable(target: string) {
  const { hostname, port } = new URL(target)
  const pairs: [net.Socket, net.Socket][] = []
  const listener = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname)
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.pipe(upstream)
    upstream.pipe(client)
    pairs.push([client, upstream])
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    listener.close()
    for (const socket of pairs.flat()) socket.destroy()
  })
  return {
    url: `http://127.0.0.1:${(listener.address() as net.AddressInfo).port}`,
    pause() {
      for (const [client, upstream] of pairs) upstream.unpipe(client).pause()
    },
    resume() {
      for (const [client, upstream] of pairs) upstream.pipe(client)
    },
  }
}
