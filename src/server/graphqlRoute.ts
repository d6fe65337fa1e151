import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pageHeaders } from '../graphiql/page.ts'
import type { Origins } from '../live/origins.ts'
import { fail } from './answer.ts'
import { send } from './eventStream.ts'
import type { Handle } from './http.ts'
import type { Operations } from './operation.ts'

/** The most bytes of a request; a larger one is refused before it is read to its end. */
export const BODY_LIMIT = 1_048_576

interface Parts {
  readonly operations: Operations
  readonly origins: Origins
}

/** GraphQL over HTTP: what a request must be before its operation is carried out, and how the answer is sent. */
export function graphqlRoute({ operations, origins }: Parts, isDraining: () => boolean): Handle {
  return async (request, response) => {
    // a page's browser refuses by itself, and does not say why; behind a proxy, only it knows which page is our own
    if (request.headers['sec-fetch-site'] !== 'same-origin') origins.admits(request.headers)
    const requestId = requestIdOf(request)
    response.setHeader('x-request-id', requestId)
    if (!hasHost(request)) {
      const message = 'The header `Host` is no host. Wanted is that of the address, such as localhost:4000.'
      return fail(response, 400, 'BAD_REQUEST', message)
    }
    if (request.method === 'POST' && !(await readBody(request, response))) return
    const answer = await operations.answer(request, response, requestId)
    if (answer.status >= 500 && !/json/.test(answer.headers.get('content-type') ?? ''))
      throw new Error(await answer.text()) // it may hold a stack
    if (answer.status === 406)
      return fail(
        response,
        406,
        'NOT_ACCEPTABLE',
        'Subscribe with `Accept: text/event-stream`, or over WebSocket; ask all else with `application/json`.',
      )
    if (answer.headers.get('content-type')?.startsWith('text/html'))
      for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value)
    await send(answer, response, isDraining)
  }
}

const hasHost = ({ headers: { host } }: IncomingMessage) => host === undefined || URL.canParse(`http://${host}/`)

/** The client's own id of a request, if it is a plain one; otherwise a new one. */
function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID()
}

/** Reads the body of a POST, for Yoga to find at the request. Otherwise answers why not, and resolves with false. */
async function readBody(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  // Only JSON: a form on another site can send everything else without asking first.
  if (!/^application\/(graphql\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
    const message = 'Send the operation as JSON, with the header `Content-Type: application/json`.'
    fail(response, 415, 'UNSUPPORTED_MEDIA_TYPE', message)
    return false
  }
  const body = await bodyOf(request)
  if (body) return Boolean(Object.assign(request, { body }))
  response.setHeader('connection', 'close') // the rest of the body is not read
  fail(response, 413, 'PAYLOAD_TOO_LARGE', `The request has more than ${BODY_LIMIT} bytes, which is the most.`)
  return false
}

/** The whole body; undefined if it is too large, and then the rest is not read. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT) return undefined
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    // no encoding is set, so that chunks are bytes
    size += chunk.length
    if (size > BODY_LIMIT) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
