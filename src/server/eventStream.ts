import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A reader that has taken nothing for so long, not even the sign of life every 12 seconds, is gone. */
const SILENT_MS = 60_000

/** What a response is made of, as the Fetch API has it. */
interface Answer {
  readonly status: number
  readonly headers: Iterable<[name: string, value: string]> & { get(name: string): string | null }
  readonly body: AsyncIterable<Uint8Array> | null
}

/**
 * Sends an answer, in one piece or, if it is a stream of events, as they come. Resolves when it is sent; rejects if the
 * client goes away before.
 */
export async function send(answer: Answer, response: ServerResponse, isDraining: () => boolean): Promise<void> {
  const { status, headers, body } = answer
  if (response.destroyed) return
  for (const [name, value] of headers) response.setHeader(name, value)
  response.writeHead(status)
  const isStream = headers.get('content-type')?.startsWith('text/event-stream')
  if (isStream) response.setTimeout(SILENT_MS, () => response.destroy())
  if (!body) response.end()
  else await pipeline(Readable.from(isStream ? withoutEnd(body, isDraining) : body), response)
}

/**
 * The events, without the last one, `complete`, where it is only this server that ends the stream: a client that hears
 * it does not come back. Not a generator: its `return()` would wait for the next event, and keep a client that is gone.
 */
function withoutEnd(events: AsyncIterable<Uint8Array>, isDraining: () => boolean): AsyncIterable<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]()
  const isEnd = ({ done, value }: IteratorResult<Uint8Array>) =>
    !done && isDraining() && Buffer.from(value).toString().startsWith('event: complete')
  const end = async (): Promise<IteratorResult<Uint8Array>> =>
    (await iterator.return?.()) ?? { done: true, value: undefined }
  const next = async () => {
    const result = await iterator.next()
    return isEnd(result) ? end() : result
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}
