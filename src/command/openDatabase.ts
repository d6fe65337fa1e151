import type { Config } from '../operator/config.ts'
import { type Embedded, type EmbeddedLog, startEmbedded } from '../embedded/embedded.ts'

/** The database that a command works on. */
export interface OpenDatabase {
  readonly url: string
  /** Absent: the database is the operator's own. */
  readonly embedded?: Embedded
  /** Must be called before the command ends. */
  close(): Promise<void>
}

/**
 * The operator's database if DATABASE_URL is set, otherwise the embedded one, shared with other processes that use it.
 */
export async function openDatabase(config: Config, log: EmbeddedLog): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) return { url: config.databaseUrl, close: async () => {} }
  // enough for three processes with a full pool each on one data folder, and for somebody who looks in
  const embedded = await startEmbedded({ folder: config.data, maxConnections: 3 * config.pool.max + 20, log })
  return { url: embedded.url, embedded, close: () => embedded.stop() }
}
