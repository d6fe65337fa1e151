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
  const request = new Request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(operation),
  })
  const { type, status, text } = await answerTo(request).catch(() => {
    throw withoutStack("The server can't be reached. Try again in a moment.")
  })
  if (/json/.test(type)) return JSON.parse(text)
  throw withoutStack(`The server answered ${status}: ${text.trim()}`) // such as 503 while it starts
}

/** @param {Request} request */
async function answerTo(request) {
  const response = await fetch(request)
  return { type: response.headers.get('content-type') ?? '', status: response.status, text: await response.text() }
}

/**
 * An error of which GraphiQL shows the message only.
 *
 * @param {string} message
 */
const withoutStack = (message) => Object.assign(new Error(message), { stack: undefined })

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
