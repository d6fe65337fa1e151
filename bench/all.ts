import { spawnSync } from 'node:child_process'

// npm run bench [-- commit | live | locks] [--rounds 3 --seconds 2]: what is measured, one after the other, each beside
// what it is to be compared with.
const benches = { commit: 'commit.ts', live: 'live.ts', locks: 'locks.ts' }
const words = process.argv.slice(2)
const asked = words.filter((word): word is keyof typeof benches => word in benches)
const rest = words.filter((word) => !(word in benches))
for (const name of asked.length ? asked : (Object.keys(benches) as (keyof typeof benches)[])) {
  console.log(`\n── ${name}\n`)
  const { status } = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', `bench/${benches[name]}`, ...rest],
    { stdio: 'inherit' },
  )
  if (status !== 0) process.exit(status ?? 1)
}
