import { isTransient } from './conflict.ts'

/** How many times it is tried. */
const TRIES = 8

/**
 * Runs a statement or a transaction, again each time that it loses a conflict with another one (40001, which
 * REPEATABLE READ brings, or 40P01). After 8 attempts, rejects with the last error.
 */
export async function retry<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt === TRIES || !isTransient(error)) throw error
    }
  }
}
