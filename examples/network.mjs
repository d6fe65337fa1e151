// What a client of Lockstep does about its network. Needs: npm install graphql-ws ws
import { createClient } from 'graphql-ws'
import ws from 'ws'

globalThis.WebSocket ??= ws // browsers have their own, and so has Node 22

/** Waits before the next try: at first briefly, then longer, at most 10 seconds, and never as long as others do. */
const pause = (tries) => new Promise((done) => setTimeout(done, Math.random() * Math.min(1_000 * 2 ** tries, 10_000)))

/**
 * `fetch` that sends a request again when no answer arrives, until one does. It repeats only what may be repeated:
 * queries, and mutations with an idempotency key. The answer to a repeated mutation has `replayed: true`.
 */
export async function persistentFetch(url, init) {
  const { query, variables } = JSON.parse(init.body)
  const isRepeatable = variables?.input?.idempotencyKey || !/\bmutation\b/.test(query)
  for (let tries = 0; ; tries++)
    try {
      const response = await fetch(url, init)
      const body = await response.text() // the connection may be lost in the middle of it
      if (![502, 503, 504].includes(response.status) || !isRepeatable) return new Response(body, response)
      await pause(tries)
    } catch (error) {
      if (!isRepeatable || init.signal?.aborted) throw error
      await pause(tries)
    }
}

/**
 * A client of graphql-ws that tries for good. A subscription continues at the cursor of its last item, if its document
 * has a variable `$after`. Give mutations a key here too: graphql-ws sends them again when it reconnects.
 */
export function resumingSocket(url, token, keepAlive = 10_000) {
  let silence
  const client = createClient({
    url,
    connectionParams: { Authorization: `Bearer ${token}` },
    shouldRetry: () => true, // also while the server restarts
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: pause,
    keepAlive,
    on: {
      // a network that has died tells nobody: a ping without an answer does
      ping: (isReceived) => isReceived || (silence = setTimeout(() => client.terminate(), keepAlive / 2)),
      pong: () => clearTimeout(silence),
      closed: () => clearTimeout(silence),
    },
  })
  return { ...client, subscribe: (payload, sink) => resume(client, payload, sink) }
}

const temporary = /^(SUBSCRIBER_TOO_SLOW|TOO_MANY_\w+|TRY_AGAIN_LATER|UNAVAILABLE)$/
const areTemporary = (errors) => [errors].flat().every(({ extensions }) => temporary.test(extensions?.code))

function resume(client, payload, sink) {
  const request = { ...payload, variables: { ...payload.variables } }
  let isStopped = false
  let stop
  let tries = 0
  const begin = () => {
    let goesOn = false
    const again = () => pause(tries++).then(() => isStopped || begin())
    stop = client.subscribe(request, {
      next(result) {
        goesOn = Boolean(result.errors) && areTemporary(result.errors)
        if (goesOn) return
        const item = Object.values(result.data ?? {})[0]
        goesOn = item?.__typename === 'SubscriberTooSlow'
        if (!goesOn) tries = 0
        if (item?.cursor) request.variables.after = item.cursor // sent again when it reconnects
        sink.next(result)
      },
      error: (errors) => (areTemporary(errors) ? again() : sink.error(errors)),
      complete: () => (goesOn ? again() : sink.complete()),
    })
  }
  begin()
  return () => {
    isStopped = true
    stop()
  }
}
