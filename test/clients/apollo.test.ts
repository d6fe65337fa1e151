import { gql, InMemoryCache } from '@apollo/client'
import { createApollo } from '../../examples/apollo.mjs'
import possibleTypes from '../../possibleTypes.json' with { type: 'json' }
import { type Connection, promises, type TestClient } from './promises.ts'

function testClient(connection: Connection & { readonly cache?: InMemoryCache }): TestClient {
  const client = createApollo(connection as Parameters<typeof createApollo>[0])
  const documents = new Map<string, ReturnType<typeof gql>>()
  const parsed = (text: string) => documents.get(text) ?? documents.set(text, gql(text)).get(text)!
  return {
    query: (document, variables) =>
      client.query({ query: parsed(document), variables, fetchPolicy: 'network-only' }).then(({ data }) => data),
    mutate: (document, variables, context: object = {}) =>
      client.mutate({ mutation: parsed(document), variables, context }).then(({ data }) => data),
    subscribe(document, variables, next) {
      const stream = client.subscribe({ query: parsed(document), variables })
      const subscription = stream.subscribe(({ data }) => next(data))
      return () => subscription.unsubscribe()
    },
    cached: (document, variables) => client.readQuery({ query: parsed(document), variables }) ?? undefined,
    stop: () => client.stop(),
  }
}

promises({
  example: 'examples/apollo.mjs',
  plain: (connection) => testClient({ ...connection, cache: new InMemoryCache({ possibleTypes }) }),
  guarded: testClient,
})
