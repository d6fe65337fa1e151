#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import { type ArgsDef, type CittyPlugin, type CommandDef, defineCommand, renderUsage, runCommand, runMain } from 'citty'
import { commandLine } from './operator/print.ts'
import { exitCode, OperatorError } from './operator/operatorError.ts'

/** What `lockstep` can do. Each is loaded when it is asked for. */
const commands = {
  start: () => import('./command/start.ts').then(({ start }) => start),
  migrate: () => import('./command/migrate.ts').then(({ migrate }) => migrate),
  import: () => import('./command/import.ts').then(({ importFile }) => importFile),
  user: () => import('./command/user.ts').then(({ user }) => user),
  journal: () => import('./command/journal.ts').then(({ journal }) => journal),
  epoch: () => import('./command/epoch.ts').then(({ epoch }) => epoch),
  config: () => import('./command/config.ts').then(({ config }) => config),
} satisfies Record<string, () => Promise<unknown>>

/** citty lets pass what a command doesn't know. An option that is misspelled would do nothing, or its opposite. */
const strict: CittyPlugin = {
  name: 'strict',
  setup({ args, cmd }) {
    const known = Object.entries((cmd.args ?? {}) as ArgsDef)
    // of --dry-run, citty also passes on the other spelling, dryRun
    const option = Object.keys(args).find(
      (name) => name !== '_' && !known.some(([known]) => known === name || camelCase(known) === name),
    )
    if (option) throw usage(`There is no option ${option.length > 1 ? '--' : '-'}${option}`)
    const superfluous = args._[known.filter(([, { type }]) => type === 'positional').length]
    if (superfluous !== undefined) throw usage(`It was not expected: ${superfluous}`)
    const empty = known.find(([name, { type }]) => type === 'string' && args[name] === '')
    if (empty) throw usage(`The option --${empty[0]} needs a value`)
  },
}

const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** A command that is strict or, where it has commands of its own, whose commands are. */
function strictly(command: CommandDef): CommandDef {
  const { subCommands } = command as { subCommands?: Record<string, CommandDef> }
  if (!subCommands) return { ...command, plugins: [strict] }
  return {
    ...command,
    subCommands: Object.fromEntries(Object.entries(subCommands).map(([name, inner]) => [name, strictly(inner)])),
  }
}

const usage = (sentence: string) =>
  new OperatorError(
    `${sentence}. What there is: ${commandLine('--help')}, or ${commandLine('<command> --help')}.`,
    exitCode.usage,
  )

const { version, description } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
  description: string
}

const main = defineCommand({
  meta: { name: 'lockstep', version, description },
  subCommands: Object.fromEntries(
    Object.entries(commands).map(([name, load]) => [name, async () => strictly((await load()) as CommandDef)]),
  ),
})

const plain = (text: string) => (process.stdout.isTTY ? text : stripVTControlCharacters(text))

async function showUsage(command: CommandDef<never>, parent?: CommandDef<never>) {
  console.log(plain(await renderUsage(command, parent)))
}

async function run(rawArgs: string[]) {
  const asksForHelp = rawArgs.length === 0 || rawArgs.some((argument) => argument === '--help' || argument === '-h')
  if (asksForHelp)
    return runMain(main, { rawArgs: rawArgs.length === 0 ? ['--help'] : rawArgs, showUsage: showUsage as never })
  if (rawArgs.length === 1 && (rawArgs[0] === '--version' || rawArgs[0] === '-v')) return console.log(version)
  await runCommand(main, { rawArgs })
}

/** One sentence for what the operator can put right, a stack for what only a programmer can. */
function fail(error: unknown, asJson: boolean): never {
  const isUsage = error instanceof Error && error.name === 'CLIError'
  const told = isUsage ? usage(stripVTControlCharacters(error.message).replace(/\.$/, '')) : error
  const isTold = told instanceof OperatorError
  const code = isTold ? told.exitCode : exitCode.software
  const message = told instanceof Error ? told.message : String(told)
  if (asJson) console.error(JSON.stringify({ error: message, exitCode: code }))
  else if (isTold) console.error(message)
  if (!isTold)
    for (let cause = told; cause !== undefined; cause = (cause as Error).cause)
      console.error(cause instanceof Error ? cause.stack : String(cause))
  process.exit(code)
}

const rawArgs = process.argv.slice(2)
run(rawArgs).catch((error: unknown) => fail(error, rawArgs.includes('--json')))
