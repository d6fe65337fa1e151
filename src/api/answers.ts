import type { Newest } from '../journal/newest.ts'

/** A root that the answer to a mutation shows. */
export interface Shown {
  readonly rootType: string
  readonly rootId: string
  /** The version that is shown. */
  readonly version: number
  /** Reads the root again, so that it is shown as it is now. Rejects if it cannot be read. */
  refresh(): Promise<void>
}

/** The answers to the mutations of one operation. They are made once, and may be rendered several times. */
export class Answers {
  readonly #made = new Map<string, Promise<unknown>>()
  readonly #shown: Shown[] = []

  /** What a mutation field answers: `make` is called only the first time. `field` is its name in the answer. */
  once<Made>(field: string, make: () => Promise<Made>): Promise<Made> {
    const made = (this.#made.get(field) as Promise<Made> | undefined) ?? make() // of the same field
    this.#made.set(field, made)
    return made
  }

  /** Adds a root that an answer shows. */
  add(shown: Shown): void {
    this.#shown.push(shown)
  }

  /** Refreshes each root of which a newer version is known than is shown. Resolves with whether there was one. */
  async refresh(newest: Newest): Promise<boolean> {
    const stale = this.#shown.filter(({ rootType, rootId, version }) => newest.of(rootType, rootId) > version)
    await Promise.all(
      stale.map(async (shown) => {
        await shown.refresh().catch(() => {}) // then it stays as it is
        newest.correct(shown.rootType, shown.rootId, shown.version)
      }),
    )
    return stale.length > 0
  }
}
