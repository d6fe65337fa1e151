import { json } from '../api/command.ts'
import { describeConfig } from '../operator/config.ts'
import { aligned, print, printJson } from '../operator/print.ts'
import { settings, settingsTable } from '../operator/settings.ts'
import { strictCommand } from './strictCommand.ts'

/** Prints every setting: its value, or with --table its default and meaning. */
export const config = strictCommand({
  examples: ['config', 'config --table'],
  args: {
    table: {
      type: 'boolean',
      default: false,
      description: 'All settings with their defaults and meanings, as a Markdown table',
    },
    json,
  },
  run({ args: { table, json } }) {
    if (table) return json ? printJson(settings) : print(settingsTable())
    const current = describeConfig()
    if (json) printJson(current)
    else print(aligned(current.map(({ variable, value, set }) => [set ? '*' : ' ', variable, value ?? '(none)'])))
  },
})
