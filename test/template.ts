import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../src/embedded/embedded.ts'
import { isAlive } from '../src/embedded/livingProcess.ts'
import { migrate } from '../src/database/migrate.ts'
import { inSession } from '../src/database/session.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of a migrated database for test files to clone; nobody connects to it. */
    template: string
  }
}

/** Test files name their folders in this way too, so that what a killed run leaves of them is removed with the rest. */
const prefix = 'lockstep-test-'

/**
 * Once per run: a PostgreSQL, and in it the database that each test file clones. LOCKSTEP_TEST_DATABASE_URL names one
 * that runs already, as a user who may create databases; otherwise the embedded one is started. LOCKSTEP_TEST_KEEP=1
 * leaves the databases for a look at what a failed test left.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeLeftovers()
  const given = process.env.LOCKSTEP_TEST_DATABASE_URL
  const server = given ? { url: given, stop: () => dropDatabases(given) } : await startOwn()
  const template = Object.assign(new URL(server.url), { pathname: `/${databaseName}` }).href
  await inSession(server.url, (client) => client.query(`create database ${databaseName}`))
  await migrate(template)
  project.provide('template', template)
  return server.stop
}

/** The template's name; those of its clones begin with it. */
const databaseName = `lockstep_test_${process.pid}`

const keeps = process.env.LOCKSTEP_TEST_KEEP === '1'

/** The embedded PostgreSQL, in a folder of this run's own. */
async function startOwn() {
  const folder = mkdtempSync(path.join(os.tmpdir(), `${prefix}${process.pid}-`))
  chmodSync(folder, 0o755) // as root, for the user postgres to get into
  const embedded = await startEmbedded({ folder, fast: true, maxConnections: 300 })
  const removeOurs = () => remove(folder)
  // an interrupted run gets here too, unless it is killed; the next run then removes it
  process.once('exit', removeOurs)
  const stop = async () => {
    if (!keeps) return embedded.stop()
    process.off('exit', removeOurs)
    console.log(`Left as it is: ${embedded.url} in ${folder}`)
  }
  return { url: embedded.url, stop }
}

/** Removes this run's databases from a server that goes on running. */
async function dropDatabases(url: string) {
  if (keeps) return console.log(`Left as they are: the databases ${databaseName}…`)
  await inSession(url, async (client) => {
    const ours = 'select datname as name from pg_database where starts_with(datname, $1)'
    const { rows } = await client.query<{ name: string }>(ours, [databaseName])
    for (const { name } of rows) await client.query(`drop database ${name} with (force)`)
  })
}

/** Of runs that were killed. */
function removeLeftovers() {
  for (const name of readdirSync(os.tmpdir())) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN
    if (!Number.isNaN(pid) && !isAlive(pid)) remove(path.join(os.tmpdir(), name))
  }
}

/** A PostgreSQL that still runs there is ended as a crash would: its data goes too. */
function remove(folder: string) {
  const place = path.join(folder, 'postgres')
  try {
    process.kill(Number.parseInt(readFileSync(path.join(place, 'postmaster.pid'), 'utf8'), 10), 'SIGQUIT')
  } catch {
    // none runs
  }
  try {
    for (const each of [existsSync(place) ? realpathSync(place) : place, folder])
      rmSync(each, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  } catch (error) {
    console.warn(`${folder} could not be removed:`, error)
  }
}
