import { createClient } from 'graphql-ws'
import {
  commitMutation,
  type Disposable,
  Environment,
  fetchQuery,
  type GraphQLResponse,
  type GraphQLTaggedNode,
  type MutationConfig,
  type MutationParameters,
  Network,
  Observable,
  type OperationType,
  RecordSource,
  type RequestParameters,
  requestSubscription,
  Store,
  type Variables,
} from 'relay-runtime'
import WebSocket from 'ws'
import { collect, type Stream, type Told } from '../live/client.ts'
import watchSubscription, { type relayWatchSubscription } from '../generated/relay/relayWatchSubscription.graphql.ts'
import type { Learner } from './scene.ts'

type Place = Pick<Learner, 'url' | 'token'>

const example = new URL('../../examples/relay.mjs', import.meta.url).href
const { environmentOf } = (await import(example)) as {
  environmentOf(options: { url: string; token: string }): Environment
}

/** The environment of examples/relay.mjs. */
export const guarded = ({ url, token }: Place): Environment => environmentOf({ url: `${url}/graphql`, token })

/** An environment that does nothing but send, over HTTP and streams over WebSocket, and store. */
export const unguarded = (place: Place): Environment =>
  environmentWith(async ({ text }, variables) => {
    const response = await fetch(`${place.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${place.token}` },
      body: JSON.stringify({ query: text, variables }),
    })
    return response.json()
  }, overSocket(place))

/** The same, but everything is sent over one WebSocket. */
export function unguardedSocket(place: Place): Environment {
  const send = overSocket(place)
  return environmentWith(send, send)
}

function overSocket({ url, token }: Place) {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
  })
  return ({ text }: RequestParameters, variables: Variables) =>
    Observable.create<GraphQLResponse>((sink) =>
      client.subscribe(
        { query: text!, variables },
        { ...sink, next: (result) => sink.next(result as GraphQLResponse) },
      ),
    )
}

const environmentWith = (...network: Parameters<typeof Network.create>): Environment =>
  new Environment({ network: Network.create(...network), store: new Store(new RecordSource()) })

/** The data of a query, as the store has it when the answer is stored. */
export async function read<Operation extends OperationType>(
  environment: Environment,
  query: GraphQLTaggedNode,
  variables: Operation['variables'],
): Promise<Operation['response']> {
  const data = await fetchQuery<Operation>(environment, query, variables).toPromise()
  if (data === undefined) throw new Error('There was no answer.')
  return data
}

/** The data of a mutation, as the store has it when the answer is stored. */
export const mutate = <Operation extends MutationParameters>(
  environment: Environment,
  mutation: GraphQLTaggedNode,
  variables: Operation['variables'],
  optimisticResponse?: MutationConfig<Operation>['optimisticResponse'],
): Promise<Operation['response']> =>
  new Promise((resolve, reject) => {
    commitMutation<Operation>(environment, {
      ...{ mutation, variables, optimisticResponse },
      onCompleted: (response) => resolve(response),
      onError: reject,
    })
  })

/** Watches an enrollment. */
export const watch = (environment: Environment, enrollment: string): Stream<Told> =>
  collect<Told>(({ next, error, complete }) => {
    const { dispose }: Disposable = requestSubscription<relayWatchSubscription>(environment, {
      subscription: watchSubscription,
      variables: { id: enrollment },
      onNext: (data) => next(data?.enrollmentUpdates as unknown as Told),
      onError: error,
      onCompleted: complete,
    })
    return dispose
  })

/** A record of the store, such as an enrollment. */
export const record = (environment: Environment, id: string) => environment.getStore().getSource().get(id)

/** The records that have an id of the server. */
export const things = (environment: Environment) =>
  Object.fromEntries(
    Object.entries(environment.getStore().getSource().toJSON()).filter(([id]) => !id.startsWith('client:')),
  )
