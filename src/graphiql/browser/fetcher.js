// @ts-check
import { patient, Subscription } from './subscription.js'

/** @import { DocumentNode, OperationDefinitionNode } from 'graphql' */
/** @import { Client, ClientOptions } from 'graphql-ws' */

/** @typedef {{ query: string, variables?: Record<string, unknown> | null, operationName?: string | null }} Operation */
/** @typedef {{ next(shown: object): void, complete(): void }} Observer */

/**
 * GraphiQL's `fetcher`: queries and mutations over HTTP, subscriptions over WebSocket, with the headers of the tab.
 *
 * @param {{ url: string, createClient: (options: ClientOptions) => Client, webSocketImpl?: unknown }} options
 */
export function fetcher({ url, createClient, webSocketImpl }) {
  const socketUrl = url.replace(/^http/, 'ws')
  /**
   * @param {Operation} operation
   * @param {{ headers?: Record<string, string>, documentAST?: DocumentNode }} [more]
   */
  return (operation, { headers, documentAST } = {}) => {
    const node = operationIn(documentAST, operation.operationName)
    if (node?.operation !== 'subscription') return ask(url, operation, headers)
    const options = { url: socketUrl, connectionParams: headers ?? {}, webSocketImpl, ...patient }
    return {
      /** @param {Observer} observer */
      subscribe(observer) {
        const running = new Subscription(createClient(options), operation, cursorVariable(node), observer)
        return { unsubscribe: () => running.stop() }
      },
    }
  }
}

/**
 * @param {string} url
 * @param {Operation} operation
 * @param {Record<string, string>} [headers]
 * @returns {Promise<object>}
 */
async function ask(url, operation, headers) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(operation),
  })
  const text = await response.text()
  if (/json/.test(response.headers.get('content-type') ?? '')) return JSON.parse(text)
  throw new Error(`The server answered ${response.status}: ${text.trim()}`) // such as 503 while it starts
}

/**
 * The operation that is to be run.
 *
 * @param {DocumentNode | undefined} document
 * @param {string | null | undefined} name
 */
function operationIn(document, name) {
  for (const node of document?.definitions ?? [])
    if (node.kind === 'OperationDefinition' && (!name || node.name?.value === name)) return node
  return undefined
}

/**
 * The variable that is passed to the root field as `after`.
 *
 * @param {OperationDefinitionNode} operation
 */
function cursorVariable({ selectionSet }) {
  const [root] = selectionSet.selections
  const value = root?.kind === 'Field' && root.arguments?.find(({ name }) => name.value === 'after')?.value
  return value && value.kind === 'Variable' ? value.name.value : undefined
}
