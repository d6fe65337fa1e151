import type { Config } from '../operator/config.ts'
import { type Embedded, type EmbeddedLog, startEmbedded } from '../embedded/embedded.ts'

/** The database that a command works on. */
export interface OpenDatabase {
  readonly url: string
  /** None: it is the operator's own. */
  readonly embedded?: Embedded
  /** Lets go of it. */
  close(): Promise<void>
}

/**
 * The operator's database, or else the embedded one, shared with whatever other process is using it. Before a command
 * ends, it closes it.
 */
export async function openDatabase(config: Config, log: EmbeddedLog): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) return { url: config.databaseUrl, close: async () => {} }
  // enough for three processes with a full pool each on one data folder, and for whoever looks in
  const embedded = await startEmbedded({ folder: config.data, maxConnections: 3 * config.pool.max + 20, log })
  return { url: embedded.url, embedded, close: () => embedded.stop() }
}
