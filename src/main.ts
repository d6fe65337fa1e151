#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import module from 'node:module'
import { stripVTControlCharacters } from 'node:util'
import { type ArgsDef, type CommandDef, defineCommand, runCommand, runMain } from 'citty'
import { type AnyCommand, commands, type Outline, overviewExamples } from './command/commands.ts'
import { usageError } from './command/strictCommand.ts'
import { usageOf } from './command/usage.ts'
import { exitCode, OperatorError } from './operator/operatorError.ts'

// Node 22 and newer keep the compiled code of modules for the next start: a quarter less time to load them.
if ('enableCompileCache' in module && typeof module.enableCompileCache === 'function') module.enableCompileCache()

const { version, description } = packageJson()

function packageJson(): { version: string; description: string } {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
}

/** The program, with each command as `get` makes it of its outline. */
const program = (
  get: (outline: Outline, meta: { name: string; description: string }) => () => Promise<AnyCommand>,
) => ({
  ...defineCommand({
    meta: { name: 'lockstep', version, description },
    subCommands: Object.fromEntries(
      Object.entries(commands).map(([name, outline]) => [
        name,
        get(outline, { name, description: outline.description }),
      ]),
    ),
  }),
  examples: overviewExamples,
})

const whole = program(({ load }, meta) => async () => ({ ...(await load()), meta }))
/** For the overview, which needs none of the commands' files. */
const outlined = program((_, meta) => async () => ({ meta }))

const plain = (text: string) => (process.stdout.isTTY ? text : stripVTControlCharacters(text))

async function showUsage<A extends ArgsDef>(command: CommandDef<A>, parent?: CommandDef<A>) {
  console.log(plain(await usageOf(command, parent)))
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
