import { migrationStatus } from '../database/migrate.ts'
import { say } from './answer.ts'
import type { Handle } from './http.ts'

/** The database is asked at most so often, however often we are asked, in ms. */
const FRESH_MS = 1_000
const ANSWER_MS = 2_000

/** Alive: this process answers. */
export const livez: Handle = (_, response) => say(response, 200, 'alive')

/** Ready, unless `whyNot` resolves with a reason. */
export const readyz =
  (whyNot: () => Promise<string | undefined>): Handle =>
  async (_, response) => {
    const why = await whyNot()
    say(response, why ? 503 : 200, why ?? 'ready')
  }

/** Whether the database can be worked with. */
export class Readiness {
  readonly #databaseUrl: string
  #last: { readonly at: number; readonly why: Promise<string | undefined> } | undefined

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
  }

  /** Why the database can't be worked with; undefined if it can. */
  whyNot(): Promise<string | undefined> {
    if (!this.#last || Date.now() - this.#last.at > FRESH_MS) this.#last = { at: Date.now(), why: this.#ask() }
    return this.#last.why
  }

  async #ask(): Promise<string | undefined> {
    try {
      const migrations = await migrationStatus(this.#databaseUrl, { withinMs: ANSWER_MS })
      const pending = migrations.filter(({ state }) => state !== 'applied')
      return pending.length
        ? `migrations: ${pending.map(({ name, state }) => `${name} ${state}`).join(', ')}`
        : undefined
    } catch {
      return 'the database cannot be reached'
    }
  }
}
