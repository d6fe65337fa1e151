import type { SubCommandsDef } from 'citty'
import type { AnyCommandDefinition } from '../api/command.ts'
import { modules } from '../modules.ts'
import { parseConfig } from '../operator/config.ts'
import { desk } from './desk.ts'
import { strictCommand } from './strictCommand.ts'

/** The commands of all modules that begin with this word, each loaded when it is asked for. */
export function commandsOf(group: string): SubCommandsDef {
  const commands = modules.flatMap(({ commands = [] }) => commands).filter(({ words }) => words[0] === group)
  return Object.fromEntries(
    commands.map(({ words: [, name], load }) => [name, async () => cittyCommand(name, await load())]),
  )
}

const cittyCommand = (name: string, { description, examples, args, run }: AnyCommandDefinition) =>
  strictCommand({
    meta: { name, description },
    examples,
    args,
    run: (context) => run(context.args, desk(parseConfig())),
  })
