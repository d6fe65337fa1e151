import { randomUUID } from 'node:crypto'
import { type ClientOptions as SseOptions, createClient as createSseClient } from 'graphql-sse'
import { type ClientOptions, createClient as createWsClient } from 'graphql-ws'
import { describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { collect, ENROLLMENT, range, type Result, type Stream, type Told, versions } from '../live/client.ts'
import type { Learner, Scene } from './scene.ts'

/** What the clients of graphql-ws and graphql-sse have in common. Neither has a cache. */
export interface PlainClient {
  subscribe<Data>(
    request: { query: string; variables: Record<string, unknown> },
    sink: { next(result: Result<Data>): void; error(error: unknown): void; complete(): void },
  ): () => void
  dispose(): unknown
}

const attempts = { retryAttempts: Number.POSITIVE_INFINITY }
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 500 + 1_000 * Math.random()))

/** The options that docs/protocol.md recommends. */
export const recommended = {
  graphqlWs: { ...attempts, shouldRetry: () => true, retryWait: pause },
  graphqlSse: { ...attempts, retry: pause },
}

type Place = Pick<Learner, 'url' | 'token'>

export const graphqlWs = ({ url, token }: Place, options: Partial<ClientOptions> = {}): PlainClient =>
  createWsClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
    ...options,
  }) as PlainClient // an error in its results need not have a code

export const graphqlSse = ({ url, token }: Place, options: Partial<SseOptions> = {}): PlainClient =>
  createSseClient({ url: `${url}/graphql`, headers: { Authorization: `Bearer ${token}` }, ...options }) as PlainClient

/** The only result of a query or a mutation. */
export const answer = <Data>(client: PlainClient, query: string, variables: Record<string, unknown>) =>
  new Promise<Result<Data>>((next, error) =>
    client.subscribe<Data>({ query, variables }, { next, error, complete() {} }),
  )

/** Watches an enrollment. Both clients send the variables again when they reconnect, so the cursor is kept in them. */
export function watch(client: PlainClient, enrollment: string): Stream<Told> {
  const variables = { id: enrollment, after: null as string | null }
  return collect<Told>((sink) =>
    client.subscribe<{ enrollmentUpdates: Told }>(
      { query: ENROLLMENT, variables },
      {
        ...sink,
        next({ data, errors }) {
          if (!data) return sink.error(errors)
          variables.after = data.enrollmentUpdates.cursor
          sink.next(data.enrollmentUpdates)
        },
      },
    ),
  )
}

const READ = 'query Read($id: ID!) { enrollment(id: $id) { id version percent } }'
const COMPLETE = `
  mutation Complete($input: CompleteLessonInput!) {
    completeLesson(input: $input) {
      __typename
      ... on CompleteLessonPayload { version replayed enrollment { id version } }
      ... on DomainError { code message }
    }
  }`

/** The tests that such a client must pass at a server. The server's absence is in absence.test.ts. */
export function testsOf(name: string, s: Scene, server: string, connect: (place: Place) => PlainClient): void {
  async function connected() {
    const learner = await s.learner(server)
    const client = connect(learner)
    s.onClose(() => client.dispose())
    return { client, learner, enrollment: learner.enrollment }
  }

  // each has a learner and a network of its own; mostly they wait for the client to try again
  describe.concurrent(name, () => {
    test('gets the answer to a query with variables', async () => {
      const { client, enrollment } = await connected()
      expect(await answer(client, READ, { id: enrollment })).toEqual({
        data: { enrollment: { id: enrollment, version: 1, percent: 0 } },
      })
    })

    test('sends a mutation again by itself when the answer is lost, and gets it as a replay: one event', async () => {
      const { client, learner } = await connected()
      const lost = learner.network.atAnswer('CompleteLessonPayload', 'lose')
      const input = { lessonId: learner.lesson(1), idempotencyKey: randomUUID() }
      const result = answer(client, COMPLETE, { input })
      await lost
      expect(await result).toMatchObject({ data: { completeLesson: { version: 2, replayed: true } } })
      expect((await learner.history()).map(({ kind }) => kind)).toEqual(['enrolled', 'lessonCompleted'])
    })

    test('receives a snapshot, then each change in order', async () => {
      const { client, learner, enrollment } = await connected()
      const stream = watch(client, enrollment)
      await stream.until(1)
      await learner.change(5)
      const [snapshot, ...changes] = await stream.until(6)
      expect(snapshot).toMatchObject({ __typename: 'EnrollmentSnapshot', reason: 'INITIAL', version: 1 })
      expect(versions(changes)).toEqual(range(2, 6))
      expect(changes.map(({ kind }) => kind)).toEqual(
        changes.map((_, i) => (i % 2 ? 'LESSON_RESET' : 'LESSON_COMPLETED')),
      )
      stream.stop()
    })

    test('goes on at its cursor after its connection is killed: nothing is missed, nothing comes twice', async () => {
      const { client, learner, enrollment } = await connected()
      const stream = watch(client, enrollment)
      await stream.until(1)
      await learner.change(2)
      await stream.until(3)
      learner.network.cut()
      await learner.change(3)
      await stream.until(6)
      await learner.change()
      expect(versions(await stream.until(7))).toEqual(range(1, 7))
      stream.stop()
    })
  })
}
