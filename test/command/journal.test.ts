import { runCommand } from 'citty'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { journal } from '../../src/command/journal.ts'
import { migrate, migrationStatus } from '../../src/database/migrate.ts'
import { inSession } from '../../src/database/session.ts'
import { academy } from '../academy.ts'
import { world } from '../world.ts'

const scratch = mkdtempSync(path.join(os.tmpdir(), 'lockstep-journal-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const w = await world()

/** The command in this process; its answer. */
async function lockstep(environment: Record<string, string>, ...rawArgs: string[]): Promise<unknown> {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  let output = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text
    return true
  })
  try {
    await runCommand(journal, { rawArgs })
  } finally {
    write.mockRestore()
    vi.unstubAllEnvs()
  }
  return rawArgs.includes('--json') ? JSON.parse(output) : output
}

async function emptyDatabase(): Promise<string> {
  const url = new URL(w.url)
  url.pathname = `/j${randomUUID().replaceAll('-', '')}`
  await inSession(w.url, (client) => client.query(`create database ${url.pathname.slice(1)}`))
  return url.href
}
const tables = (url: string) =>
  inSession(url, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
    )
    return rows.map(({ name }) => name)
  })

describe.each([
  [['prune', '--days', '40'], { days: 40, roots: 0, events: 0 }],
  [['begin'], { roots: 0 }],
])('%j --dry-run', (words, nothing) => {
  const dryRun = [...words, '--dry-run']

  test('makes no table, and says that there is nothing to do', async () => {
    const url = await emptyDatabase()
    expect(await lockstep({ DATABASE_URL: url }, ...dryRun, '--json')).toEqual({ dryRun: true, ...nothing })
    expect(await tables(url)).toEqual([])
  })

  test('makes no data folder, and says that there is nothing to do', async () => {
    const folder = path.join(scratch, randomUUID())
    expect(await lockstep({ LOCKSTEP_DATA: folder }, ...dryRun, '--json')).toEqual({ dryRun: true, ...nothing })
    expect(existsSync(folder)).toBe(false)
  })

  test('does not migrate: with migrations pending, it says so, with exit code 65', async () => {
    const url = await emptyDatabase()
    await migrate(url, { to: 'journal' })
    const before = await migrationStatus(url)
    await expect(lockstep({ DATABASE_URL: url }, ...dryRun)).rejects.toMatchObject({
      name: 'OperatorError',
      exitCode: 65,
      message: expect.stringMatching(
        /^The database is at an older version \(\d+_identity is the first migration that is pending\), and a command that only reads does not migrate\. Run lockstep migrate first\.$/,
      ),
    })
    expect(await migrationStatus(url)).toEqual(before)
  })

  test('without it, migrates', async () => {
    const url = await emptyDatabase()
    expect(await lockstep({ DATABASE_URL: url }, ...words, '--json')).toEqual({ dryRun: false, ...nothing })
    expect((await migrationStatus(url)).map(({ state }) => state)).not.toContain('pending')
  })
})

test('what a dry run says is what is then done', async () => {
  const { person } = academy(w.process().commit)
  const [one, other] = [await person(), await person()]
  const events = () => w.query<{ n: number }>('select count(*)::int as n from "Event"')
  await w.query(`update "Event" set at = at - interval '50 days'`)
  await w.query(`delete from "Event" where "rootId" = $1`, [one.id])
  const before = await events()
  const at = { DATABASE_URL: w.url }

  expect(await lockstep(at, 'begin', '--dry-run')).toBe('The histories of 1 roots would begin.\n')
  expect(await lockstep(at, 'prune', '--days', '40', '--dry-run')).toBe('1 events of 1 roots would be folded.\n')
  expect(await events()).toEqual(before)
  expect(await lockstep(at, 'begin')).toBe('The histories of 1 roots began.\n')
  expect(await lockstep(at, 'prune', '--days', '40')).toBe('1 events of 1 roots were folded.\n')
  expect((await w.history('User', other.id)).map(({ kind }) => kind)).toEqual(['genesis'])
  expect((await w.history('User', one.id)).map(({ kind }) => kind)).toEqual(['genesis'])
})
