import { cacheExchange } from '@urql/exchange-graphcache'
import { expect, test } from 'vitest'
import { createUrql } from '../../examples/urql.mjs'
import possibleTypes from '../../possibleTypes.json' with { type: 'json' }
import { serve } from '../api.ts'
import { type Connection, promises, type TestClient } from './promises.ts'
import { scene } from './scene.ts'

const s = await scene()
const { url } = await serve(s)

function testClient(connection: Connection & { readonly cache?: ReturnType<typeof cacheExchange>[] }): TestClient {
  const client = createUrql(connection)
  const dataOf = async (result: PromiseLike<{ data?: unknown; error?: Error }>) => {
    const { data, error } = await result
    if (error) throw error
    return data
  }
  return {
    query: (document, variables) => dataOf(client.query(document, variables, { requestPolicy: 'network-only' })),
    mutate: (document, variables, context: object = {}) => dataOf(client.mutation(document, variables, context)),
    subscribe(document, variables, next) {
      return client.subscription(document, variables).subscribe(({ data }) => next(data)).unsubscribe
    },
    cached: (document, variables) => client.readQuery(document, variables)?.data,
    stop: () => {},
  }
}

promises({
  example: 'examples/urql.mjs',
  plain: (connection) => testClient({ ...connection, cache: [cacheExchange({ possibleTypes })] }),
  guarded: testClient,
})

test.each(['', '(first: 2)'])('a list%s that the viewer may not see is null, and the rest is there', async (given) => {
  const { token } = await s.learner(url)
  const document = `{ course(slug: "${s.course.slug}") { id version enrollments${given} { nodes { id } } } }`
  const { data, error } = await createUrql({ url: `${url}/graphql`, token }).query(document, {})
  expect(data).toMatchObject({ course: { version: 1, enrollments: null } })
  expect(error?.graphQLErrors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
})
