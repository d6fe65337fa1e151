import { type Client, createClient } from 'graphql-ws'
import WebSocket from 'ws'

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
export function socketClient(url: string, token?: string, options: Partial<Parameters<typeof createClient>[0]> = {}): Client {
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
export function collect<Data>(begin: (sink: { next(value: Data): void; error(error: unknown): void; complete(): void }) => () => void): Stream<Data> {
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
          `${what}: not in ${ms} ms; ${items.length} items, the last of them ${JSON.stringify(items.slice(-3))}, errors ${JSON.stringify(errors)}`,
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
    async until(enough, ms = 10_000) {
      const done = typeof enough === 'number' ? () => items.length >= enough : () => enough(items)
      await wait(() => done() || ended, ms, 'until')
      if (!done()) throw new Error(`It ended after ${items.length} items: ${JSON.stringify(errors)}`)
      return items
    },
    end: (ms = 10_000) => wait(() => ended, ms, 'end'),
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
export function subscribeEvents<Data>(url: string, query: string, variables: Record<string, unknown>, token?: string): Stream<Data> {
  return collect<Data>((sink) => {
    const abort = new AbortController()
    const read = async () => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...(token && { authorization: `Bearer ${token}` }) },
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
          if (event === 'next') {
            const result = JSON.parse(data!) as { data?: Data; errors?: unknown }
            if (result.errors) sink.error(result.errors)
            else sink.next(result.data as Data)
          } else if (event === 'complete') sink.complete()
        }
      }
      sink.complete()
    }
    read().catch((error) => (abort.signal.aborted ? sink.complete() : sink.error(error)))
    return () => abort.abort()
  })
}

/** The selection that tests watch with. */
export const ENROLLMENT = `
  subscription Watch($id: ID!, $after: Cursor) {
    enrollmentUpdates(enrollmentId: $id, after: $after) {
      __typename
      ... on EnrollmentSnapshot { why cursor version enrollment { id version completed total percent } lessons { id status } }
      ... on EnrollmentChange { cursor version kind occurredAt actorId enrollment { id version completed total percent } lesson { id status } }
      ... on StreamLagging { cursor message }
    }
  }`
export const COURSE = `
  subscription Class($id: ID!, $after: Cursor) {
    courseUpdates(courseId: $id, after: $after) {
      __typename
      ... on CourseSnapshot { why cursor learners completed percent }
      ... on CourseChange { cursor version kind occurredAt actorId enrollment { id version completed total percent } lesson { id status } }
      ... on StreamLagging { cursor message }
    }
  }`

/** What those selections bring. */
export interface Told {
  readonly __typename: string
  readonly cursor: string
  readonly version: number
  readonly why?: 'FIRST' | 'RESUMED_TOO_LATE' | 'OTHER_EPOCH'
  readonly kind?: string
  readonly actorId?: string
  readonly learners?: number
  readonly completed?: number
  readonly percent?: number
  readonly enrollment: { readonly id: string; readonly version: number; readonly completed: number; readonly total: number; readonly percent: number }
  readonly lessons?: readonly { readonly id: string; readonly status: string }[]
  readonly lesson?: { readonly id: string; readonly status: string } | null
}
