import { parse } from 'graphql'
import { type ClientOptions, createClient } from 'graphql-ws'
import { vi } from 'vitest'
import WebSocket from 'ws'
import { fetcher } from '../../src/graphiql/browser/fetcher.js'
import type { Problem, Told } from '../live/client.ts'

/** What GraphiQL shows of a subscription. */
export interface Shown {
  readonly connection: string
  readonly received: number
  readonly errors?: readonly Problem[]
  readonly newestFirst: readonly { readonly data: Readonly<Record<string, Told>> }[]
}

/** What a tab of GraphiQL has. */
export interface Content {
  readonly query: string
  readonly variables?: Record<string, unknown>
  readonly headers?: Record<string, string>
}

/** A tab of GraphiQL in which a subscription runs. */
export interface Watching {
  /** As it is shown now. */
  readonly shown: Shown
  /** How the connection has been, without repetitions. */
  readonly connections: readonly string[]
  /** All items that were shown, the oldest first. */
  readonly items: readonly Told[]
  /** No more will come. */
  readonly isComplete: boolean
  until(condition: (watching: Watching) => boolean, timeout?: number): Promise<void>
  stop(): void
}

/** Runs operations of this server as GraphiQL in a browser does. `on` hears of the WebSockets. */
export function tab(url: string, on: ClientOptions['on'] = {}) {
  const run = fetcher({
    url: `${url}/graphql`,
    createClient: (options) => createClient({ ...options, on }),
    webSocketImpl: WebSocket,
  })
  const start = ({ query, variables, headers = {} }: Content) =>
    run({ query, variables }, { headers, documentAST: parse(query) })

  async function ask<Data = Record<string, Record<string, unknown>>>(content: Content) {
    return (await start(content)) as { readonly data: Data; readonly errors?: readonly Problem[] }
  }

  function watch(content: Content): Watching {
    const started = start(content)
    if (!('subscribe' in started)) throw new Error('This is no subscription.')
    const connections: string[] = []
    const items: Told[] = []
    const watching = {
      shown: { connection: '', received: 0, newestFirst: [] } as Shown,
      connections,
      items,
      isComplete: false,
      stop: () => unsubscribe(),
      until: (condition: (watching: Watching) => boolean, timeout = 20_000) =>
        vi.waitFor(
          () => {
            if (!condition(watching)) throw new Error(`Not yet: ${JSON.stringify(watching.shown)}`)
          },
          { timeout, interval: 20 },
        ),
    }
    const { unsubscribe } = started.subscribe({
      next(shown) {
        watching.shown = shown as Shown
        const { connection, received, newestFirst } = watching.shown
        if (connections.at(-1) !== connection) connections.push(connection)
        if (received > items.length) items.push(Object.values(newestFirst[0]!.data)[0]!)
      },
      complete: () => (watching.isComplete = true),
    })
    return watching
  }

  return { ask, watch }
}

/** The headers of a tab. */
export const as = ({ token }: { readonly token: string }) => ({ Authorization: `Bearer ${token}` })
