import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Variant, viaCommit, viaFunction, viaPrisma } from './variants.ts'
import { createWorld, ENROLLMENTS, LESSONS } from './world.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 3)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 2)
const world = await createWorld()

const all: Record<string, () => Variant | Promise<Variant>> = {
  'commit()': () => viaCommit(world.url, process.env.WIDTH ? { width: Number(process.env.WIDTH), few: Number(process.env.FEW ?? 12) } : {}),
  'prisma tx a call': () => viaPrisma(world.url),
  'plpgsql a call': () => viaFunction(world.url),
}
const only = process.env.ONLY?.split(',') ?? Object.keys(all)

let n = 0
function next({ call }: Variant, hot: boolean) {
  n++
  return call(randomUUID(), hot ? 'u0' : `u${1 + ((n * 7919) % ENROLLMENTS)}`, `c.l${1 + (n % LESSONS)}`)
}
const percentile = (sorted: number[], p: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN

async function closed(variant: Variant, callers: number, hot: boolean, ms: number) {
  const latency: number[] = []
  let stop = false
  const start = performance.now()
  const before = process.cpuUsage()
  const workers = Array.from({ length: callers }, async () => {
    while (!stop) {
      const asked = performance.now()
      await next(variant, hot)
      latency.push(performance.now() - asked)
    }
  })
  await sleep(ms)
  const done = latency.length
  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(before)
  stop = true
  await Promise.all(workers)
  latency.sort((a, b) => a - b)
  return { rate: Math.round((done / elapsed) * 1000), p50: percentile(latency, 0.5), p99: percentile(latency, 0.99), cpu: Math.round((user + system) / done), batch: variant.batch?.() }
}

const cases: [string, number, boolean][] = [['1 caller', 1, false], ['16 distinct', 16, false], ['64 distinct', 64, false], ['100 on one', 100, true]]
const results: Record<string, Record<string, Awaited<ReturnType<typeof closed>>[]>> = {}
for (let round = 0; round < ROUNDS; round++)
  for (const [label, callers, hot] of cases.filter(([l]) => !process.env.CASE || l.startsWith(process.env.CASE)))
    for (const name of only) {
      await world.reset()
      const variant = await all[name]!()
      await closed(variant, callers, hot, Number(process.env.WARM ?? 2500))
      const result = await closed(variant, callers, hot, SECONDS * 1000)
      ;((results[label] ??= {})[name] ??= []).push(result)
      await variant.close()
      console.log(round, label.padEnd(12), name.padEnd(18), JSON.stringify(result), (await world.consistent()) ? '' : 'INCONSISTENT')
    }
const med = (xs: number[]) => xs.sort((a, b) => a - b)[xs.length >> 1]!
for (const label in results) {
  const r = Object.fromEntries(Object.entries(results[label]!).map(([k, v]) => [k, { rate: med(v.map((x) => x.rate)), p50: med(v.map((x) => x.p50)) }]))
  console.log(label.padEnd(12), Object.entries(r).map(([k, v]) => `${k} ${v.rate}/s p50 ${v.p50.toFixed(2)}`).join(' | '), only.slice(1).map((o) => `x${(r[only[0]!]!.rate / r[o]!.rate).toFixed(2)} p50 x${(r[only[0]!]!.p50 / r[o]!.p50).toFixed(2)}`).join(' '))
}
await world.close()
