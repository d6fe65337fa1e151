import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'

type Load = () => Promise<string | Buffer>

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  ico: 'image/x-icon',
}

/** GraphiQL, built for a browser, from a package of 9 MB: loaded when a browser first asks for a part of it. */
const built = () => import('@graphql-yoga/render-graphiql/graphiql')

const own =
  (name: string): Load =>
  () =>
    readFile(new URL(`./browser/${name}`, import.meta.url))

const graphqlWs: Load = () =>
  readFile(
    createRequire(import.meta.url)
      .resolve('graphql-ws')
      .replace(/dist[\\/][^\\/]*$/, 'umd/graphql-ws.min.js'),
  )

const files: Readonly<Record<string, Load>> = {
  'main.js': own('main.js'),
  'fetcher.js': own('fetcher.js'),
  'storage.js': own('storage.js'),
  'subscription.js': own('subscription.js'),
  'graphql-ws.js': graphqlWs,
  'graphiql.js': async () => (await built()).js,
  'graphiql.css': async () => (await built()).css,
  'editorWorkerService.js': async () => (await built()).editorWorkerService,
  'json.js': async () => (await built()).jsonWorker,
  'graphql.js': async () => (await built()).graphqlWorker,
  'favicon.ico': async () => Buffer.from((await built()).favicon.replace(/^.*;base64,/, ''), 'base64'),
}

/** What answers for each file of the page, by path. */
export const graphiqlFiles: ReadonlyMap<string, ReturnType<typeof file>> = new Map(
  Object.entries(files).map(([name, load]) => [`/graphql/${name}`, file(name, load)]),
)

/** Whether `If-None-Match` names the etag, alone or among others. A proxy that compresses makes it weak: `W/"…"`. */
const has = (known: string | undefined, etag: string) =>
  known?.trim() === '*' || known?.split(',').some((each) => each.trim().replace(/^W\//, '') === etag)

function file(name: string, load: Load) {
  const type = types[name.split('.').at(-1)!]!
  return async ({ method, headers }: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    const body = await load()
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
    response.setHeader('etag', etag).setHeader('cache-control', 'no-cache') // asked for each time, sent when it differs
    if (has(headers['if-none-match'], etag)) response.writeHead(304).end()
    else response.writeHead(200, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body)
  }
}
