import type pg from 'pg'
import { type DataFolder, prepareDataFolder } from './dataFolder.ts'
import { explained } from './folderError.ts'
import { type Lease, release, setIdle, takeLease } from './lease.ts'
import { makeDatabase } from './makeDatabase.ts'
import type { LaunchOptions } from './postmaster.ts'

/** Receives what happens to PostgreSQL, as sentences. */
export interface EmbeddedLog {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** How to run a PostgreSQL of our own. */
export interface EmbeddedOptions {
  /** The data folder; PostgreSQL's own is below it. */
  readonly folder: string
  /** For tests: nothing is flushed to the disk. */
  readonly fast?: boolean
  /** For all processes that use the data folder together; the process that starts PostgreSQL decides. */
  readonly maxConnections?: number
  readonly log?: EmbeddedLog
}

/** A PostgreSQL of our own, which is restarted if it goes away. */
export interface Embedded {
  /** The database `lockstep`, as its owner, who may create databases and is no superuser. */
  readonly url: string
  /** Another process had started it. */
  readonly adopted: boolean
  /** The process id; another one after a restart. */
  readonly pid: number
  /** Settles when PostgreSQL went away and could not be brought back. */
  readonly lost: Promise<Error>
  /** Ends this process's use of it. The last process to do so stops PostgreSQL. */
  stop(): Promise<void>
}

/** More restarts than `most` in `within` milliseconds: it is given up. */
const restarts = { most: 5, within: 60_000 }

/**
 * Runs PostgreSQL on a data folder, or adopts the one that already runs on it, be it another process's or one that a
 * killed process left behind. Throws an OperatorError if the folder, or the PostgreSQL on it, cannot be used.
 */
export async function startEmbedded({
  folder,
  fast = false,
  maxConnections = 200,
  log,
}: EmbeddedOptions): Promise<Embedded> {
  const data = await prepareDataFolder(folder, { fast })
  const options = { fast, maxConnections }
  const lease = await takeLease(data, options)
  try {
    await makeDatabase(lease.client)
  } catch (error) {
    await release(lease, (message) => log?.warn(message))
    throw explained(error, folder)
  }
  if (lease.adopted && lease.maxConnections < maxConnections) {
    log?.warn(
      `The PostgreSQL that already runs on ${folder} takes ${lease.maxConnections} connections, and this ` +
        `process would have it take ${maxConnections}.`,
    )
  }
  return new Supervised(data, options, lease, log)
}

/**
 * Watches the connection of a lease, and takes another when that connection ends:
 *
 *     watching ──▶ recovering ──▶ watching
 *        │             ├── too often, or PostgreSQL is not at its port again ──▶ lost
 *        └── stop() ───┴──▶ stopped
 */
class Supervised implements Embedded {
  readonly url: string
  readonly adopted: boolean
  readonly lost: Promise<Error>
  readonly #data: DataFolder
  readonly #options: LaunchOptions
  readonly #log: EmbeddedLog | undefined
  readonly #port: number
  readonly #recoveries: number[] = []
  #lease: Lease
  #giveUp: (error: Error) => void = () => {}
  #recovering: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(data: DataFolder, options: LaunchOptions, lease: Lease, log: EmbeddedLog | undefined) {
    this.url = `postgresql://lockstep:${data.password}@127.0.0.1:${lease.port}/lockstep?sslmode=disable`
    this.adopted = lease.adopted
    this.lost = new Promise((resolve) => (this.#giveUp = resolve))
    this.#data = data
    this.#options = options
    this.#log = log
    this.#port = lease.port
    this.#lease = lease
    this.#watch(lease.client)
  }

  get pid(): number {
    return this.#lease.pid
  }

  stop(): Promise<void> {
    return (this.#stopping ??= Promise.resolve(this.#recovering).then(() =>
      release(this.#lease, (message) => this.#log?.warn(message)),
    ))
  }

  #watch(client: pg.Client) {
    client.once('end', () => {
      if (!this.#stopping) this.#recovering = this.#recover()
    })
    setIdle(client, true)
  }

  async #recover() {
    try {
      this.#countRecovery()
      this.#log?.warn('The connection to the embedded PostgreSQL was lost; looking after it.')
      const lease = await takeLease(this.#data, this.#options)
      this.#lease = lease
      if (lease.port !== this.#port)
        throw new Error(`it came back at port ${lease.port}, since port ${this.#port} was taken meanwhile`)
      this.#log?.info(`The embedded PostgreSQL ${lease.adopted ? 'is there' : 'was restarted'} (pid ${lease.pid}).`)
      if (!this.#stopping) this.#watch(lease.client)
    } catch (error) {
      const reason = error instanceof Error ? error.message : error
      const message = `The embedded PostgreSQL went away and could not be brought back: ${reason}`
      this.#log?.error(message)
      this.#giveUp(new Error(message, { cause: error }))
    }
  }

  #countRecovery() {
    const now = performance.now()
    this.#recoveries.push(now)
    if (this.#recoveries.filter((time) => now - time < restarts.within).length > restarts.most)
      throw new Error(`it went away more than ${restarts.most} times in ${restarts.within / 1_000} seconds`)
  }
}
