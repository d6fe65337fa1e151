// Watches a class. After a lost connection it continues where it was: nothing is missed, nothing comes twice.
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'

const [url = 'ws://127.0.0.1:4000/graphql', token = 'demo-instructor'] = process.argv.slice(2)
const client = createClient({
  url,
  webSocketImpl: WebSocket, // a browser has its own
  connectionParams: { Authorization: `Bearer ${token}` },
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true, // also while the server restarts and its port is closed
})

const query = /* GraphQL */ `
  subscription Class($courseId: ID!, $after: Cursor) {
    courseUpdates(courseId: $courseId, after: $after) {
      __typename
      ... on CourseSnapshot { reason cursor learnerCount percent }
      ... on CourseChange { kind cursor version enrollment { id percent } }
      ... on SubscriberTooSlow { cursor }
    }
  }`
const temporary = ['SUBSCRIBER_TOO_SLOW', 'TRY_AGAIN_LATER', 'UNAVAILABLE']
const variables = { courseId: 'Q291cnNlOjExYTViZTUxZTg4NTE1MDY=', after: null }

function watch() {
  const sink = {
    next({ data, errors }) {
      if (errors) return failed(errors)
      const item = data.courseUpdates
      variables.after = item.cursor // graphql-ws sends the variables again when it reconnects
      console.log(JSON.stringify(item))
      if (item.__typename === 'SubscriberTooSlow') watch() // this reader was too slow: it continues at the cursor
    },
    error: failed,
    complete() {},
  }
  client.subscribe({ query, variables }, sink)
}

function failed(errors) {
  const codes = [errors].flat().map(({ extensions }) => extensions?.code)
  if (codes.every((code) => temporary.includes(code))) return setTimeout(watch, 1_000)
  console.error(errors.reason ?? errors) // the session ended, access was withdrawn, or the request is wrong
  process.exit(1)
}

watch()
