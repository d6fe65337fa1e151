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
  readonly #shown = new Set<Shown>()

  /** What a mutation field answers: `make` is called only the first time. `field` is its name in the answer. */
  once<Made>(field: string, make: () => Promise<Made>): Promise<Made> {
    const made = (this.#made.get(field) as Promise<Made> | undefined) ?? make() // of the same field
    this.#made.set(field, made)
    return made
  }

  /** Adds a root that an answer shows. */
  add(shown: Shown): void {
    this.#shown.add(shown)
  }

  /**
   * Refreshes each root of which a newer version is known than is shown. Resolves with whether one was refreshed. One
   * that cannot be read is shown as it is, and is not tried again.
   */
  async refresh(newest: Newest): Promise<boolean> {
    const stale = [...this.#shown].filter((shown) => newest.of(shown.rootType, shown.rootId) > shown.version)
    const refreshed = await Promise.all(stale.map((shown) => this.#refresh(shown, newest)))
    return refreshed.includes(true)
  }

  async #refresh(shown: Shown, newest: Newest): Promise<boolean> {
    const { rootType, rootId } = shown
    const known = newest.of(rootType, rootId)
    try {
      await shown.refresh()
    } catch {
      this.#shown.delete(shown)
      return false
    }
    // Older than what was known before: the root was deleted and made again. Otherwise nothing is corrected, because
    // something newer may have been noted while it was read.
    if (shown.version < known) newest.correct(rootType, rootId, shown.version)
    return true
  }
}
