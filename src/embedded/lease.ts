import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import type { DataFolder } from './dataFolder.ts'
import { isAlive } from './livingProcess.ts'
import { findPostmaster, launch, type LaunchOptions, type Postmaster, removeStale } from './postmaster.ts'

/**
 * One process's use of a data folder: a connection that holds a shared advisory lock. There is no lock file and no list
 * of users: PostgreSQL knows when a connection is gone, however its process ended. The process that gets the lock for
 * itself alone is the last one, and stops PostgreSQL.
 */
export interface Lease extends Postmaster {
  readonly client: pg.Client
  /** Another process had started PostgreSQL. */
  readonly adopted: boolean
  readonly maxConnections: number
}

type Warn = (message: string) => void

/** The advisory lock that says: in use. */
const inUse = 7_270_736_901

/** How long a PostgreSQL that says it is ready may refuse connections. */
const patienceMs = 30_000

/** Starts PostgreSQL, or finds the one that runs, and waits until it is ready. */
export async function takeLease(data: DataFolder, options: LaunchOptions): Promise<Lease> {
  let adopted = true
  let since = performance.now()
  for (;;) {
    const found = await findPostmaster(data.path)
    if (!found) adopted = (await launch(data, options)) === 'given way'
    if (!found?.ready) since = performance.now()
    else {
      const connection = await connect(data, found)
      if (connection) return { ...found, ...connection, adopted }
    }
    if (found && performance.now() - since > patienceMs) {
      const sentence =
        `A PostgreSQL (pid ${found.pid}) runs on ${data.path} and does not answer at port ${found.port}. Stop ` +
        'it, then start again.'
      throw new OperatorError(sentence, exitCode.unavailable)
    }
    if (found || adopted) await sleep(20) // it starts, recovers or stops, none of which has a limit
  }
}

/** Codes of PostgreSQL, and of sockets, that mean: not yet, or not any more. */
const unsettled = ['57P01', '57P02', '57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']

/** Undefined if PostgreSQL is not ready after all, or is another folder's. */
async function connect(
  data: DataFolder,
  { pid, port }: Postmaster,
): Promise<Pick<Lease, 'client' | 'maxConnections'> | undefined> {
  const client = newClient(data, port)
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
    const { code = '', message } = error as pg.DatabaseError // or a socket's error, which has both too
    if (unsettled.includes(code) || /terminated|timeout/.test(message)) return undefined
    if (code !== '28P01') throw error
    throw new OperatorError(
      `The PostgreSQL that runs on ${data.path} (pid ${pid}) does not accept the password in ` +
        `${data.path}/lockstep.password. Was one of them changed?`,
      exitCode.permission,
    )
  }
}

function newClient({ password }: DataFolder, port: number): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    database: 'postgres',
    ssl: false,
    options: '-c statement_timeout=0',
    application_name: 'lockstep (holds the data folder)',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  client.on('error', () => {}) // 'end' follows
  return client
}

/** A folder that can't be seen was renamed while it was in use, and is this one. */
async function isSame(folder: string, other: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined)
  return !found || found.ino === (await stat(other)).ino
}

/** An idle connection does not keep this process running; one with a query under way does. */
export function setIdle(client: pg.Client, isIdle: boolean): void {
  const { ref, unref } = client as pg.Client & { ref(): void; unref(): void } // pg has them, its types don't
  ;(isIdle ? unref : ref).call(client)
}

/** Ends this process's use. Stops PostgreSQL if no other process uses it. */
export async function release({ client, pid }: Lease, warn: Warn): Promise<void> {
  setIdle(client, false)
  const isLast = await client
    .query('select pg_advisory_unlock_shared($1)', [inUse])
    .then(() => client.query<{ last: boolean }>('select pg_try_advisory_lock($1) as last', [inUse]))
    .then(
      ({ rows }) => rows[0]!.last,
      () => false, // PostgreSQL is gone already
    )
  // A process that connects now waits for the lock, is turned away when PostgreSQL stops, and starts it again.
  if (isLast) await stopPostmaster(pid, warn)
  await client.end().catch(() => {})
}

async function stopPostmaster(pid: number, warn: Warn) {
  const gone = async (milliseconds: number) => {
    for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(10)) if (!isAlive(pid)) return true
    return false
  }
  process.kill(pid, 'SIGINT') // PostgreSQL's `fast` stop: ends the sessions, writes everything to disk
  if (await gone(60_000)) return
  warn(
    'The embedded PostgreSQL has been stopping for a minute; ending it as a crash would. Nothing that was ' +
      'committed is lost.',
  )
  process.kill(pid, 'SIGQUIT')
  await gone(10_000)
}
