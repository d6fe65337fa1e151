import type { ServerResponse } from 'node:http'

/** Answers with one line of text, which nobody may cache. */
export function say(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
    .end(`${text}\n`)
}

/** Answers with an error as GraphQL answers with errors: a code for programs, a sentence for people. */
export function fail(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ errors: [{ message, extensions: { code } }] }))
}
