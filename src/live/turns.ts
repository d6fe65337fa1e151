/** Hands values on in the order in which they were added, though some are there sooner than others. */
export class Turns {
  #last: Promise<void> | undefined
  #count = 0
  readonly #most: number

  /** At most so many wait. */
  constructor(most: number) {
    this.#most = most
  }

  /** Resolves when the last of those that wait was handed on; undefined if none waits. */
  get last(): Promise<void> | undefined {
    return this.#last
  }

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Calls `then` with the value in its turn, or `failed` with the error. Returns false if too many wait. */
  add<T>(value: T | Promise<T>, then: (value: T) => void, failed: (error: unknown) => void): boolean {
    if (value instanceof Promise) value.catch(() => {}) // handled in its turn, or by nobody
    if (this.#count >= this.#most) return false
    this.#count++
    const turn = (this.#last ?? Promise.resolve())
      .then(() => value)
      .then(then)
      .catch(failed)
      .then(() => {
        this.#count--
        if (this.#last === turn) this.#last = undefined
      })
    this.#last = turn
    return true
  }
}
