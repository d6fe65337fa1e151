import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it, onTestFinished, type TestContext, vi } from 'vitest'
import { systemAccount } from '../../src/embedded/systemAccount.ts'
import { freePort } from '../freePort.ts'
import { ownDatabase } from '../ownDatabase.ts'
import { run } from '../program.ts'

const places = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer']
const pgbouncer = places.find((place) => existsSync(place))

/** CI installs it, and must not pass without. */
function need(context: TestContext) {
  if (pgbouncer || process.env.CI === 'true') return
  context.skip('there is no PgBouncer; on Debian, apt-get install pgbouncer brings one')
}

/** Starts PgBouncer before this database, and returns the address that it listens at. */
async function pooled(url: string, settings: Record<string, string>): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(url)
  const folder = await mkdtemp(path.join(os.tmpdir(), 'lockstep-pgbouncer-'))
  const own = `${await freePort()}`
  const account = systemAccount()
  const database = pathname.slice(1)
  const target = { host: hostname, port, dbname: database, user: username, password: decodeURIComponent(password) }
  const parameters = Object.entries(target).map(([name, value]) => `${name}=${value}`)
  const all = { listen_addr: '127.0.0.1', listen_port: own, unix_socket_dir: '', auth_type: 'any', ...settings }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
  const file = path.join(folder, 'pgbouncer.ini')
  await writeFile(file, `[databases]\n${database} = ${parameters.join(' ')}\n[pgbouncer]\n${lines.join('\n')}\n`)
  await chmod(folder, 0o755) // PgBouncer refuses to run as root, so it may be another user who reads there

  const bouncer = spawn(pgbouncer!, [file], { ...account, stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  bouncer.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const ended = once(bouncer, 'exit')
  onTestFinished(async () => {
    bouncer.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true })
  })
  await vi.waitUntil(() => log.includes('process up') || bouncer.exitCode !== null, { timeout: 10_000, interval: 10 })
  if (bouncer.exitCode !== null) throw new Error(`PgBouncer did not start:\n${log}`)
  return Object.assign(new URL(url), { host: `127.0.0.1:${own}` }).href
}

const modes: { mode: string; settings: Record<string, string>; found: string }[] = [
  { mode: 'in transaction mode', settings: { pool_mode: 'transaction' }, found: 'refuses the settings of a session' },
  { mode: 'in session mode', settings: { pool_mode: 'session' }, found: 'refuses the settings of a session' },
  {
    mode: 'when told to ignore settings',
    settings: { pool_mode: 'transaction', ignore_startup_parameters: 'options' },
    found: 'the settings of a session are lost there',
  },
]

describe('Through PgBouncer, nothing works by half', () => {
  for (const { mode, settings, found } of modes)
    it(`${mode}: each command that opens the database says in one sentence that it cannot be used`, async (context) => {
      need(context)
      const environment = { DATABASE_URL: await pooled(await ownDatabase('migrated'), settings), PORT: '0' }
      for (const parameters of [
        ['start'],
        ['start', '--no-migrate'],
        ['migrate'],
        ['user', 'list'],
        ['user', 'add', 'Ada'],
        ['epoch', 'renew'],
        ['journal', 'begin'],
      ]) {
        const { code, errors } = await run(parameters, environment)
        expect(errors.trim().split('\n'), parameters.join(' ')).toHaveLength(1)
        expect(errors).toContain(found)
        expect(errors).toContain('set DATABASE_URL to the address of PostgreSQL itself')
        expect(errors).not.toContain(new URL(environment.DATABASE_URL).password)
        expect(code).toBe(69)
      }
    })
})
