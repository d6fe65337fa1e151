import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Actor } from '../src/commit/aggregate.ts'
import { commits } from '../src/commit/commit.ts'
import { connect } from '../src/database/client.ts'
import { startEmbedded } from '../src/embedded/embedded.ts'
import { migrate } from '../src/database/migrate.ts'
import { defaultPool } from '../src/database/pool.ts'
import { levelUp } from '../src/licensing/levelUp.ts'

// npm run bench -- locks [--seconds 3 --rounds 3]: how long the locks of a level-up are held, through commit() and as
// one interactive Prisma transaction a call, in the same run on one durable PostgreSQL. A hold is measured at the
// client: it begins when the statement that took the lock (the progress's) has returned, and ends when COMMIT is
// acknowledged; so it holds the statements after it, their round trips and this process's own work and delays between
// them. The same clock and the same two places on both sides, on the wire. commit() does more in it: it appends to the
// journal and keeps the key.
const option = (name: string, fallback: number) =>
  Number(process.argv[process.argv.indexOf(`--${name}`) + 1] || fallback) || fallback
const seconds = process.argv.includes('--seconds') ? option('seconds', 3) : 3
const rounds = process.argv.includes('--rounds') ? option('rounds', 3) : 3
const PEOPLE = 5_000
const WARM_UP_MS = 1_000

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'))
fs.chmodSync(folder, 0o755)
const embedded = await startEmbedded({ folder, maxConnections: 150 })
const { url } = embedded
await migrate(url)
const admin = new pg.Client({ connectionString: url })
admin.on('error', () => {})
await admin.connect()
await admin.query(
  `insert into "User" (id, version, name, role, "createdAt")
    select 'u' || n, 1, 'Learner ' || n, 'LEARNER', now() from generate_series(0, ${PEOPLE}) n`,
)

/** As it was before anybody gained anything. */
async function reset() {
  await admin.query(`truncate "SpecializationProgress", "License", "LicenseProgression", "Event", "IdempotencyKey"`)
  await admin.query(`
    insert into "SpecializationProgress" select id || '.PLAYER', 1, id, 'PLAYER', 1, 0, 0, 0, 0 from "User";
    insert into "License" select id || '.PLAYER', id, 'PLAYER', 1, 1, now() from "User"`)
  await admin.query('vacuum analyze')
  await admin.query('checkpoint')
}

/** One way to level up. */
interface Side {
  call(userId: string): Promise<unknown>
  close(): Promise<unknown>
}
const GAIN = 7

/** How long each transaction of whoever is measured held its locks. */
let holds: number[] = []
const query = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => Promise<unknown>
const locked = new WeakMap<pg.Client, number>()
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [asked] = args as [string | { text: string }]
  const text = typeof asked === 'string' ? asked : asked.text
  const answer = query.apply(this, args)
  answer?.then?.(
    () => {
      if (text === 'BEGIN') locked.delete(this)
      else if (text === 'COMMIT') holds.push(performance.now() - locked.get(this)!)
      else if (!locked.has(this)) locked.set(this, performance.now())
    },
    () => {},
  )
  return answer
} as never

const viaCommit = (): Side => {
  const db = connect(url, { ...defaultPool, size: 4, max: 16 })
  const { commit } = commits(db)
  const actor: Actor = { id: 'u0', role: 'INSTRUCTOR' }
  return {
    close: () => db.$disconnect(),
    call: (userId) =>
      commit(levelUp, {
        actor,
        key: randomUUID(),
        input: { userId, specialization: 'PLAYER', xpGained: GAIN, sessionsCompleted: 1, reason: 'bench' },
      }),
  }
}

const LEVELS = [0, 100, 250, 500, 900, 1_500, 2_400, 3_600]
const levelOf = (xp: number) => LEVELS.findLastIndex((least) => least <= xp) + 1

/**
 * As the coupler of old does it: lock the progress, then the license, update both, tell the change; a transaction a
 * call, and no journal.
 */
const viaPrisma = (): Side => {
  const db = connect(url, {
    ...defaultPool,
    size: 4,
    max: 16,
    waitMs: 60_000,
    lockTimeoutMs: 30_000,
    statementTimeoutMs: 60_000,
  })
  return {
    close: () => db.$disconnect(),
    async call(userId) {
      const id = `${userId}.PLAYER`
      await db.$transaction(async (tx) => {
        const [p] = await tx.$queryRaw<
          { totalXp: number; currentLevel: number; version: number }[]
        >`select * from "SpecializationProgress" where id = ${id} for update`
        const [l] = await tx.$queryRaw<
          { maxAchievedLevel: number }[]
        >`select * from "License" where id = ${id} for update`
        const [xp, version] = [p!.totalXp + GAIN, p!.version + 1]
        const level = levelOf(xp) > levelOf(p!.totalXp) ? Math.max(p!.currentLevel, levelOf(xp)) : p!.currentLevel
        const highest = Math.max(l!.maxAchievedLevel, level)
        const rose = level > p!.currentLevel ? [level] : []
        await tx.$executeRaw`with p as (
            update "SpecializationProgress" set version = ${version}, "currentLevel" = ${level}, "totalXp" = ${xp},
              "completedSessions" = "completedSessions" + 1 where id = ${id}
          ),
          c as (
            insert into "LicenseProgression"
            select ${id}, now(), ${version}, ${p!.currentLevel}, t, ${userId}, 'u0', 'bench'
            from unnest(${rose}::int[]) t
          )
          update "License" set "currentLevel" = ${level}, "maxAchievedLevel" = ${highest} where id = ${id}`
      })
    },
  }
}

/** Fails unless what was answered is what is stored. */
async function check(calls: number, label: string) {
  const { rows } = await admin.query<{ ok: boolean }>(
    `select sum(p."totalXp")::int = $1 and bool_and(p."currentLevel" = l."currentLevel")
        and sum(p.version - 1) = $2 as ok
      from "SpecializationProgress" p join "License" l using (id)`,
    [calls * GAIN, calls],
  )
  if (!rows[0]!.ok) throw new Error(`${label}: the rows do not amount to ${calls} calls`)
}

interface Result {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  readonly latency50: number
  readonly latency99: number
  /** Requests a hold. */
  readonly shared: number
}
const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

async function measure(side: Side, callers: number, people: number, label: string): Promise<Result> {
  await reset()
  let n = 0
  let calls = 0
  let latency: number[] = []
  let over = false
  const working = Array.from({ length: callers }, async () => {
    while (!over) {
      const asked = performance.now()
      await side.call(`u${1 + ((n++ * 7_919) % people)}`)
      calls++
      latency.push(performance.now() - asked)
    }
  })
  await sleep(WARM_UP_MS)
  latency = []
  holds = []
  const since = performance.now()
  await sleep(seconds * 1_000)
  const [held, waited, elapsed] = [
    [...holds].sort((a, b) => a - b),
    [...latency].sort((a, b) => a - b),
    performance.now() - since,
  ]
  over = true
  await Promise.all(working)
  await check(calls, label)
  return {
    rate: (waited.length / elapsed) * 1_000,
    ...{
      p50: at(held, 0.5),
      p99: at(held, 0.99),
      latency50: at(waited, 0.5),
      latency99: at(waited, 0.99),
      shared: waited.length / held.length,
    },
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!
const medians = (results: readonly Result[]) =>
  Object.fromEntries(
    Object.keys(results[0]!).map((field) => [field, median(results.map((result) => result[field as keyof Result]))]),
  ) as unknown as Result
const ms = (value: number) => value.toFixed(1).padStart(6)
const show = ({ rate, p50, p99, latency50, latency99, shared }: Result) =>
  `held p50 ${ms(p50)} p99 ${ms(p99)} ms, for ${shared.toFixed(1).padStart(5)} requests each; ` +
  `${String(Math.round(rate)).padStart(5)}/s, answered in p50 ${ms(latency50)} p99 ${ms(latency99)} ms`

const cases = [1, 20, 100].flatMap((callers) => [
  { label: `${callers} on one person`, callers, people: 1 },
  { label: `${callers} on many`, callers, people: PEOPLE },
])
const sides = { 'commit()': viaCommit, 'Prisma tx a call': viaPrisma }
const found = new Map<string, Result[]>()

console.log(
  `${rounds} rounds of ${seconds} s each, after ${WARM_UP_MS / 1_000} s of warm-up; durable (fsync); ` +
    `callers in one process; medians below.\n`,
)
for (let round = 1; round <= rounds; round++) {
  for (const { label, callers, people } of cases) {
    for (const [name, open] of Object.entries(sides)) {
      const side = open()
      const result = await measure(side, callers, people, `${label}, ${name}`)
      await side.close()
      const key = `${label} | ${name}`
      found.set(key, [...(found.get(key) ?? []), result])
      console.log(`  ${round}  ${label.padEnd(18)} ${name.padEnd(17)} ${show(result)}`)
    }
  }
}

console.log('\nMedians\n')
for (const [key, results] of found) console.log(`  ${key.padEnd(38)} ${show(medians(results))}`)

console.log('\nRatios, commit() to one Prisma transaction a call\n')
for (const { label } of cases) {
  const [ours, theirs] = [
    medians(found.get(`${label} | commit()`)!),
    medians(found.get(`${label} | Prisma tx a call`)!),
  ]
  const ratio = (one: number, other: number) => (one / other).toFixed(2).padStart(6)
  console.log(
    `  ${label.padEnd(18)} hold p50 ${ratio(ours.p50, theirs.p50)}, p99 ${ratio(ours.p99, theirs.p99)}; ` +
      `hold a request p50 ${ratio(ours.p50 / ours.shared, theirs.p50 / theirs.shared)}; ` +
      `requests a second ${ratio(ours.rate, theirs.rate)}; ` +
      `answered p99 ${ratio(ours.latency99, theirs.latency99)}`,
  )
}
await admin.end()
await embedded.stop()
fs.rmSync(folder, { recursive: true, force: true })
