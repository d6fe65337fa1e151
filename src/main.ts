#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import module from 'node:module'
import { stripVTControlCharacters } from 'node:util'
import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand, runMain } from 'citty'
import { usageError } from './command/strictCommand.ts'
import { exitCode, OperatorError } from './operator/operatorError.ts'

// Node 22 and newer keep the compiled code of modules for the next start: a quarter less time to load them.
if ('enableCompileCache' in module && typeof module.enableCompileCache === 'function') module.enableCompileCache()

// biome-ignore lint/suspicious/noExplicitAny: commands with different arguments, as in citty's own SubCommandsDef
type AnyCommand = CommandDef<any>

interface Outline {
  readonly description: string
  load(): Promise<AnyCommand>
}

/** The commands of modules that begin with this word. Loads the list of modules, and so the whole API. */
const group = async (word: string): Promise<AnyCommand> => ({
  subCommands: (await import('./command/moduleCommands.ts')).commandsOf(word),
})

/** All commands. A command's file is loaded only when the command is asked for, so that `config` takes no second. */
const commands: Readonly<Record<string, Outline>> = {
  start: {
    description: 'Start the server, and a PostgreSQL of its own unless DATABASE_URL names another',
    load: () => import('./command/start.ts').then(({ start }) => start),
  },
  migrate: {
    description: 'Apply, undo or list the migrations of the database',
    load: () => import('./command/migrate.ts').then(({ migrate }) => migrate),
  },
  import: {
    description: 'Make a course or a plan of a file, or bring it up to the file',
    load: () => group('import'),
  },
  user: {
    description: 'Register people, and let them in and out',
    load: () => group('user'),
  },
  journal: {
    description: 'Fold old events, or begin the history of rows that came from elsewhere',
    load: () => import('./command/journal.ts').then(({ journal }) => journal),
  },
  epoch: {
    description: 'Tell a restored database from what it was before',
    load: () => import('./command/epoch.ts').then(({ epoch }) => epoch),
  },
  config: {
    description: 'Show the settings as they are now; those marked * are set in the environment',
    load: () => import('./command/config.ts').then(({ config }) => config),
  },
}

const { version, description } = packageJson()

function packageJson(): { version: string; description: string } {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
}

/** The program, with each command as `get` makes it of its outline. */
const program = (get: (outline: Outline, meta: { name: string; description: string }) => () => Promise<AnyCommand>) =>
  defineCommand({
    meta: { name: 'lockstep', version, description },
    subCommands: Object.fromEntries(
      Object.entries(commands).map(([name, outline]) => [
        name,
        get(outline, { name, description: outline.description }),
      ]),
    ),
  })

const whole = program(({ load }, meta) => async () => ({ ...(await load()), meta }))
/** For the overview, which needs none of the commands' files. */
const outlined = program((_, meta) => async () => ({ meta }))

const plain = (text: string) => (process.stdout.isTTY ? text : stripVTControlCharacters(text))

async function showUsage<A extends ArgsDef>(command: CommandDef<A>, parent?: CommandDef<A>) {
  console.log(plain(await renderUsage(command, parent)))
}

async function run(rawArgs: string[]) {
  const word = rawArgs.find((argument) => !argument.startsWith('-'))
  const isKnown = word !== undefined && Object.hasOwn(commands, word)
  if (rawArgs.length === 0) return showUsage(outlined)
  if (rawArgs.some((argument) => argument === '--help' || argument === '-h'))
    return runMain(isKnown ? whole : outlined, { rawArgs, showUsage })
  if (rawArgs.length === 1 && (rawArgs[0] === '--version' || rawArgs[0] === '-v')) return console.log(version)
  if (word !== undefined && !isKnown) throw usageError(`Unknown command ${word}`)
  await runCommand(whole, { rawArgs })
}

/** One sentence for what the operator can put right, a stack for what only a programmer can. */
function fail(error: unknown, asJson: boolean): never {
  const isUsage = error instanceof Error && error.name === 'CLIError'
  const shown = isUsage ? usageError(stripVTControlCharacters(error.message).replace(/\.$/, '')) : error
  const isForOperator = shown instanceof OperatorError
  const code = isForOperator ? shown.exitCode : exitCode.software
  const message = shown instanceof Error ? shown.message : String(shown)
  if (asJson) console.error(JSON.stringify({ error: message, exitCode: code }))
  else if (isForOperator) console.error(message)
  if (!isForOperator)
    for (let cause = shown; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined)
      console.error(cause instanceof Error ? cause.stack : String(cause))
  process.exit(code)
}

const rawArgs = process.argv.slice(2)
run(rawArgs).catch((error: unknown) => fail(error, rawArgs.includes('--json')))
