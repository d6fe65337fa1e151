import { styleText } from 'node:util'
import { type ArgsDef, type CommandDef, renderUsage } from 'citty'
import { commandLine } from '../operator/print.ts'

/** What the help of a command has besides its options. */
export interface Examples {
  /** One to three, each with the words that follow `lockstep`, as they are typed into a shell. */
  readonly examples: readonly string[]
}

const PROGRAM = 'lockstep'
/** The most examples of one help. */
const MOST = 3

/** The help of a command. That of a group has the first example of each of its first commands. */
export async function usageOf<A extends ArgsDef>(
  command: CommandDef<A> & Partial<Examples>,
  parent?: CommandDef<A>,
): Promise<string> {
  const usage = await renderUsage(command, parent && (await withProgram(parent)))
  const examples = command.examples ?? (await firstExamples(command))
  if (examples.length === 0) return usage
  const heading = process.stdout.hasColors?.() ? styleText(['underline', 'bold'], 'EXAMPLES') : 'EXAMPLES'
  const lines = examples.map((words) => `  ${commandLine(words)}`)
  return [usage.trimEnd(), '', heading, '', ...lines, ''].join('\n')
}

/** citty puts the name of the group before that of a command, and omits the name of the program. */
async function withProgram<A extends ArgsDef>(group: CommandDef<A>): Promise<CommandDef<A>> {
  const { name, ...meta } = await resolved(group.meta ?? {})
  return name === PROGRAM ? group : { ...group, meta: { ...meta, name: `${PROGRAM} ${name}` } }
}

async function firstExamples({ subCommands = {} }: Pick<CommandDef, 'subCommands'>): Promise<readonly string[]> {
  const commands: (CommandDef & Partial<Examples>)[] = await Promise.all(
    Object.values(await resolved(subCommands)).map(resolved),
  )
  return commands.flatMap(({ examples = [] }) => examples.slice(0, 1)).slice(0, MOST)
}

/** Of citty: a value, or a function that returns it, or a promise of it. */
const resolved = async <T>(value: T | Promise<T> | (() => T) | (() => Promise<T>)): Promise<T> =>
  typeof value === 'function' ? (value as () => T | Promise<T>)() : value
