import type { ExecutionResult } from 'graphql'

/** A result that is JSON already. */
interface Ready extends ExecutionResult {
  stringify(): string
}

/**
 * Results of a subscription as an iterable, and a sink that they are sent to. They wait here until they are asked for.
 *
 *   created ── first next() ──▶ begun ── end() or return() ──▶ ended (what waits can still be taken, after end() only)
 */
export class Arrivals implements AsyncIterableIterator<ExecutionResult> {
  /** Called when the first result is asked for. */
  onBegin: (() => void) | undefined
  /** Called when the consumer wants no more. */
  onReturn: (() => void) | undefined
  /** How many characters wait. */
  waiting = 0
  #results: string[] = []
  #asking: { resolve(result: IteratorResult<ExecutionResult>): void; reject(error: unknown): void } | undefined
  #drained: (() => void)[] = []
  #ended: { error?: Error } | undefined
  #begun = false
  readonly #rejects: boolean

  /** With `rejects`, an error at the end is thrown; otherwise it is the last result. */
  constructor(rejects: boolean) {
    this.#rejects = rejects
  }

  [Symbol.asyncIterator]() {
    return this
  }

  send(json: string): void {
    if (this.#asking) {
      this.#asking.resolve({ done: false, value: ready(json) })
      this.#asking = undefined
    } else {
      this.#results.push(json)
      this.waiting += json.length
    }
  }

  next(): Promise<IteratorResult<ExecutionResult>> {
    if (!this.#begun) {
      this.#begun = true
      this.onBegin?.()
    }
    const json = this.#results.shift()
    if (json !== undefined) {
      this.waiting -= json.length
      if (!this.#results.length) for (const resolve of this.#drained.splice(0)) resolve()
      return Promise.resolve({ done: false, value: ready(json) })
    }
    if (this.#ended) {
      const { error } = this.#ended
      this.#ended = {}
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined })
    }
    return new Promise((resolve, reject) => (this.#asking = { resolve, reject }))
  }

  drained(): Promise<void> {
    return this.#results.length && !this.#ended
      ? new Promise((resolve) => this.#drained.push(resolve))
      : Promise.resolve()
  }

  /** Ends the results; with an error, that comes last. */
  end(error?: Error): void {
    if (this.#ended) return
    if (error && !this.#rejects) this.send(JSON.stringify({ errors: [error] }))
    this.#ended = error && this.#rejects ? { error } : {}
    for (const resolve of this.#drained.splice(0)) resolve()
    if (!this.#asking) return
    const { resolve, reject } = this.#asking
    this.#asking = undefined
    if (error && this.#rejects) {
      this.#ended = {}
      reject(error)
    } else resolve({ done: true, value: undefined })
  }

  return(): Promise<IteratorResult<ExecutionResult>> {
    this.#results = []
    this.waiting = 0
    this.onReturn?.()
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }
}

const ready = (json: string): Ready => ({ stringify: () => json })
