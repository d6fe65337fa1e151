/** How many roots are remembered. Those that were noted longest ago are forgotten first. */
const MOST = 10_000

/** The newest version of each root that this process has committed or sent lately. */
export class Newest {
  /** By root, in the order in which they were noted. */
  readonly #versions = new Map<string, number>()

  /** Notes that this process has a version of a root. An older version than the known one changes nothing. */
  note(rootType: string, rootId: string, version: number): void {
    if (version > this.of(rootType, rootId)) this.correct(rootType, rootId, version)
  }

  /** Sets the newest version, also to a lower one: the root was deleted and made again. */
  correct(rootType: string, rootId: string, version: number): void {
    const key = keyOf(rootType, rootId)
    this.#versions.delete(key)
    this.#versions.set(key, version)
    if (this.#versions.size <= MOST) return
    for (const [oldest] of this.#versions) {
      this.#versions.delete(oldest)
      return
    }
  }

  /** The newest known version; 0 if none is known. */
  of(rootType: string, rootId: string): number {
    return this.#versions.get(keyOf(rootType, rootId)) ?? 0
  }
}

const keyOf = (rootType: string, rootId: string) => `${rootType} ${rootId}`
