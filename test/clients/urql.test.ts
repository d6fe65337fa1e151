import { cacheExchange } from '@urql/exchange-graphcache'
import { createUrql } from '../../examples/urql.mjs'
import possibleTypes from '../../possibleTypes.json' with { type: 'json' }
import { type Connection, promises, type TestClient } from './promises.ts'

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
