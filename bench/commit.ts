import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { viaHttp } from './http.ts'
import { type Variant, viaCommit, viaFunction, viaPrisma } from './variants.ts'
import { createWorld, ENROLLMENTS, LESSONS } from './world.ts'

// npm run bench -- commit [--rounds 5 --seconds 3]: completions per second and latency, of commit() beside three other
// ways to do the same work, all in one run.
const option = (name: string, fallback: number) =>
  Number(process.argv[process.argv.indexOf(`--${name}`) + 1] || fallback) || fallback
const rounds = process.argv.includes('--rounds') ? option('rounds', 3) : 3
const seconds = process.argv.includes('--seconds') ? option('seconds', 2) : 2
const warmUpMs = 2_000

const world = await createWorld()
const variants: Record<string, () => Variant | Promise<Variant>> = {
  'commit()': () => viaCommit(world.url),
  'Prisma tx a call': () => viaPrisma(world.url),
  'plpgsql a call': () => viaFunction(world.url),
  'over HTTP': () => viaHttp(world.url),
}
const cases = [
  { name: '1 caller', callers: 1, hot: false },
  { name: '16 distinct', callers: 16, hot: false },
  { name: '64 distinct', callers: 64, hot: false },
  { name: '100 on one', callers: 100, hot: true },
]
interface Result {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  /** CPU a completion, in µs: this process's, callers included, and PostgreSQL's. */
  readonly node: number
  readonly postgres: number
}

let n = 0
function next({ call }: Variant, hot: boolean) {
  n++
  return call(randomUUID(), hot ? 'u0' : `u${1 + ((n * 7_919) % ENROLLMENTS)}`, `c.l${1 + (n % LESSONS)}`)
}
const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
/** Measures from here on. */
function clock() {
  const [start, node, postgres] = [performance.now(), process.cpuUsage(), world.cpu()]
  return (latency: number[]): Result => {
    const elapsed = performance.now() - start
    const used = process.cpuUsage(node)
    latency.sort((a, b) => a - b)
    const n = latency.length
    return {
      ...{ rate: (n / elapsed) * 1_000, p50: at(latency, 0.5), p99: at(latency, 0.99) },
      ...{ node: (used.user + used.system) / n, postgres: (world.cpu() - postgres) / n },
    }
  }
}

/** Each caller asks again as soon as it is answered. */
async function closedLoop(variant: Variant, callers: number, hot: boolean, ms: number): Promise<Result> {
  const latency: number[] = []
  let stop = false
  const measured = clock()
  const working = Array.from({ length: callers }, async () => {
    while (!stop) {
      const asked = performance.now()
      await next(variant, hot)
      latency.push(performance.now() - asked)
    }
  })
  await sleep(ms)
  const result = measured([...latency])
  stop = true
  await Promise.all(working)
  return result
}

/**
 * Requests arrive when they do (Poisson), and a latency counts from when one was due, not from when we came to send it.
 */
async function openLoop(variant: Variant, rate: number, hot: boolean, ms: number): Promise<Result> {
  const latency: number[] = []
  const flying: Promise<void>[] = []
  const measured = clock()
  const start = performance.now()
  let due = start
  while (due < start + ms) {
    due += (-Math.log(1 - Math.random()) / rate) * 1_000
    if (due > performance.now() + 1) await sleep(due - performance.now())
    else if (flying.length % 32 === 0) await new Promise(setImmediate)
    const asked = due
    flying.push(next(variant, hot).then(() => void latency.push(performance.now() - asked)))
  }
  await Promise.all(flying)
  return measured(latency)
}

const whole = (value: number, width: number) => String(Math.round(value)).padStart(width)
const show = ({ rate, p50, p99, node, postgres }: Result) =>
  `${whole(rate, 6)}/s  p50 ${p50.toFixed(2).padStart(6)}  p99 ${p99.toFixed(1).padStart(6)} ms` +
  `  CPU ${whole(node, 4)} + ${whole(postgres, 4)} µs`
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!
const medians = (results: readonly Result[]) =>
  Object.fromEntries(
    Object.keys(results[0]!).map((field) => [field, median(results.map((result) => result[field as keyof Result]))]),
  ) as unknown as Result

const found = new Map<string, Result>()
const results = new Map<string, Result[]>()
async function measure(
  label: string,
  name: string,
  hot: boolean,
  work: (variant: Variant) => Promise<Result>,
  warmUp: number,
) {
  await world.reset()
  const variant = await variants[name]!()
  await closedLoop(variant, warmUp, hot, warmUpMs)
  const result = await work(variant)
  await variant.close()
  const key = `${label} | ${name}`
  results.set(key, [...(results.get(key) ?? []), result])
  found.set(key, medians(results.get(key)!))
  if (!(await world.consistent())) throw new Error(`${key}: counters, rows, journal and keys do not agree`)
  console.log(`  ${label.padEnd(22)} ${name.padEnd(17)} ${show(result)}`)
}

console.log(
  `${rounds} rounds of ${seconds} s each, after ${warmUpMs / 1_000} s of warm-up; durable (fsync); ` +
    `callers in one process, on ${ENROLLMENTS} enrollments. CPU per completion: this process's and PostgreSQL's.\n`,
)
for (let round = 1; round <= rounds; round++) {
  console.log(`round ${round} of ${rounds}, closed loop`)
  for (const { name: label, callers, hot } of cases)
    for (const name of Object.keys(variants))
      await measure(label, name, hot, (variant) => closedLoop(variant, callers, hot, seconds * 1_000), callers)
}
for (let round = 1; round <= rounds; round++) {
  console.log(`round ${round} of ${rounds}, open loop`)
  for (const hot of [false, true]) {
    const label = hot ? 'one enrollment' : 'distinct'
    const peak = (name: string) => found.get(`${hot ? '100 on one' : '64 distinct'} | ${name}`)!.rate
    for (const name of Object.keys(variants)) {
      for (const [whose, rate] of [
        ['its', peak(name) / 2],
        ["tx's", peak('Prisma tx a call') / 2],
      ] as const) {
        await measure(
          `${label}, half ${whose} peak`,
          name,
          hot,
          (variant) => openLoop(variant, rate, hot, seconds * 1_000),
          16,
        )
      }
    }
  }
}

console.log('\nMedians\n')
for (const [key, result] of found) console.log(`  ${key.padEnd(44)} ${show(result)}`)

const ratio = (label: string, other: string, field: keyof Result) =>
  found.get(`${label} | commit()`)![field] / found.get(`${label} | ${other}`)![field]
const goals: [string, number, boolean, number][] = [
  ['64 distinct: completions, commit() / Prisma tx', ratio('64 distinct', 'Prisma tx a call', 'rate'), true, 8],
  ['64 distinct: completions, commit() / plpgsql', ratio('64 distinct', 'plpgsql a call', 'rate'), true, 2.5],
  ['100 on one: completions, commit() / Prisma tx', ratio('100 on one', 'Prisma tx a call', 'rate'), true, 15],
  ['100 on one: completions, commit() / plpgsql', ratio('100 on one', 'plpgsql a call', 'rate'), true, 5],
  ['1 caller: p50, commit() / Prisma tx', ratio('1 caller', 'Prisma tx a call', 'p50'), false, 1.3],
  [
    'open loop, distinct, each at half its peak: p99, commit() / Prisma tx',
    ratio('distinct, half its peak', 'Prisma tx a call', 'p99'),
    false,
    1,
  ],
  [
    'open loop, distinct, same rate: p99, commit() / Prisma tx',
    ratio("distinct, half tx's peak", 'Prisma tx a call', 'p99'),
    false,
    1,
  ],
  [
    'open loop, one enrollment, each at half its peak: p99, commit() / Prisma tx',
    ratio('one enrollment, half its peak', 'Prisma tx a call', 'p99'),
    false,
    1,
  ],
  [
    'open loop, one enrollment, same rate: p99, commit() / Prisma tx',
    ratio("one enrollment, half tx's peak", 'Prisma tx a call', 'p99'),
    false,
    1,
  ],
]
console.log('\nRatios\n')
for (const [what, value, more, goal] of goals) {
  const isReached = more ? value >= goal : value <= goal
  console.log(
    `  ${value.toFixed(2).padStart(6)}  ${what}; wanted: at ${more ? 'least' : 'most'} ${goal}` +
      (isReached ? '' : '  ← not reached here'),
  )
}
await world.close()
