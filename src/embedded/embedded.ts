import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { type DataFolder, prepareDataFolder } from './dataFolder.ts'
import { explained } from './folderError.ts'
import { isAlive } from './livingProcess.ts'
import { findPostmaster, launch, type LaunchOptions, type Postmaster, removeStale } from './postmaster.ts'

/** Where it is told what PostgreSQL is about. */
export interface EmbeddedLog {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** What is asked of a PostgreSQL of our own. */
export interface EmbeddedOptions {
  /** The data folder; PostgreSQL's own is below it. */
  readonly folder: string
  /** For tests: nothing is flushed to the disk. */
  readonly fast?: boolean
  /** All processes that use the data folder together; whoever starts PostgreSQL decides. */
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
  /** Lets go of it; whoever does so last stops it. */
  readonly stop: () => Promise<void>
}

/** Held shared by each process that uses the data folder, for as long as it does. */
const inUse = 7_270_736_901
/** Held by the one that makes the database. */
const making = 7_270_736_902

/** So many restarts in so many milliseconds, then it is given up. */
const restarts = { most: 5, within: 60_000 }

/**
 * Runs PostgreSQL on a data folder, or adopts the one that already runs on it, be it another process's or one that a
 * killed process left behind. There is no lock file and no list of users: each user holds one connection, and on it a
 * shared advisory lock. PostgreSQL knows when a user is gone, however it went. Who can get the lock for itself alone is
 * the last one, and stops PostgreSQL.
 */
export async function startEmbedded({
  folder,
  fast = false,
  maxConnections = 200,
  log,
}: EmbeddedOptions): Promise<Embedded> {
  const data = await prepareDataFolder(folder, { fast })
  const options = { fast, maxConnections }
  const held = await hold(data, options)
  try {
    await makeDatabase(held.client)
  } catch (error) {
    await letGo(held, log)
    throw explained(error, folder)
  }
  if (held.adopted && held.maxConnections < maxConnections) {
    log?.warn(
      `The PostgreSQL that already runs on ${folder} takes ${held.maxConnections} connections, and this process ` +
        `would have it take ${maxConnections}.`,
    )
  }
  return new KeptPostgres(data, options, held, log)
}

/** Holds on to a PostgreSQL, and brings it back when it goes away. */
class KeptPostgres implements Embedded {
  readonly url: string
  readonly adopted: boolean
  readonly lost: Promise<Error>
  readonly #data: DataFolder
  readonly #options: LaunchOptions
  readonly #log: EmbeddedLog | undefined
  /** The port stays the same: it is part of the URL. */
  readonly #port: number
  /** When it was restarted. */
  readonly #times: number[] = []
  #held: Held
  #giveUp: (error: Error) => void = () => {}
  #recovering: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(data: DataFolder, options: LaunchOptions, held: Held, log: EmbeddedLog | undefined) {
    this.#data = data
    this.#options = options
    this.#log = log
    this.#held = held
    this.#port = held.port
    this.url = `postgresql://lockstep:${data.password}@127.0.0.1:${held.port}/lockstep?sslmode=disable`
    this.adopted = held.adopted
    this.lost = new Promise((resolve) => (this.#giveUp = resolve))
    this.#watch()
  }

  get pid(): number {
    return this.#held.pid
  }

  /** Bound, so that it can be passed on by itself. */
  readonly stop = (): Promise<void> =>
    (this.#stopping ??= Promise.resolve(this.#recovering).then(() => letGo(this.#held, this.#log)))

  #watch() {
    this.#held.client.once('end', () => {
      if (!this.#stopping) this.#recovering = this.#recover()
    })
    idle(this.#held.client, true)
  }

  async #recover() {
    try {
      await this.#bringBack()
    } catch (error) {
      const reason = error instanceof Error ? error.message : error
      const sentence = `The embedded PostgreSQL went away and could not be brought back: ${reason}`
      this.#log?.error(sentence)
      this.#giveUp(new Error(sentence, { cause: error }))
    }
  }

  async #bringBack() {
    const now = performance.now()
    this.#times.push(now)
    if (this.#times.filter((time) => now - time < restarts.within).length > restarts.most) {
      throw new Error(`it went away more than ${restarts.most} times in ${restarts.within / 1_000} seconds`)
    }
    this.#log?.warn('The connection to the embedded PostgreSQL was lost; looking after it.')
    this.#held = await hold(this.#data, this.#options)
    const { port, adopted, pid } = this.#held
    if (port !== this.#port)
      throw new Error(`it came back at port ${port}, since port ${this.#port} was taken meanwhile`)
    this.#log?.info(`The embedded PostgreSQL ${adopted ? 'is there' : 'was restarted'} (pid ${pid}).`)
    if (!this.#stopping) this.#watch()
  }
}

/** A connection that says: in use. */
interface Held extends Postmaster {
  readonly client: pg.Client
  readonly adopted: boolean
  readonly maxConnections: number
}

async function hold(data: DataFolder, options: LaunchOptions): Promise<Held> {
  let adopted = true
  let since = performance.now()
  for (;;) {
    const found = await findPostmaster(data.path)
    if (!found) adopted = (await launch(data, options)) === 'given way'
    if (!found?.ready) since = performance.now()
    else {
      const held = await connect(data, found)
      if (held) return { ...found, ...held, adopted }
    }
    if (found && performance.now() - since > 30_000) {
      const sentence =
        `A PostgreSQL (pid ${found.pid}) runs on ${data.path} and does not answer at port ` +
        `${found.port}. ` +
        `Stop it, ` +
        `then start again.`
      throw new OperatorError(sentence, exitCode.unavailable)
    }
    if (found || adopted) await sleep(20) // it starts, recovers or stops, none of which has a limit
  }
}

/** PostgreSQL's word for: not yet, or not any more. */
const unsettled = ['57P01', '57P02', '57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']

async function connect(
  data: DataFolder,
  { pid, port }: Postmaster,
): Promise<{ client: pg.Client; maxConnections: number } | undefined> {
  const address = {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: data.password,
    database: 'postgres',
    ssl: false,
    options: '-c statement_timeout=0',
  }
  const client = new pg.Client({
    ...address,
    application_name: 'lockstep (holds the data folder)',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  client.on('error', () => {}) // told by 'end' too
  try {
    await client.connect()
    await client.query('select pg_advisory_lock_shared($1)', [inUse])
    const { rows } = await client.query<{ folder: string; maximum: number }>(
      "select current_setting('data_directory') as folder, current_setting('max_connections')::int as maximum",
    )
    const { folder, maximum } = rows[0]!
    if (await isSame(folder, data.path)) return { client, maxConnections: maximum }
    // the data folder was copied from one in use, and with it the file that names that one's process
    await removeStale(data.path, async (found) => found === pid)
    await client.end()
    return undefined
  } catch (error) {
    await client.end().catch(() => {})
    const { code = '', message } = error as pg.DatabaseError
    if (unsettled.includes(code) || /terminated|timeout/.test(message)) return undefined
    if (code !== '28P01') throw error
    throw new OperatorError(
      `The PostgreSQL that runs on ${data.path} (pid ${pid}) does not accept the password in ` +
        `${data.path}/lockstep.password. Was one of them changed?`,
      exitCode.permission,
    )
  }
}

/** A folder that can't be seen was renamed while it was in use, and is this one. */
async function isSame(folder: string, other: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined)
  return !found || found.ino === (await stat(other)).ino
}

/** Holding on to PostgreSQL is no reason for a program to go on running; asking it something is. */
function idle(client: pg.Client, isIdle: boolean) {
  const { ref, unref } = client as pg.Client & { ref(): void; unref(): void } // pg has them, its types don't
  ;(isIdle ? unref : ref).call(client)
}

/**
 * The password is the superuser's, as PostgreSQL keeps it: nothing that can be read goes over the wire or into a log.
 */
async function makeDatabase(client: pg.Client) {
  await client.query('select pg_advisory_lock($1)', [making])
  await client.query(`
    do $$ begin
      if not exists (select from pg_roles where rolname = 'lockstep') then
        execute format('create role lockstep login createdb password %L', (select rolpassword from pg_authid
        where rolname = 'postgres'));
        grant pg_monitor, pg_checkpoint to lockstep;
      end if;
    end $$`)
  const { rowCount } = await client.query("select from pg_database where datname = 'lockstep'")
  if (!rowCount) await client.query('create database lockstep owner lockstep')
  await client.query('select pg_advisory_unlock($1)', [making])
}

async function letGo({ client, pid }: Held, log: EmbeddedLog | undefined) {
  idle(client, false)
  const isLast = await client
    .query('select pg_advisory_unlock_shared($1)', [inUse])
    .then(() => client.query<{ last: boolean }>('select pg_try_advisory_lock($1) as last', [inUse]))
    .then(
      ({ rows }) => rows[0]!.last,
      () => false,
    ) // gone already
  // Whoever comes now waits for the lock, and is turned away when PostgreSQL stops; it then starts it again.
  if (isLast) await stopPostmaster(pid, log)
  await client.end().catch(() => {})
}

async function stopPostmaster(pid: number, log: EmbeddedLog | undefined) {
  const gone = async (milliseconds: number) => {
    for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(10)) if (!isAlive(pid)) return true
    return false
  }
  process.kill(pid, 'SIGINT') // its `fast`: ends the sessions, writes everything to disk
  if (await gone(60_000)) return
  log?.warn(
    'The embedded PostgreSQL has been stopping for a minute; ending it as a crash would. Nothing that was ' +
      'committed is lost.',
  )
  process.kill(pid, 'SIGQUIT')
  await gone(10_000)
}
