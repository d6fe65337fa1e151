import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, inject, it, vi } from 'vitest'
import { commits } from '../../src/commit/commit.ts'
import { parseConfig } from '../../src/operator/config.ts'
import { connect } from '../../src/database/client.ts'
import { startEmbedded } from '../../src/embedded/embedded.ts'
import { isAlive } from '../../src/embedded/livingProcess.ts'
import { inSession } from '../../src/database/session.ts'
import { registerUser } from '../../src/identity/registerUser.ts'
import { freePort } from '../freePort.ts'
import { ownDatabase } from '../ownDatabase.ts'
import { program } from '../program.ts'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

type Environment = Record<string, string>

interface Run {
  readonly process: ChildProcess
  /** Everything so far. */
  output(): string
  errors(): string
  /** What it answers to `--json`. */
  answer<T>(): Promise<T>
  exit(): Promise<{ code: number | null; output: string; errors: string }>
}

/** The program as an operator runs it, with nothing of our own environment but PATH. */
function lockstep(parameters: string[], environment: Environment = {}, stderr: 'pipe' | number = 'pipe'): Run {
  const child = spawn(process.execPath, [...program, ...parameters], {
    env: { PATH: process.env.PATH, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', stderr],
  })
  undo.push(() => child.kill('SIGKILL'))
  let [output, errors] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const closed = once(child, 'close') as Promise<[number | null]>
  const exit = () => closed.then(([code]) => ({ code, output, errors }))
  const answer = async <T>() => {
    await Promise.race([closed, vi.waitUntil(() => output.includes('\n'), { timeout: 25_000, interval: 10 })])
    if (!output.includes('\n')) throw new Error(`it ended without an answer:\n${errors}`)
    return JSON.parse(output) as T
  }
  return { process: child, output: () => output, errors: () => errors, answer, exit }
}

interface Places {
  graphiql: string
  graphql: string
  health: string
  demoTokens: string[]
}

async function started(environment: Environment, ...parameters: string[]): Promise<Run & Places> {
  const run = lockstep(['start', '--json', ...parameters], environment)
  return { ...run, ...(await run.answer<Places>()) }
}

async function stopped(run: Run, signal: NodeJS.Signals = 'SIGTERM') {
  run.process.kill(signal)
  const { code, errors } = await run.exit()
  expect(code, errors).toBe(0)
}

function newFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `lockstep-test-${process.pid}-start-`))
  fs.chmodSync(folder, 0o755)
  undo.push(() => {
    const pid = postmasterPid(folder)
    if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGQUIT')
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  })
  return folder
}

function postmasterPid(folder: string): number | undefined {
  const file = path.join(folder, 'postgres', 'postmaster.pid')
  return fs.existsSync(file) ? Number.parseInt(fs.readFileSync(file, 'utf8'), 10) : undefined
}

const status = (url: string) =>
  fetch(url).then(
    ({ status }) => status,
    () => 0,
  )
const ready = ({ health }: Places) =>
  vi.waitFor(async () => expect(await status(health)).toBe(200), { timeout: 15_000 })

const users = (url: string) =>
  inSession(
    url,
    async (client) => (await client.query<{ n: number }>('select count(*)::int as n from "User"')).rows[0]!.n,
  )

describe('lockstep start', () => {
  it('needs nothing but an empty folder: it serves, is healthy, and says where', async () => {
    const folder = newFolder()
    const run = await started({ LOCKSTEP_DATA: folder })
    expect(await status(run.health)).toBe(200)
    expect(await status(new URL('/livez', run.health).href)).toBe(200)
    const response = await fetch(run.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ __typename }' }),
    })
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } })
    const page = await fetch(run.graphiql, { headers: { accept: 'text/html' } })
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    expect(await page.text()).toContain('</html>')
    expect(run.demoTokens.length).toBeGreaterThan(0)
    await stopped(run)
    expect(postmasterPid(folder)).toBeUndefined()
  })

  it('says where to go in the last lines that it prints', async () => {
    const run = lockstep(['start'], { LOCKSTEP_DATA: newFolder() })
    await vi.waitFor(() => expect(run.output()).toMatch(/Authorization: Bearer <token>\n\n( {4}\S+\n)+$/), {
      timeout: 25_000,
    })
    expect(run.output()).toMatch(
      /Lockstep is ready\.\n\n {2}GraphiQL +http:\/\/127\.0\.0\.1:\d+\/\S* .*\n {2}GraphQL +http:.*\n {2}Health +http:.*\/readyz\n/,
    )
    await stopped(run)
  })

  it('finds again what was there, and fills only a new database with the demo', async () => {
    const folder = newFolder()
    await stopped(await started({ LOCKSTEP_DATA: folder }))
    const embedded = await startEmbedded({ folder, fast: true })
    const before = await users(embedded.url)
    expect(before).toBeGreaterThan(0)
    await inSession(embedded.url, (client) =>
      client.query(
        `insert into "User" (id, version, name, role, "createdAt")
          values ('somebody', 1, 'Somebody', 'LEARNER', now())`,
      ),
    )
    const run = await started({ LOCKSTEP_DATA: folder })
    expect(await users(embedded.url)).toBe(before + 1)
    await stopped(run)
    await embedded.stop()
  })

  it(
    'makes the demo that another had begun when it was killed, but not one that was finished and ' + 'changed since',
    async () => {
      const folder = newFolder()
      await stopped(await started({ LOCKSTEP_DATA: folder, HOST: '0.0.0.0' })) // without the demo
      const embedded = await startEmbedded({ folder, fast: true })
      const counted = (table: string) =>
        inSession(
          embedded.url,
          async (client) => (await client.query<{ n: number }>(`select count(*)::int as n from "${table}"`)).rows[0]!.n,
        )
      const db = connect(embedded.url, parseConfig({}).pool)
      const { commit } = commits(db)
      for (const userId of ['demo-learner-1', 'demo-learner-3', 'demo-admin'])
        await commit(registerUser, {
          actor: { id: 'system', role: 'SYSTEM' },
          input: { userId, name: userId, role: 'LEARNER' },
        })
      await db.$disconnect()

      const run = await started({ LOCKSTEP_DATA: folder })
      expect(run.demoTokens).toHaveLength(7)
      await stopped(run)
      const all = async () => ({
        users: await counted('User'),
        sessions: await counted('Session'),
        courses: await counted('Course'),
      })
      expect(await all()).toEqual({ users: 7, sessions: 7, courses: 2 })

      await inSession(embedded.url, (client) => client.query('delete from "Session" where "userId" = \'demo-admin\''))
      await stopped(await started({ LOCKSTEP_DATA: folder }))
      expect(await all()).toEqual({ users: 7, sessions: 6, courses: 2 })
      await embedded.stop()
    },
  )

  it('says so when its data folder was removed', async () => {
    const folder = newFolder()
    const run = await started({ LOCKSTEP_DATA: folder })
    const pid = postmasterPid(folder)!
    fs.rmSync(path.join(folder, 'postgres'), { recursive: true, force: true })
    process.kill(pid, 'SIGKILL') // as PostgreSQL does itself within a minute
    const { code, errors } = await run.exit()
    expect(errors).toContain(`The data folder ${folder} is gone: it was removed or renamed while it was in use.`)
    expect(code).toBe(69)
  })

  it.skipIf(process.platform !== 'linux')('serves, and ends in order, when its log cannot be written', async () => {
    const folder = newFolder()
    const full = fs.openSync('/dev/full', 'w')
    undo.push(() => fs.closeSync(full))
    const run = lockstep(['start', '--json'], { LOCKSTEP_DATA: folder }, full)
    const places = await run.answer<Places>()
    const pid = postmasterPid(folder)!
    expect(await status(places.health)).toBe(200)
    await stopped(run)
    expect(isAlive(pid)).toBe(false)
  })

  it('is alive but not ready until its database is', async () => {
    const url = await ownDatabase('empty')
    const port = await freePort()
    const at = (what: string) => `http://127.0.0.1:${port}/${what}`
    const run = await inSession(url, async (other) => {
      await other.query('select pg_advisory_lock(72707369)') // as another process that migrates
      const run = lockstep(['start', '--json'], { DATABASE_URL: url, PORT: String(port) })
      await vi.waitFor(async () => expect(await status(at('livez'))).toBe(200), { timeout: 20_000 })
      expect(await status(at('readyz'))).toBe(503)
      await other.query('select pg_advisory_unlock(72707369)')
      return run
    })
    await run.answer()
    expect(await status(at('readyz'))).toBe(200)
    await stopped(run)
  })

  it(
    'may share its data folder with another that serves at another port; the last to end stops ' + 'PostgreSQL',
    async () => {
      const folder = newFolder()
      const [first, second] = await Promise.all([
        started({ LOCKSTEP_DATA: folder }),
        started({ LOCKSTEP_DATA: folder }),
      ])
      const pid = postmasterPid(folder)!
      await stopped(first)
      expect(isAlive(pid)).toBe(true)
      expect(await status(second.health)).toBe(200)
      await stopped(second)
      expect(isAlive(pid)).toBe(false)
    },
  )

  it('takes over the PostgreSQL that a killed server left behind', async () => {
    const folder = newFolder()
    const killed = await started({ LOCKSTEP_DATA: folder })
    killed.process.kill('SIGKILL')
    await killed.exit()
    const pid = postmasterPid(folder)!
    expect(isAlive(pid)).toBe(true)
    const next = await started({ LOCKSTEP_DATA: folder })
    expect(postmasterPid(folder)).toBe(pid)
    await stopped(next)
    expect(isAlive(pid)).toBe(false)
  })

  it('brings PostgreSQL back when that is killed, and is ready again', async () => {
    const folder = newFolder()
    const run = await started({ LOCKSTEP_DATA: folder })
    const pid = postmasterPid(folder)!
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(() => expect(run.errors()).toMatch(/PostgreSQL was restarted/), { timeout: 15_000 })
    await ready(run)
    expect(postmasterPid(folder)).not.toBe(pid)
    await stopped(run)
  })

  it('does not stop, nor fill with the demo, a database of the operator’s own', async () => {
    const url = await ownDatabase('migrated')
    const run = await started({ DATABASE_URL: url })
    expect(run.demoTokens).toEqual([])
    await stopped(run)
    expect(await users(url)).toBe(0)
    const asked = await started({ DATABASE_URL: url }, '--demo')
    expect(asked.demoTokens.length).toBeGreaterThan(0)
    await stopped(asked)
    expect(await users(url)).toBeGreaterThan(0)
  })
})

describe('told to stop', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('by %s, it ends in order, with exit code 0', async (signal) => {
    const folder = newFolder()
    const run = await started({ LOCKSTEP_DATA: folder })
    await stopped(run, signal)
    expect(postmasterPid(folder)).toBeUndefined()
  })

  it('by one Ctrl-C that npm passes on a second time, it still ends in order', async () => {
    const folder = newFolder()
    const run = await started({ LOCKSTEP_DATA: folder })
    run.process.kill('SIGINT')
    await vi.waitFor(() => expect(run.errors()).toContain('Ending:'), { timeout: 15_000, interval: 5 })
    await stopped(run, 'SIGINT')
    expect(postmasterPid(folder)).toBeUndefined()
  })

  it('while it starts, it ends in order', async () => {
    const folder = newFolder()
    const run = lockstep(['start'], { LOCKSTEP_DATA: folder })
    await vi.waitUntil(() => fs.readdirSync(folder).length > 0, { timeout: 20_000, interval: 5 }) // initdb is at work
    await stopped(run, 'SIGINT')
    expect(run.output()).not.toContain('ready')
    expect(postmasterPid(folder)).toBeUndefined()
    await stopped(await started({ LOCKSTEP_DATA: folder }))
  })

  it('while PostgreSQL starts, it stops that too, however short the grace for requests is', async () => {
    const folder = newFolder()
    const run = lockstep(['start'], { LOCKSTEP_DATA: folder, SHUTDOWN_GRACE_MS: '1' })
    await vi.waitUntil(() => postmasterPid(folder), { timeout: 30_000, interval: 1 })
    await stopped(run, 'SIGTERM')
    expect(postmasterPid(folder)).toBeUndefined()
  })

  it('while a request is under way, it waits for that, and a second Ctrl-C ends it at once', async () => {
    const run = await started({ DATABASE_URL: await ownDatabase('migrated') })
    const { hostname, port } = new URL(run.graphql)
    const socket = net.connect(Number(port), hostname)
    socket.on('error', () => {})
    undo.push(() => socket.destroy())
    await once(socket, 'connect')
    socket.write('POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
    // it has been served since, so the request has arrived
    await ready(run)
    run.process.kill('SIGINT')
    await vi.waitFor(() => expect(run.errors()).toContain('Ending:'), { timeout: 15_000, interval: 5 })
    await new Promise((resolve) => setTimeout(resolve, 700)) // the next one is a press of its own
    expect(run.process.exitCode).toBeNull()
    run.process.kill('SIGINT')
    expect((await run.exit()).code).toBe(130)
  })
})

describe('what the operator can put right is told in a sentence, without a stack', () => {
  async function refused(run: Run, code: number, sentence: RegExp) {
    const result = await run.exit()
    expect(result.errors).toMatch(sentence)
    expect(result.errors).not.toMatch(/^\s+at /m)
    expect(result.errors.trim().split('\n')).toHaveLength(1)
    expect(result.code).toBe(code)
    expect(result.output).toBe('')
  }
  const quiet = { LOG_LEVEL: 'silent' }

  it('a port that is in use, before anything else is touched', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    undo.push(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const folder = newFolder()
    await refused(
      lockstep(['start'], { ...quiet, PORT: String(port), LOCKSTEP_DATA: folder }),
      69,
      new RegExp(`^Port ${port} at 127\\.0\\.0\\.1 is in use by another program\\. Stop that one, or set PORT`),
    )
    expect(fs.readdirSync(folder)).toEqual([])
  })

  it('an address that is not of this machine', async () => {
    await refused(
      lockstep(['start'], { ...quiet, HOST: '192.0.2.1', LOCKSTEP_DATA: newFolder() }),
      69,
      /^HOST is 192\.0\.2\.1, which is no address of this machine\./,
    )
  })

  it('a database that cannot be reached, without its password', async () => {
    const run = lockstep(['start'], { ...quiet, DATABASE_URL: 'postgresql://u:hidden@127.0.0.1:1/d' })
    await refused(
      run,
      69,
      /^The database postgresql:\/\/u@127\.0\.0\.1:1\/d cannot be used: nothing listens at 127\.0\.0\.1:1\. Start PostgreSQL there, or correct DATABASE_URL\./,
    )
    expect(run.errors()).not.toContain('hidden')
  })

  it('a password that is wrong', async () => {
    const url = new URL(inject('template'))
    url.password = 'hidden'
    const run = lockstep(['start'], { ...quiet, DATABASE_URL: url.href })
    await refused(
      run,
      77,
      /the password for the user lockstep was not accepted\. Correct the user or the password in DATABASE_URL\./,
    )
    expect(run.errors()).not.toContain('hidden')
  })

  it('a database that does not exist', async () => {
    await refused(
      lockstep(['start'], {
        ...quiet,
        DATABASE_URL: Object.assign(new URL(inject('template')), { pathname: '/nowhere' }).href,
      }),
      69,
      /there is no database nowhere\. Create it/,
    )
  })

  it('a data folder of another major version', async () => {
    const folder = newFolder()
    await (await startEmbedded({ folder, fast: true })).stop()
    fs.writeFileSync(path.join(folder, 'postgres', 'PG_VERSION'), '17\n')
    await refused(
      lockstep(['start'], { ...quiet, LOCKSTEP_DATA: folder }),
      65,
      /is a data folder of PostgreSQL 17, and this version of Lockstep comes with PostgreSQL 18/,
    )
  })

  it('migrations that are pending, when it may not apply them', async () => {
    const url = await ownDatabase('empty')
    await refused(
      lockstep(['start', '--no-migrate'], { ...quiet, DATABASE_URL: url }),
      65,
      /^\d migrations are pending, the first of them \d+_journal\. Run lockstep migrate, or start without --no-migrate\./,
    )
    expect((await lockstep(['migrate'], { DATABASE_URL: url }).exit()).code).toBe(0)
    await stopped(await started({ DATABASE_URL: url }, '--no-migrate'))
  })

  it('the demo’s users where others can reach them, unless that was asked for', async () => {
    const folder = newFolder()
    const open = { LOCKSTEP_DATA: folder, HOST: '0.0.0.0' }
    const bare = await started(open)
    expect(bare.demoTokens).toEqual([]) // nor are they made there unasked
    await stopped(bare)
    await stopped(await started({ LOCKSTEP_DATA: folder }))
    await refused(
      lockstep(['start'], { ...quiet, ...open }),
      78,
      /^The database holds the demo's users, whose tokens everybody knows, and HOST is 0\.0\.0\.0/,
    )
    expect(postmasterPid(folder)).toBeUndefined()
    const asked = await started(open, '--demo')
    expect(asked.demoTokens.length).toBeGreaterThan(0)
    await stopped(asked)
  })
})

describe('the command line', () => {
  it('tells of all that is wrong with the environment at once, in lines or in JSON', async () => {
    const wrong = { PORT: 'many', LOG_LEVEL: '' }
    const { code, errors, output } = await lockstep(['start'], wrong).exit()
    expect({ code, output }).toEqual({ code: 78, output: '' })
    expect(errors.trim().split('\n')).toEqual([
      expect.stringMatching(/^PORT must be/),
      expect.stringMatching(/^LOG_LEVEL must be/),
    ])
    const json = await lockstep(['start', '--json'], wrong).exit()
    expect(JSON.parse(json.errors)).toEqual({ error: errors.trim(), exitCode: 78 })
  })

  it('shows what there is when nothing is asked for', async () => {
    for (const parameters of [[], ['--help']]) {
      const { code, output } = await lockstep(parameters).exit()
      expect(code).toBe(0)
      expect(output).toMatch(/start[\s\S]*migrate[\s\S]*config/)
    }
    expect((await lockstep(['start', '--help']).exit()).output).toMatch(/--no-migrate[\s\S]*--demo/)
  })

  it.each([
    [['start', '--no-migrat']],
    [['strat']],
    [['migrate', 'sideways']],
    [['migrate', 'down']],
    [['migrate', 'up', '--to']],
    [['config', 'more']],
    [['journal', 'prune', '--dryrun']],
    [['epoch', 'renew', '--soon']],
    [['user', 'out', 'ada', '--now']],
    [['import', 'exercism', 'file', '--force']],
    [['import', 'tracks']],
    [['journal']],
  ])('refuses %j, which it does not know, with exit code 64', async (parameters) => {
    const { code, errors, output } = await lockstep(parameters).exit()
    expect({ code, output }).toEqual({ code: 64, output: '' })
    expect(errors.trim().split('\n')).toHaveLength(1)
  })

  it('migrates up, down and tells how far, in JSON where that is wanted', async () => {
    const environment = { DATABASE_URL: await ownDatabase('empty') }
    const json = async (...parameters: string[]) =>
      JSON.parse((await lockstep(['migrate', ...parameters, '--json'], environment).exit()).output)
    const { applied } = await json()
    expect(applied.length).toBeGreaterThan(2)
    expect(await json('status')).toEqual(applied.map((name: string) => ({ name, state: 'applied' })))
    expect(await json('down', '--to', 'journal')).toEqual({ undone: applied.slice(1).reverse() })
    expect((await lockstep(['migrate', 'status'], environment).exit()).output).toMatch(
      /^applied +\d+_journal\npending +\d+_identity\n/,
    )
    expect((await lockstep(['migrate'], environment).exit()).output).toMatch(/^Applied the migration \d+_identity\.\n/)
    expect((await lockstep(['migrate'], environment).exit()).output).toBe('There was nothing to do.\n')
  })

  it('shows the settings without a password', async () => {
    const { output } = await lockstep(['config'], { DATABASE_URL: 'postgresql://u:hidden@h/d' }).exit()
    expect(output).toMatch(/^\* +DATABASE_URL +postgresql:\/\/u@h\/d$/m)
    expect(output).not.toContain('hidden')
    expect((await lockstep(['config', '--table']).exit()).output).toMatch(/^\| `PORT` \| `4000` \|/m)
  })
})
