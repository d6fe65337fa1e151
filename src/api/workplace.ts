import type { Commit } from '../commit/commit.ts'
import type { Db } from '../database/client.ts'

/** The database, for work outside a request. */
export interface Workplace {
  readonly db: Db
  /** The only way to write. */
  readonly commit: Commit
}
