import { parse } from 'graphql'
import { type Client, createClient } from 'graphql-ws'
import pino from 'pino'
import { afterEach } from 'vitest'
import WebSocket from 'ws'
import { commits } from '../../src/commit/commit.ts'
import { createContext } from '../../src/api/context.ts'
import { connect } from '../../src/database/client.ts'
import { defaultPool } from '../../src/database/pool.ts'
import { sessions, viewers } from '../../src/identity/viewer.ts'
import { following } from '../../src/journal/follow.ts'
import { Newest } from '../../src/journal/newest.ts'
import { Tail } from '../../src/journal/tail.ts'
import { Subscriptions, type SubscriptionsOptions } from '../../src/live/subscriptions.ts'
import { toSchema } from '../../src/server/schema.ts'
import { shownError } from '../../src/api/shownError.ts'
import { globalId } from '../api.ts'

/** What a subscription is told, as it comes. */
export interface Stream<Data = Record<string, never>> {
  /** All that has come so far. */
  readonly items: Data[]
  /** Why it ended, if it has. */
  readonly errors: unknown[]
  readonly ended: boolean
  /** Resolves when so many have come, or what has come satisfies; rejects if it ends before. */
  until(enough: number | ((items: readonly Data[]) => boolean), ms?: number): Promise<Data[]>
  /** Resolves when it has ended. */
  end(ms?: number): Promise<void>
  stop(): void
}

/** A client over WebSocket, as an application would have one. */
export function socketClient(
  url: string,
  token?: string,
  options: Partial<Parameters<typeof createClient>[0]> = {},
): Client {
  return createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: token ? { Authorization: `Bearer ${token}` } : {},
    retryAttempts: 0,
    lazy: true,
    ...options,
  })
}

/** Collects what a subscription is told. */
export function collect<Data>(
  begin: (sink: { next(value: Data): void; error(error: unknown): void; complete(): void }) => () => void,
): Stream<Data> {
  const items: Data[] = []
  const errors: unknown[] = []
  let ended = false
  let changed = () => {}
  const wait = async (done: () => boolean, ms: number, what: string) => {
    const late = performance.now() + ms
    while (!done()) {
      const left = late - performance.now()
      if (left <= 0)
        throw new Error(
          `${what}: not in ${ms} ms; ${items.length} items, the last of them ${JSON.stringify(items.slice(-3))}, ` +
            `errors ${JSON.stringify(errors)}`,
        )
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 1_000))
        changed = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  const stop = begin({
    next: (value) => {
      items.push(value)
      changed()
    },
    error: (error) => {
      errors.push(error)
      ended = true
      changed()
    },
    complete: () => {
      ended = true
      changed()
    },
  })
  return {
    items,
    errors,
    get ended() {
      return ended
    },
    async until(enough, ms = 25_000) {
      const done = typeof enough === 'number' ? () => items.length >= enough : () => enough(items)
      await wait(() => done() || ended, ms, 'until')
      if (!done()) throw new Error(`It ended after ${items.length} items: ${JSON.stringify(errors)}`)
      return items
    },
    end: (ms = 25_000) => wait(() => ended, ms, 'end'),
    stop,
  }
}

/** Subscribes over WebSocket. */
export const subscribe = <Data>(client: Client, query: string, variables: Record<string, unknown>): Stream<Data> =>
  collect<Data>((sink) =>
    client.subscribe<Data>(
      { query, variables },
      {
        next: ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data as Data)),
        error: sink.error,
        complete: sink.complete,
      },
    ),
  )

/** Subscribes over server-sent events. */
export const subscribeEvents = <Data>(
  url: string,
  query: string,
  variables: Record<string, unknown>,
  token?: string,
): Stream<Data> =>
  collect<Data>((sink) =>
    readEvents<Data>(url, query, variables, token, {
      ...sink,
      next: ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data as Data)),
    }),
  )

/** One result of an operation. */
export interface Result<Data> {
  readonly data?: Data | null
  readonly errors?: readonly Problem[]
}
export interface Problem {
  readonly message: string
  readonly path?: readonly (string | number)[]
  readonly extensions: { readonly code: string }
}
interface ResultSink<Data> {
  next(result: Result<Data>): void
  error(error: unknown): void
  complete(): void
}

/** Reads server-sent events; answers how to stop. */
export function readEvents<Data>(
  url: string,
  query: string,
  variables: Record<string, unknown>,
  token: string | undefined,
  sink: ResultSink<Data>,
): () => void {
  const abort = new AbortController()
  const read = async () => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables }),
      signal: abort.signal,
    })
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return sink.error(await response.json())
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const message = text.slice(0, end)
        text = text.slice(end + 2)
        const event = /^event: (.*)$/m.exec(message)?.[1]
        const data = /^data: ?(.*)$/m.exec(message)?.[1]
        if (event === 'next') sink.next(JSON.parse(data!) as Result<Data>)
        else if (event === 'complete') sink.complete()
      }
    }
    sink.complete()
  }
  read().catch((error) => (abort.signal.aborted ? sink.complete() : sink.error(error)))
  return () => abort.abort()
}

export type Transport = 'WebSocket' | 'server-sent events'
export const transports = ['WebSocket', 'server-sent events'] as const

/** Who watches, after what, and how. */
export interface Watching {
  readonly by?: { readonly token: string } | undefined
  readonly after?: string | null
  readonly over?: Transport
  readonly query?: string
  readonly variables?: Record<string, unknown>
  /** A connection that is there already; otherwise each has its own. */
  readonly client?: Client
}

/**
 * Watches as applications do, each over a connection of its own, until the test is over at the latest. The items are
 * what the one field of a subscription brings.
 */
export function watching(url: string) {
  const open: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of open.splice(0)) await close()
  })

  function connect(
    by: { readonly token: string } | undefined,
    options: Parameters<typeof socketClient>[2] = {},
  ): Client {
    const client = socketClient(url, by?.token, options)
    open.push(() => client.dispose())
    return client
  }

  /** Results as they come, errors and all. */
  function results<Data = Record<string, unknown>>(
    query: string,
    variables: Record<string, unknown>,
    { by, over, client }: Watching = {},
  ) {
    return collect<Result<Data>>((sink) => {
      if (over === 'server-sent events') {
        const stop = readEvents<Data>(url, query, variables, by?.token, sink)
        open.push(stop)
        return stop
      }
      const own = client ?? connect(by)
      const stop = own.subscribe<Data>(
        { query, variables },
        { ...sink, next: (result) => sink.next(result as Result<Data>) },
      )
      return () => {
        stop()
        if (!client) void own.dispose()
      }
    })
  }

  /** Items as they come; an error ends it. */
  function items<Item = Told>(query: string, variables: Record<string, unknown>, { by, over, client }: Watching = {}) {
    return collect<Item>((sink) => {
      const next = ({ data, errors }: Result<Record<string, Item>>) =>
        errors ? sink.error(errors) : sink.next(Object.values(data!)[0]!)
      if (over === 'server-sent events') {
        const stop = readEvents<Record<string, Item>>(url, query, variables, by?.token, { ...sink, next })
        open.push(stop)
        return stop
      }
      const own = client ?? connect(by)
      const stop = own.subscribe<Record<string, Item>>(
        { query, variables },
        { ...sink, next: (result) => next(result as never) },
      )
      return () => {
        stop()
        if (!client) void own.dispose()
      }
    })
  }

  const enrollment = (enrollmentId: string, { query = ENROLLMENT, after, variables, ...how }: Watching) =>
    items(query, { id: globalId('Enrollment', enrollmentId), ...(after !== undefined && { after }), ...variables }, how)
  const course = (courseId: string, { query = COURSE, after, variables, ...how }: Watching) =>
    items(query, { id: globalId('Course', courseId), ...(after !== undefined && { after }), ...variables }, how)

  /** One of the server's metrics, as it is now; 0 if it isn't there yet. */
  async function metric(name: string): Promise<number> {
    const line = (await (await fetch(`${url}/metrics`)).text()).split('\n').find((each) => each.startsWith(`${name} `))
    return Number(line?.slice(name.length + 1) ?? 0)
  }

  return { connect, results, items, enrollment, course, metric }
}

/** The parts that subscriptions are made of, put together as the server does, to be looked into. */
export function composed(
  w: { url: string; onClose(close: () => unknown): unknown },
  options: Partial<SubscriptionsOptions> = {},
) {
  const db = connect(w.url, { ...defaultPool, size: 2, max: 20 })
  const tail = new Tail({ url: w.url })
  const newest = new Newest()
  const followed = following({ db, tail, newest })
  const { commit, drained } = commits(db, { onCommit: () => tail.ring() })
  const surroundings = { db, commit, cursorOf: async () => '', newest, log: pino({ level: 'silent' }) }
  const subscriptions = new Subscriptions({
    ...{
      surroundings,
      tail,
      follow: followed.follow,
      sessionOf: sessions(db),
      room: () => true,
      bufferBytes: 1_000_000,
      perUser: 1_000,
    },
    shown: (error) => shownError(error, pino({ level: 'silent' })),
    ...options,
  })
  const viewerOf = viewers(db)
  const schema = toSchema()
  w.onClose(async () => {
    subscriptions.close()
    await drained()
    await tail.stop()
    await db.$disconnect()
  })

  /** Subscribes within the process. */
  function subscribe<Data = { enrollmentUpdates: Told; courseUpdates: Told }>(
    query: string,
    variableValues: object,
    { token }: { token: string },
  ) {
    return collect<Result<Data>>((sink) => {
      let stop = () => {}
      const run = async () => {
        const contextValue = createContext(surroundings, await viewerOf(`Bearer ${token}`), 'test')
        const args = { schema, document: parse(query), variableValues: { ...variableValues }, contextValue }
        const stream = await subscriptions.subscribe(args)
        if (!(Symbol.asyncIterator in stream)) return sink.error((stream as { errors: unknown }).errors)
        const each = stream[Symbol.asyncIterator]()
        stop = () => void each.return!()
        for (let next = await each.next(); !next.done; next = await each.next())
          sink.next(JSON.parse((next.value as unknown as { stringify(): string }).stringify()) as Result<Data>)
        sink.complete()
      }
      run().catch(sink.error)
      return () => stop()
    })
  }
  return { commit, tail, followed, subscriptions, subscribe }
}

/** The errors that a stream ended with, whichever way they came. */
export const problems = ({ errors }: Stream<unknown>): Problem[] =>
  errors.flat().flatMap((error) => (error as { errors?: Problem[] }).errors ?? [error as Problem])
/** Their codes. Of a connection that was closed, the number that it was closed with. */
export const codes = (stream: Stream<unknown>) =>
  problems(stream).map((problem) => problem.extensions?.code ?? (problem as { code?: number }).code)

export const versions = (items: readonly Told[]) => items.map(({ version }) => version)
/** All whole numbers from one to another. */
export const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)

/** The selection that tests watch with. */
export const ENROLLMENT = `
  subscription Watch($id: ID!, $after: Cursor) {
    enrollmentUpdates(enrollmentId: $id, after: $after) {
      __typename
      ... on EnrollmentSnapshot { reason cursor version
        enrollment { id version completedLessonCount lessonCount percent } progress { id
      status } }
      ... on EnrollmentChange { cursor version kind occurredAt actorId contentItemId
        enrollment { id version completedLessonCount
      lessonCount percent } lessonProgress { id status } }
      ... on SubscriberTooSlow { cursor message }
    }
  }`
export const COURSE = `
  subscription Class($id: ID!, $after: Cursor) {
    courseUpdates(courseId: $id, after: $after) {
      __typename
      ... on CourseSnapshot { reason cursor learnerCount completedLearnerCount percent changeCount }
      ... on CourseChange { cursor version kind occurredAt actorId contentItemId
        enrollment { id version completedLessonCount
      lessonCount percent } lessonProgress { id status } }
      ... on SubscriberTooSlow { cursor message }
    }
  }`

/** What those selections bring. */
export interface Told {
  readonly __typename: string
  readonly cursor: string
  readonly version: number
  readonly reason?: 'INITIAL' | 'CURSOR_EXPIRED' | 'HISTORY_REPLACED'
  readonly kind?: string
  readonly actorId?: string | null
  readonly contentItemId?: string | null
  readonly occurredAt?: string
  readonly message?: string
  readonly learnerCount?: number
  readonly changeCount?: number
  readonly completedLearnerCount?: number
  readonly percent?: number
  readonly enrollment: {
    readonly id: string
    readonly version: number
    readonly completedLessonCount: number
    readonly lessonCount: number
    readonly percent: number
  }
  readonly progress?: readonly { readonly id: string; readonly status: string }[]
  readonly lessonProgress?: { readonly id: string; readonly status: string } | null
}
