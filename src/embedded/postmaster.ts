import { spawn } from 'node:child_process'
import { chown, link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import type { DataFolder } from './dataFolder.ts'
import { explained, isDiskFull } from './folderError.ts'
import { programOf } from './livingProcess.ts'
import { environment } from './programs.ts'

/** A PostgreSQL that is running on a data folder. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** It accepts connections. Otherwise it is starting, recovering from a crash, or stopping. */
  readonly ready: boolean
}

/** The options that PostgreSQL is started with. */
export interface LaunchOptions {
  /**
   * For tests: nothing is flushed to the disk. Commits survive a crash of PostgreSQL, but not one of the machine.
   */
  readonly fast: boolean
  readonly maxConnections: number
}

/**
 * The PostgreSQL that runs on a data folder, by the file postmaster.pid there, which is also PostgreSQL's lock. After a
 * crash the file is still there; its process is then gone, or another program (process ids are reused after a restart
 * of the machine or the container).
 */
export async function findPostmaster(folder: string): Promise<Postmaster | undefined> {
  const text = await readFile(path.join(folder, 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid, , , port, , , , status] = text.split('\n')
  if (!pid || !(await serves(Number(pid), folder))) return undefined
  return { pid: Number(pid), port: Number(port), ready: status?.trim() === 'ready' }
}

/** PostgreSQL's working directory is its data folder. Where that can't be seen, any PostgreSQL counts. */
async function serves(pid: number, folder: string): Promise<boolean> {
  if (programOf(pid) !== 'postgres') return false
  const working = await stat(`/proc/${pid}/cwd`).catch(() => undefined)
  return !working || working.ino === (await stat(folder)).ino
}

/**
 * PostgreSQL mistakes any process of the same user, even a zombie, for the one that left the file, and won't start. So
 * a stale file is removed.
 */
export async function removeStale(folder: string, isStale = async (pid: number) => !(await serves(pid, folder))) {
  const file = path.join(folder, 'postmaster.pid')
  const renamed = `${file}.${process.pid}`
  const pidIn = async (name: string) => Number.parseInt(await readFile(name, 'utf8').catch(() => ''), 10)
  const found = await pidIn(file)
  if (Number.isNaN(found) || !(await isStale(found))) return
  // between reading and removing, another process may have removed it and started PostgreSQL: that one's file is put
  // back
  await rename(file, renamed).catch(() => {})
  const taken = await pidIn(renamed)
  if (!Number.isNaN(taken) && !(await isStale(taken))) await link(renamed, file).catch(() => {})
  await rm(renamed, { force: true })
}

/**
 * Starts PostgreSQL and waits until it accepts connections, however long it recovers from a crash. If another process
 * has started one meanwhile, this one gives way: the lock in the data folder is PostgreSQL's own.
 */
export async function launch(folder: DataFolder, options: LaunchOptions): Promise<'started' | 'given way'> {
  const patience = Date.now() + 30_000
  for (let port = (await lastPort(folder.path)) ?? (await freePort()); ; ) {
    await removeStale(folder.path)
    const failure = await tryLaunch(folder, port, options)
    if (failure === undefined) return 'started'
    if (/lock file "postmaster\.pid" (already exists|is empty)/.test(failure)) return 'given way'
    if (Date.now() < patience && /could not (create any TCP|bind)/.test(failure)) port = await freePort()
    // the backends of one that was killed take a moment to notice, and the new one waits for them to be gone
    else if (Date.now() < patience && /still in use|is being used/.test(failure)) await sleep(50)
    else throw explained(reasonFor(failure, folder.path), folder.path)
  }
}

function reasonFor(said: string, folder: string): Error {
  if (isDiskFull(said)) return new Error(said)
  const reasons = said
    .split('\n')
    .filter((line) => /FATAL|PANIC|error/.test(line))
    .map((line) => line.replace(/^.*?(FATAL|PANIC): +/, '')) // without the time
  return new OperatorError(
    `PostgreSQL could not be started on ${folder}: ` +
      `${reasons.join('; ') || said.trim() || 'it said nothing'}. What it said is in ${logFile(folder)}.`,
    exitCode.system,
  )
}

const logFile = (folder: string) => path.join(folder, 'lockstep.log')

/** Returns PostgreSQL's last words if it stopped instead of starting. */
async function tryLaunch(
  { path: folder, programs, account }: DataFolder,
  port: number,
  options: LaunchOptions,
): Promise<string | undefined> {
  await keepSmall(logFile(folder))
  const log = await open(logFile(folder), 'a', 0o600)
  try {
    if (account) await chown(logFile(folder), account.uid, account.gid)
    const { size } = await log.stat()
    const parameters = [
      '-D',
      folder,
      ...Object.entries(flags(port, options)).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]
    // In a session of its own: a Ctrl-C in the terminal must not reach it, since this program drains first, and it must
    // outlive a crash of this program. Its output goes to a file, since a pipe would not outlive this program.
    const child = spawn(programs.postgres, parameters, {
      ...account,
      cwd: '/',
      env: environment,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    let ended: string | undefined
    child
      .once('exit', (code, signal) => (ended = `exit ${code ?? signal}`))
      .once('error', (error) => (ended = error.message))
    child.unref()
    for (;;) {
      const found = await findPostmaster(folder)
      if (found?.pid === child.pid && found?.ready) return undefined
      if (ended !== undefined) break
      await sleep(10)
    }
    const said = (await readFile(logFile(folder))).subarray(size).toString()
    return said || ended
  } finally {
    await log.close()
  }
}

/** Only starts, stops and fatal errors are logged; even so, ten years of them need not be kept. */
async function keepSmall(file: string) {
  const found = await stat(file).catch(() => undefined)
  if (found && found.size > 1_000_000) await rename(file, `${file}.old`)
}

function flags(port: number, { fast, maxConnections }: LaunchOptions): Record<string, string | number> {
  return {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    shared_buffers: '128MB',
    jit: 'off',
    timezone: 'UTC',
    lc_messages: 'C',
    // the client reports errors of statements, many of which are expected; `log` is about PostgreSQL itself
    log_min_messages: 'log',
    log_checkpoints: 'off',
    ...(fast ? { fsync: 'off', full_page_writes: 'off' } : {}),
  }
}

/**
 * A data folder keeps its port while that is free, so that the processes that use it find PostgreSQL again after a
 * restart.
 */
async function lastPort(folder: string): Promise<number | undefined> {
  const port = /"port=(\d+)"/.exec(await readFile(path.join(folder, 'postmaster.opts'), 'utf8').catch(() => ''))?.[1]
  return port === undefined ? undefined : Number(port)
}

/**
 * A port that is free. Not one of the range that the system assigns itself: an outgoing connection may take such a port
 * while PostgreSQL restarts, even our own attempt to reach it (a socket can connect to itself).
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) =>
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)),
    )
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
