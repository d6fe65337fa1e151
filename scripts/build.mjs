// Makes src/generated and dist from their sources, where these have changed since. Runs before `npm start`, so it is
// quick: nothing is loaded but Node, and TypeScript only removes the types (the type check is a step of its own).
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('..', import.meta.url))
const at = (...parts) => path.join(project, ...parts)
const record = at('dist', '.built-from')

if (newest('prisma/schema', 'prisma.config.ts') > modified('src/generated/prisma/client.ts'))
  run('prisma/build/index.js', 'generate')
const sources = fingerprint()
if (!existsSync(at('dist/main.js')) || !existsSync(record) || readFileSync(record, 'utf8') !== sources) {
  rmSync(record, { force: true }) // an interrupted build is none
  run('typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck')
  removeOrphans()
  writeFileSync(record, sources)
}

/** When the newest of these files was changed, or a file was added to these folders or removed. */
function newest(...names) {
  return Math.max(
    ...names.flatMap((name) => [name, ...(statSync(at(name)).isDirectory() ? filesIn(name, true) : [])]).map(modified),
  )
}

function modified(name) {
  return statSync(at(name), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** A hash over the names and contents of everything that dist is made from. */
function fingerprint() {
  const hash = createHash('sha256').update(process.version)
  const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'node_modules/typescript/package.json']
  for (const name of [...settings, 'scripts/build.mjs', ...filesIn('src').sort()])
    hash.update(`\0${name}\0`).update(readFileSync(at(name)))
  return hash.digest('hex')
}

/** The files below a folder of the project. */
function filesIn(folder, withFolders = false) {
  return readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => withFolders || entry.isFile())
    .map((entry) => path.relative(project, path.join(entry.parentPath ?? entry.path, entry.name)))
}

/** Removes what was built from files that are gone. */
function removeOrphans() {
  for (const name of filesIn('dist')) {
    const source = name.replace(/^dist/, 'src').replace(/\.map$/, '')
    if (!source.endsWith('.js') || existsSync(at(source)) || existsSync(at(source.replace(/js$/, 'ts')))) continue
    rmSync(at(name))
  }
}

/** Runs the program of a package; a build that fails ends the start. */
function run(program, ...parameters) {
  const { status, error } = spawnSync(process.execPath, [at('node_modules', program), ...parameters], {
    cwd: project,
    // Prisma looks for its other generator there
    env: { ...process.env, PATH: `${at('node_modules', '.bin')}${path.delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
