// Apollo Client, set up for Lockstep. Run it with `node examples/apollo.mjs` while the server runs: it watches an
// enrollment, completes a lesson, and runs until Ctrl-C. Needs: npm install @apollo/client rxjs graphql graphql-ws ws
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { relayStylePagination } from '@apollo/client/utilities'
import possibleTypes from '../possibleTypes.json' with { type: 'json' }
import { completeLesson, enrollFirst, enrollmentQuery, enrollmentUpdates, resetProgress } from './documents.mjs'
import { persistentFetch, resumingSocket } from './network.mjs'
import { VersionGuard } from './versionGuard.mjs'

/**
 * A cache in which a late answer replaces nothing that is newer. What only the late answer has is added. A `merge` of
 * typePolicies could not do this: Apollo Client writes objects that have ids without asking it.
 */
class GuardedCache extends InMemoryCache {
  #guard = new VersionGuard()

  write(options) {
    const older = this.#guard.olderIn(options.result)
    if (!older.size) return super.write(options)
    const update = () => {
      const before = this.extract()
      const written = super.write(options)
      for (const [object, fields] of older) {
        const id = this.identify(object)
        const had = before[id] ?? {}
        const restored = (value, { fieldName, storeFieldName }) =>
          fields.includes(fieldName) && storeFieldName in had ? had[storeFieldName] : value
        this.modify({ id, fields: restored })
      }
      return written
    }
    return this.batch({ update }) // whoever watches the cache sees only the end
  }

  reset(options) {
    this.#guard.forget()
    return super.reset(options)
  }
}

/** A list for each filter and order: the arguments named here are part of its key. */
const filtered = relayStylePagination(['filter', 'orderBy'])

/**
 * The scalars DateTime, LocalDate and Cursor (see scalars.json) are text in JSON. They stay text in the cache; make a
 * Date of a DateTime where you show it. An optimistic answer has the version that the cache has.
 */
export const guardedCache = () =>
  new GuardedCache({
    possibleTypes,
    typePolicies: {
      // these grow page by page: select `edges`, which are put together, and not `nodes`
      Query: { fields: { courses: filtered } },
      Course: { fields: { enrollments: filtered, lessons: relayStylePagination(['includeInactive']) } },
      User: { fields: { enrollments: filtered, plans: filtered } },
      // an item of a stream replaces the one before it
      Subscription: {
        fields: Object.fromEntries(
          ['courseUpdates', 'enrollmentUpdates', 'levelUpdates', 'planUpdates'].map((name) => [name, { merge: false }]),
        ),
      },
    },
  })

/** Subscriptions go over WebSocket, all else over HTTP, or, with the context `{ overSocket: true }`, over WebSocket. */
export function createApollo({ url, socketUrl = url.replace(/^http/, 'ws'), token, cache = guardedCache() }) {
  const headers = { Authorization: `Bearer ${token}` }
  const link = ApolloLink.split(
    (operation) => operation.operationType === 'subscription' || operation.getContext().overSocket === true,
    new GraphQLWsLink(resumingSocket(socketUrl, token)),
    new HttpLink({ uri: url, headers, fetch: persistentFetch }),
  )
  return new ApolloClient({ cache, link })
}

async function demonstrate(url = 'http://127.0.0.1:4000/graphql', token = 'demo-learner-2') {
  const client = createApollo({ url, token })
  const courseId = 'Q291cnNlOjExYTViZTUxZTg4NTE1MDY='
  const lessonId = 'TGVzc29uOjExYTViZTUxZTg4NTE1MDYuNzQyODRkOWRjYmNjMDk5Mg=='
  const { data } = await client.query({ query: gql(enrollmentQuery), variables: { courseId } })
  if (!data.enrollment) throw new Error(enrollFirst(courseId))
  client
    .watchQuery({ query: gql(enrollmentQuery), variables: { courseId } })
    .subscribe(({ data }) => console.log('The cache:', JSON.stringify(data.enrollment)))
  const variables = { enrollmentId: data.enrollment.id, after: null }
  const stream = client.subscribe({ query: gql(enrollmentUpdates), variables })
  const begun = new Promise((begin) => {
    stream.subscribe(({ data, error }) => {
      if (error) throw error
      console.log('The stream:', data.enrollmentUpdates.kind ?? data.enrollmentUpdates.reason)
      if (data.enrollmentUpdates.reason === 'HISTORY_REPLACED') client.resetStore()
      begin()
    })
  })
  await begun
  // choose the key when the learner clicks, and keep it until there is an answer
  const input = { lessonId, idempotencyKey: crypto.randomUUID() }
  for (const time of ['The answer:', 'The same request again:']) {
    const { data } = await client.mutate({ mutation: gql(completeLesson), variables: { input } })
    console.log(time, JSON.stringify(data.completeLesson))
  }
  await client.mutate({ mutation: gql(resetProgress), variables: { input: { target: { lessonId } } } })
}

if (import.meta.filename === process.argv[1])
  await demonstrate(...process.argv.slice(2)).catch(({ message }) => {
    console.error(message)
    process.exit(1)
  })
