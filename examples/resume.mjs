// Watches a class. After a lost connection it continues where it was: nothing is missed, nothing comes twice.
import { createClient } from 'graphql-ws'
import WebSocket from 'ws' // a browser has its own

const [url = 'ws://127.0.0.1:4000/graphql', token = 'demo-instructor'] = process.argv.slice(2)
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${token}` },
  shouldRetry: () => true, // also while the server restarts
  retryAttempts: Number.POSITIVE_INFINITY,
  retryWait: (tries) => new Promise((done) => setTimeout(done, Math.random() * Math.min(1_000 * 2 ** tries, 10_000))),
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

const watch = () => client.subscribe({ query, variables }, { next, error, complete: again })
const again = () => setTimeout(watch, 1_000) // a stream that ends with SubscriberTooSlow continues at its cursor

function next({ data, errors }) {
  if (errors) return endUnlessTemporary(errors)
  variables.after = data.courseUpdates.cursor // graphql-ws sends the variables again when it reconnects
  console.log(JSON.stringify(data.courseUpdates))
}

function error(errors) {
  endUnlessTemporary(errors)
  again()
}

function endUnlessTemporary(errors) {
  const temporary = /^(SUBSCRIBER_TOO_SLOW|TOO_MANY_\w+|TRY_AGAIN_LATER|UNAVAILABLE)$/
  if ([errors].flat().every(({ extensions }) => temporary.test(extensions?.code))) return
  console.error(errors.reason ?? errors) // the session ended, access was withdrawn, or the request is wrong
  process.exit(1)
}

watch()
