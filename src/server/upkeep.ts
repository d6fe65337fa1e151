import type { AnyAggregate, Chore, Module, Workplace } from '../api/module.ts'
import { forgetOldKeys } from '../commit/oldKeys.ts'
import { prune } from '../journal/prune.ts'
import type { Log } from '../operator/log.ts'

const HOUR_MS = 3_600_000

/** Runs chores now and every hour, until stopped. A chore that fails is logged, and runs again at the next hour. */
export class Upkeep {
  readonly #at: Workplace & { readonly log: Log }
  readonly #ended = new AbortController()
  readonly #hourly: NodeJS.Timeout
  /** Each chore's own queue: it never runs twice at a time, and no chore waits for another. */
  readonly #running = new Map<Chore, Promise<void>>()

  constructor(chores: readonly Chore[], at: Workplace & { readonly log: Log }) {
    this.#at = at
    const begin = () => {
      for (const chore of chores) this.#running.set(chore, this.#after(this.#running.get(chore), chore))
    }
    begin()
    this.#hourly = setInterval(begin, HOUR_MS)
  }

  /** Begins nothing more, and aborts what is under way; resolves when that has ended. */
  async stop(): Promise<void> {
    this.#ended.abort()
    clearInterval(this.#hourly)
    await Promise.all(this.#running.values())
  }

  async #after(previous: Promise<void> | undefined, { name, run }: Chore): Promise<void> {
    await previous
    const { signal } = this.#ended
    if (signal.aborted) return
    const { db, commit, log } = this.#at
    try {
      const done = await run({ db, commit, signal })
      if (done) log.info({ chore: name, done }, 'A chore was done.')
    } catch (error) {
      log.warn({ err: error, chore: name }, 'A chore failed; trying again in an hour.')
    }
  }
}

/** The chores of a process: old idempotency keys, the journal (not with 0 days), and those of modules. */
export function choresOf({ idempotencyKeyDays, journalDays, aggregates, modules }: ChoresOptions): readonly Chore[] {
  const keys: Chore = {
    name: 'forget old idempotency keys',
    run: ({ db, signal }) => forgetOldKeys(db, idempotencyKeyDays, signal),
  }
  const journal: Chore = {
    name: 'fold old events',
    run: async ({ db, signal }) => (await prune({ db, aggregates, days: journalDays, signal })).events,
  }
  return [keys, ...(journalDays ? [journal] : []), ...modules.flatMap(({ chores }) => chores ?? [])]
}

interface ChoresOptions {
  /** Idempotency keys older than so many days are forgotten. */
  readonly idempotencyKeyDays: number
  /** Events older than so many days are folded; 0: none ever. */
  readonly journalDays: number
  readonly aggregates: readonly AnyAggregate[]
  readonly modules: readonly Pick<Module, 'chores'>[]
}
