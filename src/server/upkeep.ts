import type { AnyAggregate, Chore, Module } from '../api/module.ts'
import type { Workplace } from '../api/workplace.ts'
import { forgetOldKeys } from '../commit/oldKeys.ts'
import { prune } from '../journal/prune.ts'
import type { Log } from '../operator/log.ts'
import { type Repeated, repeat } from '../operator/repeat.ts'

const HOUR_MS = 3_600_000

/**
 * Runs chores now and an hour after they have ended, until stopped. A chore that fails is logged, and runs again at the
 * next hour.
 */
export class Upkeep {
  /** Each chore repeats by itself: it never runs twice at a time, and no chore waits for another. */
  readonly #chores: readonly Repeated[]

  constructor(chores: readonly Chore[], at: Workplace & { readonly log: Log }) {
    this.#chores = chores.map((chore) => repeat(HOUR_MS, (signal) => run(chore, at, signal)))
  }

  /** Starts nothing more, and aborts what is under way; resolves when that has ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#chores.map((chore) => chore.stop()))
  }
}

async function run(chore: Chore, { db, commit, log }: Workplace & { readonly log: Log }, signal: AbortSignal) {
  const { name } = chore
  try {
    const done = await chore.run({ db, commit, signal })
    if (done) log.info({ chore: name, done }, 'A chore was done.')
  } catch (error) {
    log.warn({ err: error, chore: name }, 'A chore failed; trying again in an hour.')
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
