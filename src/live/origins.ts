import type { IncomingHttpHeaders } from 'node:http'
import type { Log } from '../operator/log.ts'

/** How many refused origins are remembered. Anybody can invent origins, so there must be a limit. */
const MOST = 100
/** How much of an origin is logged. */
const LONGEST = 200

/** Which web pages may use this API. Each origin that is refused is logged once. */
export class Origins {
  readonly #allowed: readonly string[]
  readonly #log: Log
  readonly #refused = new Set<string>()

  /** `*` stands for all origins. This server's own is always allowed. */
  constructor(allowed: readonly string[], log: Log) {
    this.#allowed = allowed
    this.#log = log
  }

  /** Whether the page that sent these headers may use this API. A client without an origin is no web page. */
  admits({ origin, host }: IncomingHttpHeaders): boolean {
    if (!origin || this.#allowed.includes('*') || this.#allowed.includes(origin)) return true
    if (URL.canParse(origin) && new URL(origin).host === host) return true
    this.#report(origin.slice(0, LONGEST))
    return false
  }

  #report(origin: string): void {
    if (this.#refused.size >= MOST || this.#refused.has(origin)) return
    this.#refused.add(origin)
    this.#log.warn({ origin }, 'A web page of this origin was refused. If it may use this API, add it to CORS_ORIGINS.')
    if (this.#refused.size === MOST)
      this.#log.warn({}, `Web pages of ${MOST} origins were refused. Further ones are refused without being logged.`)
  }
}
