import type { CommandDef } from 'citty'

// biome-ignore lint/suspicious/noExplicitAny: commands with different arguments, as in citty's own SubCommandsDef
export type AnyCommand = CommandDef<any>

/** A command, or a group of commands, as the overview shows it. */
export interface Outline {
  readonly description: string
  load(): Promise<AnyCommand>
}

/** The commands of modules that begin with this word. Loads the list of modules, and so the whole API. */
const group = async (word: string): Promise<AnyCommand> => ({
  subCommands: (await import('./moduleCommands.ts')).commandsOf(word),
})

/** All commands. A command's file is loaded only when the command is asked for, so that `config` takes no second. */
export const commands: Readonly<Record<string, Outline>> = {
  start: {
    description: 'Start the server, and a PostgreSQL of its own unless DATABASE_URL names another',
    load: () => import('./start.ts').then(({ start }) => start),
  },
  migrate: {
    description: 'Apply, undo or list the migrations of the database',
    load: () => import('./migrate.ts').then(({ migrate }) => migrate),
  },
  import: {
    description: 'Make a course or a plan of a file, or bring it up to the file',
    load: () => group('import'),
  },
  user: {
    description: 'Register and list people, and let them in and out',
    load: () => group('user'),
  },
  journal: {
    description: 'Fold old events, or begin the history of rows that came from elsewhere',
    load: () => import('./journal.ts').then(({ journal }) => journal),
  },
  epoch: {
    description: 'Tell a restored database from what it was before',
    load: () => import('./epoch.ts').then(({ epoch }) => epoch),
  },
  config: {
    description: 'Show the settings as they are now; those marked * are set in the environment',
    load: () => import('./config.ts').then(({ config }) => config),
  },
}

/** What the overview shows how to do. */
export const overviewExamples = ['start', 'user add "Ada Lovelace" --role INSTRUCTOR --id ada', 'config']
