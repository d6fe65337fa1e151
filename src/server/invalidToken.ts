import type { Plugin } from 'graphql-yoga'
import type { Viewer } from '../api/context.ts'
import { problem } from '../api/shownError.ts'

/** What a request over HTTP begins with: the viewer is being looked up. */
interface Asking {
  readonly viewer?: Viewer | null | Promise<Viewer | null>
}

/**
 * Refuses a request over HTTP whose token is not valid, before its operation is read. If the lookup fails, the request
 * goes on, and fails where its context is made.
 */
export const invalidToken: Plugin<object, Asking> = {
  async onRequest({ request, serverContext, endResponse, fetchAPI }) {
    const authorization = request.headers.get('authorization')?.trim() ?? ''
    if (isEmpty(authorization)) return
    const viewer = await Promise.resolve(serverContext.viewer).catch(() => undefined)
    if (viewer !== null) return
    const message = isBearer(authorization) ? UNKNOWN : NO_BEARER
    const body = JSON.stringify({ errors: [problem('UNAUTHENTICATED', message)] })
    const headers = { 'content-type': typeFor(request), 'www-authenticate': 'Bearer error="invalid_token"' }
    endResponse(new fetchAPI.Response(body, { status: 401, headers }))
  },
}

/** GraphiQL's first tab sends `Bearer` without a token until somebody fills it in. */
const isEmpty = (authorization: string) => /^(Bearer)?$/i.test(authorization)
const isBearer = (authorization: string) => /^Bearer [\x21-\x7e]+$/i.test(authorization)

const typeFor = ({ headers }: Request) =>
  /application\/graphql-response\+json/i.test(headers.get('accept') ?? '')
    ? 'application/graphql-response+json; charset=utf-8'
    : 'application/json; charset=utf-8'

const UNKNOWN =
  'The token in the header `Authorization` is unknown, or its session has ended. Sign in again and send ' +
  '`Authorization: Bearer <token>` with the new token, or leave the header out to ask without signing in.'
const NO_BEARER =
  'The header `Authorization` has another form than `Bearer <token>`. Send it in this form, with one space and a ' +
  'token, or leave the header out to ask without signing in.'
