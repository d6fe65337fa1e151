import { type ArgDef, type ArgsDef, type CittyPlugin, type CommandDef, defineCommand } from 'citty'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { commandLine } from '../operator/print.ts'
import type { Examples } from './usage.ts'

/** A citty command that refuses arguments it does not know, with exit code 64. citty alone would ignore them. */
export const strictCommand = <const A extends ArgsDef>({
  examples,
  ...command
}: CommandDef<A> & Examples): CommandDef<A> & Examples => ({
  ...defineCommand<A>({ ...command, plugins: [strict] }),
  examples,
})

/** An option that is misspelled would do nothing, or its opposite. */
const strict: CittyPlugin = {
  name: 'strict',
  setup({ args, cmd }) {
    const known = Object.entries<ArgDef>(cmd.args ?? {})
    // of --dry-run, citty also passes on the other spelling, dryRun
    const option = Object.keys(args).find(
      (name) => name !== '_' && !known.some(([known]) => known === name || camelCase(known) === name),
    )
    if (option) throw usageError(`There is no option ${option.length > 1 ? '--' : '-'}${option}`)
    const superfluous = args._[known.filter(([, { type }]) => type === 'positional').length]
    if (superfluous !== undefined) throw usageError(`It was not expected: ${superfluous}`)
    const empty = known.find(([name, { type }]) => type === 'string' && args[name] === '')
    if (empty) throw usageError(`The option --${empty[0]} needs a value`)
  },
}

const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** The command line cannot be meant; the sentence comes without its full stop. */
export const usageError = (sentence: string) =>
  new OperatorError(
    `${sentence}. What there is: ${commandLine('--help')}, or ${commandLine('<command> --help')}.`,
    exitCode.usage,
  )
