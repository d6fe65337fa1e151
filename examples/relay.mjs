// A Relay environment that sends each mutation until it is answered, misses no change, and keeps what is newer. It shows
// nothing by itself. Import it where your app begins, beside network.mjs:
//
//   import { environmentOf } from './relay.mjs'
//   const environment = environmentOf({ url: 'http://127.0.0.1:4000/graphql', token: 'demo-learner-2' })
//
// Needs: npm install relay-runtime graphql-ws ws, and relay-compiler with the project's schema.graphql for your documents
//
// A mutation has an idempotencyKey, what has a version is read with its id and version, and a subscription reads the
// cursor of its item, the reason of a snapshot, and has a variable $after.
import { Environment, Network, Observable, RecordSource, Store } from 'relay-runtime'
import { persistentFetch, resumingSocket } from './network.mjs'

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
  const headers = { 'content-type': 'application/json', Authorization: `Bearer ${token}` }
  const store = new NewestStore(new RecordSource())
  const socket = resumingSocket(url.replace(/^http/, 'ws'), token)

  /**
   * A late answer is asked for again, because what is below a root has no version of its own. A query then reads the
   * present, and so does a mutation: it has its key.
   */
  async function ask({ text }, variables) {
    const body = JSON.stringify({ query: text, variables })
    for (let tries = 1; ; tries++) {
      const response = await persistentFetch(url, { method: 'POST', headers, body })
      const answer = await response.json()
      if (!store.isAheadOf(answer.data) || tries === 3) return answer
    }
  }

  /** The items of a stream, whatever happens to the connection. */
  const watch = ({ text }, variables) =>
    Observable.create((sink) => {
      // the session ended, access was withdrawn, or the request is wrong
      const error = (errors) => sink.error(new Error(errors[0]?.message ?? errors.reason, { cause: errors }))
      const next = (result) => {
        if (!result.data) return error(result.errors)
        const [item] = Object.values(result.data)
        if (item.reason === 'HISTORY_REPLACED') store.forget(item)
        sink.next(result)
      }
      return socket.subscribe({ query: text, variables }, { next, error, complete: () => sink.complete() })
    })

  return new Environment({ network: Network.create(ask, watch), store })
}
