interface Reading<Result> {
  readonly now: Promise<Result>
  next?: Promise<Result>
}

const noop = () => {}

/**
 * Reads each thing once for all who ask for it at the same time. A caller that asks while the same is being read shares
 * the next reading: the current one may be older than the moment from which the caller hears live events.
 */
export class SharedReads<Result> {
  readonly #readings = new Map<string, Reading<Result>>()

  /** The result of `read`; `name` says what is read. */
  read(name: string, read: () => Promise<Result>): Promise<Result> {
    const current = this.#readings.get(name)
    if (!current) return this.#begin(name, read)
    current.next ??= current.now.then(noop, noop).then(() => this.#begin(name, read))
    return current.next
  }

  #begin(name: string, read: () => Promise<Result>): Promise<Result> {
    const reading: Reading<Result> = { now: read() }
    this.#readings.set(name, reading)
    const forget = () => {
      if (this.#readings.get(name) === reading && !reading.next) this.#readings.delete(name)
    }
    reading.now.then(forget, forget)
    return reading.now
  }
}
