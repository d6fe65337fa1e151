// A Relay environment that sends each mutation until it is answered, misses no change, and keeps what is newer.
// For that, a mutation has an idempotencyKey, what has a version is read with its id and version, and a subscription
// reads the cursor of its item, the reason of a snapshot, and has a variable $after.
import { createClient } from 'graphql-ws'
import { Environment, Network, Observable, RecordSource, Store } from 'relay-runtime'
import WebSocket from 'ws'

const temporary = ['SUBSCRIBER_TOO_SLOW', 'TRY_AGAIN_LATER', 'UNAVAILABLE']
const lost = () => undefined
const pause = () => new Promise((resolve) => setTimeout(resolve, 500 + 1_000 * Math.random()))

/** A store in which no version goes back: of an older record, it takes only what it does not have. */
class NewestStore extends Store {
  publish(source, ...more) {
    for (const id of source.getRecordIDs()) {
      const [given, known] = [source.get(id), this.getSource().get(id)]
      // an item of a stream has a version too, but no id
      if (given?.id && known?.version > given.version) source.set(id, { ...given, ...known })
    }
    super.publish(source, ...more)
  }

  /** Whether something in an answer has a lower version than here: the answer was late, something else sooner. */
  isAheadOf(value) {
    if (value === null || typeof value !== 'object') return false
    const known = this.getSource().get(value.id)
    return known?.version > value.version || Object.values(value).some((each) => this.isAheadOf(each))
  }

  /** Forgets the versions of what a snapshot replaces, so that lower ones are taken. */
  forget(snapshot) {
    for (const each of Object.values(snapshot)) this.getSource().remove(each?.id)
  }
}

export function environmentOf({ url, token }) {
  const Authorization = `Bearer ${token}`
  const store = new NewestStore(new RecordSource())
  const socket = createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket, // a browser has its own
    connectionParams: { Authorization },
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true, // also while the server restarts and its port is closed
    retryWait: pause, // the default one waits twice as long each time
  })

  /**
   * A late answer is asked for again, because what is below a root has no version of its own. A query then reads the
   * present, and so does a mutation: it has its key.
   */
  async function ask({ text }, variables) {
    const body = JSON.stringify({ query: text, variables })
    for (let tries = 1; ; tries++) {
      const answer = await send(body)
      if (!store.isAheadOf(answer.data) || tries === 3) return answer
    }
  }

  /** Sends a request until it is answered: the answer may be lost, and the server may be starting. */
  async function send(body) {
    const headers = { 'content-type': 'application/json', Authorization }
    for (;;) {
      const response = await fetch(url, { method: 'POST', headers, body }).catch(lost)
      const text = response?.status === 503 ? undefined : await response?.text().catch(lost)
      if (text !== undefined) return JSON.parse(text)
      await pause()
    }
  }

  /** The items of a stream, whatever happens to the connection. */
  function watch({ text }, variables) {
    return Observable.create((sink) => {
      const request = { query: text, variables: { ...variables } }
      let [stop, stopped] = [() => {}, false]
      const begin = () => (stop = stopped ? stop : socket.subscribe(request, { next, error, complete() {} }))
      const next = (result) => {
        if (!result.data) return error(result.errors)
        const [item] = Object.values(result.data)
        request.variables.after = item.cursor // graphql-ws sends the variables again when it reconnects
        if (item.reason === 'HISTORY_REPLACED') store.forget(item)
        sink.next(result)
        if (item.__typename === 'SubscriberTooSlow') begin() // this reader was too slow: it continues at the cursor
      }
      const error = (errors) => {
        const codes = [errors].flat().map(({ extensions }) => extensions?.code)
        if (codes.every((code) => temporary.includes(code))) return pause().then(begin)
        // the session ended, access was withdrawn, or the request is wrong
        sink.error(new Error(errors[0]?.message ?? errors.reason, { cause: errors }))
      }
      begin()
      return () => {
        stopped = true
        stop()
      }
    })
  }

  return new Environment({ network: Network.create(ask, watch), store })
}
