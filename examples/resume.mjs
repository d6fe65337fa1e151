// Watches a class. After a lost connection it continues where it was: nothing is missed, nothing comes twice.
import { createClient } from 'graphql-ws'
import WebSocket from 'ws' // a browser has its own

const [url = 'ws://127.0.0.1:4000/graphql', token = 'demo-instructor'] = process.argv.slice(2)
const pause = () => new Promise((done) => setTimeout(done, 500 + 1_000 * Math.random()))
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${token}` },
  shouldRetry: () => true, // also while the server restarts
  retryAttempts: Number.POSITIVE_INFINITY,
  retryWait: pause,
})
const variables = { courseId: 'Q291cnNlOjExYTViZTUxZTg4NTE1MDY=', after: null }
const query = `subscription Class($courseId: ID!, $after: Cursor) {
  courseUpdates(courseId: $courseId, after: $after) {
    __typename
    ... on StreamItem { cursor }
    ... on CourseSnapshot { reason learnerCount percent }
    ... on CourseChange { kind version enrollment { id percent } }
  }
}`

for (; ; await pause())
  try {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw errors
      variables.after = data.courseUpdates.cursor // graphql-ws sends the variables again when it reconnects
      console.log(JSON.stringify(data.courseUpdates))
    } // a stream that ends with SubscriberTooSlow continues at its cursor
  } catch (errors) {
    if ([errors].flat().every(({ extensions }) => /^(SUBSCRIBER_)?TOO_|LATER|UNAVAIL/.test(extensions?.code))) continue
    console.error(errors.reason ?? errors) // the session ended, access was withdrawn, or the request is wrong
    process.exit(1)
  }
