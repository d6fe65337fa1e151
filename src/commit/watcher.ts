/** Reports what commits do, for metrics and logs. What a watcher throws is ignored. */
export interface Watcher {
  /** A transaction was committed, for so many requests, in so many milliseconds from BEGIN to COMMIT. */
  batch?(size: number, ms: number): void
  /** A request was settled: `changed`, `unchanged`, `replayed`, a domain error's code, or `FAILED`. */
  settled?(verb: string, outcome: string): void
  /**
   * A conflict or an interruption, and what was done: the transaction was tried again, the batch was split, roots were
   * read again under their locks, requests wait for a lock, the database was asked for the outcome of a COMMIT; or
   * requests were given up.
   */
  met?(race: 'retry' | 'split' | 'reread' | 'lock-wait' | 'outcome-asked' | 'gave-up', detail: object): void
  /** A batch failed with an error that is neither the caller's fault nor a conflict. Should never happen. */
  failed?(error: unknown, verbs: readonly string[]): void
}

/** The same callbacks; what they throw is ignored, since it must not affect commits. */
export function harmless<Callbacks extends object>(callbacks: Callbacks): Callbacks {
  const guarded = Object.entries(callbacks).flatMap(([name, callback]) => {
    if (!callback) return []
    const guard = (...values: unknown[]) => {
      try {
        callback(...values)
      } catch {}
    }
    return [[name, guard]]
  })
  return Object.fromEntries(guarded)
}
