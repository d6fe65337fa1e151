// Compares schema.graphql with the schema of the last release, and makes it that of the next. docs/schema.md says when.
// Everything is read from the current folder, where npm runs this:
//   npm run schema:check     exit code 0 without breaking changes, 1 with, 2 if nothing could be compared
//   npm run schema:release   the same; without breaking changes, schema.graphql then is the released schema
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { buildSchema } from 'graphql'
import { z } from 'zod'
import { type Change, schemaChanges } from './schemaChanges.ts'

const PRESENT = 'schema.graphql'
const RELEASED = 'released/schema.graphql'
const ALLOWED = 'released/allowed.json'

/** The breaking changes that are made on purpose, each with the version that is the first to have it. */
const allowedChanges = z.array(
  z.strictObject({
    change: z.string().min(1),
    since: z.string().regex(/^\d+\.\d+\.\d+/, 'is a version, such as 1.2.0'),
  }),
)
type Allowed = z.infer<typeof allowedChanges>[number]

function main([command, ...rest]: string[]): number {
  if (rest.length || (command !== 'check' && command !== 'release')) {
    console.error('Usage: schema.ts check | release')
    return 2
  }
  try {
    // the first release has nothing to be compared with
    const code = command === 'release' && !existsSync(RELEASED) ? 0 : check()
    if (command === 'release' && code === 0) release()
    return code
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return 2
  }
}

function check(): number {
  const version = /^# Lockstep (\S+): /.exec(read(RELEASED))?.[1]
  if (!version) throw new Error(`${RELEASED} does not begin with its version, as \`npm run schema:release\` writes it.`)
  const changes = schemaChanges(parsed(RELEASED, buildSchema), parsed(PRESENT, buildSchema))
  const allowed = existsSync(ALLOWED) ? parsed(ALLOWED, (text) => allowedChanges.parse(JSON.parse(text))) : []

  const isAllowed = ({ text }: Change) => allowed.some(({ change }) => change === text)
  const breaking = changes.filter((change) => change.isBreaking && !isAllowed(change))
  const notices = changes.filter(({ isBreaking }) => !isBreaking)
  const stale = allowed.filter(({ change }) => !changes.some(({ isBreaking, text }) => isBreaking && text === change))

  console.log(`${PRESENT}, compared with that of ${version}:`)
  for (const change of changes) report(change, allowed)
  for (const { change } of stale)
    console.log(`STALE     ${change}\n          There is no such breaking change. Remove it from ${ALLOWED}.`)
  const onPurpose = changes.length - breaking.length - notices.length
  console.log(
    `${breaking.length} breaking, ${onPurpose} allowed, ${notices.length} to notice; ${stale.length} stale entries.`,
  )
  if (breaking.length)
    console.log(`To break clients on purpose, name the change in ${ALLOWED}: docs/schema.md says how.`)
  return breaking.length || stale.length ? 1 : 0
}

function report({ isBreaking, text, advice }: Change, allowed: readonly Allowed[]): void {
  const since = isBreaking && allowed.find(({ change }) => change === text)?.since
  if (since) console.log(`allowed   ${text}\n          Since ${since}, on purpose.`)
  else console.log(`${isBreaking ? 'BREAKING' : 'notice  '}  ${text}\n          ${advice}`)
}

function release(): void {
  const { version } = parsed('package.json', (text) => z.object({ version: z.string() }).parse(JSON.parse(text)))
  const text = read(PRESENT)
  buildSchema(text)
  mkdirSync(path.dirname(RELEASED), { recursive: true })
  writeFileSync(RELEASED, `# Lockstep ${version}: the released schema, written by \`npm run schema:release\`.\n${text}`)
  writeFileSync(ALLOWED, '[]\n')
  console.log(`${RELEASED} is now the schema of ${version}, and ${ALLOWED} is empty.`)
}

function read(file: string): string {
  if (!existsSync(file))
    throw new Error(`${file} is missing. ${file === RELEASED ? 'Run `npm run schema:release`.' : ''}`)
  return readFileSync(file, 'utf8')
}

function parsed<T>(file: string, parse: (text: string) => T): T {
  const text = read(file)
  try {
    return parse(text)
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : error
    throw new Error(`${file} can't be read: ${why}`)
  }
}

process.exitCode = main(process.argv.slice(2))
