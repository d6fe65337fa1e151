// urql with Graphcache, set up for Lockstep. Run it with `node examples/urql.mjs` while the server runs: it watches an
// enrollment, completes a lesson, and runs until Ctrl-C. Needs: npm install @urql/core @urql/exchange-graphcache graphql-ws ws
import { Client, fetchExchange, mapExchange, subscriptionExchange } from '@urql/core'
import { cacheExchange } from '@urql/exchange-graphcache'
import { relayPagination } from '@urql/exchange-graphcache/extras'
import possibleTypes from '../possibleTypes.json' with { type: 'json' }
import { completeLesson, enrollFirst, enrollmentQuery, enrollmentUpdates, resetProgress } from './documents.mjs'
import { persistentFetch, resumingSocket } from './network.mjs'
import { VersionGuard } from './versionGuard.mjs'

/**
 * Takes out of each result what is older than the cache has. Graphcache keeps what it has where a field is missing, and
 * completes the answer with it. Stands between the cache and the network.
 */
const guardExchange = () => {
  const guard = new VersionGuard()
  return mapExchange({
    onResult(result) {
      const older = guard.olderIn(result.data, result.operation.key)
      return older.size ? { ...result, data: without(older, result.data) } : result
    },
  })
}

function without(older, value) {
  if (Array.isArray(value)) return value.map((each) => without(older, each))
  if (!value || typeof value !== 'object') return value
  const kept = Object.entries(value).filter(([field]) => !older.get(value)?.includes(field))
  return Object.fromEntries(kept.map(([field, each]) => [field, without(older, each)]))
}

/**
 * The scalars DateTime, LocalDate and Cursor (see scalars.json) are text in JSON. They stay text in the cache; make a
 * Date of a DateTime where you show it. An optimistic answer has the version that the cache has.
 */
const withoutId = [
  'Consistency',
  'LessonProgressVersion',
  'LicenseVersion',
  'PlanDay',
  'SelectionVersion',
  'WorkoutVersion',
]

const pages = relayPagination()

/**
 * A list for each filter and order, put together from its pages. `relayPagination` finds none that was asked for
 * without arguments, or that is null: these are as the cache has them. So give `first` where you ask for more pages.
 */
function paged(parent, args, cache, info) {
  const given = Object.keys(args).length ? args : undefined
  const page = cache.resolve(info.parentKey, info.fieldName, given)
  return given && page !== null ? pages(parent, args, cache, info) : page
}

export const guardedCache = () => [
  cacheExchange({
    possibleTypes,
    // with possible types instead of a schema, it warns of fields that another type of a union has
    logger: (severity, text) => severity === 'debug' || /^Invalid undefined/.test(text) || console[severity](text),
    // what has no id is kept where it was found
    keys: Object.fromEntries(withoutId.map((name) => [name, () => null])),
    resolvers: {
      // these grow page by page
      Query: { courses: paged },
      Course: { enrollments: paged, lessons: paged },
      User: { enrollments: paged, plans: paged },
    },
  }),
  guardExchange(),
]

/** Subscriptions go over WebSocket, all else over HTTP, or, with the context `{ overSocket: true }`, over WebSocket. */
export function createUrql({ url, socketUrl = url.replace(/^http/, 'ws'), token, cache = guardedCache() }) {
  const socket = resumingSocket(socketUrl, token)
  const subscriptions = subscriptionExchange({
    isSubscriptionOperation: ({ kind, context }) => kind === 'subscription' || context.overSocket,
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }),
    }),
  })
  const fetchOptions = { headers: { Authorization: `Bearer ${token}` } }
  const exchanges = [...cache, subscriptions, fetchExchange]
  return new Client({ url, exchanges, fetchOptions, fetch: persistentFetch, preferGetMethod: false })
}

async function demonstrate(url = 'http://127.0.0.1:4000/graphql', token = 'demo-learner-2') {
  const client = createUrql({ url, token })
  const courseId = 'Q291cnNlOjExYTViZTUxZTg4NTE1MDY='
  const lessonId = 'TGVzc29uOjExYTViZTUxZTg4NTE1MDYuNzQyODRkOWRjYmNjMDk5Mg=='
  const { data, error } = await client.query(enrollmentQuery, { courseId })
  if (error) throw error
  if (!data.enrollment) throw new Error(enrollFirst(courseId))
  client
    .query(enrollmentQuery, { courseId })
    .subscribe(({ data }) => console.log('The cache:', JSON.stringify(data.enrollment)))
  const stream = client.subscription(enrollmentUpdates, { enrollmentId: data.enrollment.id, after: null })
  const begun = new Promise((begin) => {
    stream.subscribe(({ data, error }) => {
      if (error) throw error
      console.log('The stream:', data.enrollmentUpdates.kind ?? data.enrollmentUpdates.reason)
      begin() // where the reason is HISTORY_REPLACED, make a new client instead: its cache is empty
    })
  })
  await begun
  // choose the key when the learner clicks, and keep it until there is an answer
  const input = { lessonId, idempotencyKey: crypto.randomUUID() }
  for (const time of ['The answer:', 'The same request again:']) {
    const { data } = await client.mutation(completeLesson, { input })
    console.log(time, JSON.stringify(data.completeLesson))
  }
  await client.mutation(resetProgress, { input: { target: { lessonId } } })
}

if (import.meta.filename === process.argv[1])
  await demonstrate(...process.argv.slice(2)).catch(({ message }) => {
    console.error(message)
    process.exit(1)
  })
