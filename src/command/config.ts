import { defineCommand } from 'citty'
import { describeConfig, settings, settingsTable } from '../operator/config.ts'
import { columns, print, printJson } from '../operator/print.ts'

/** Shows every setting: what it is now, or what it means. */
export const config = defineCommand({
  meta: { name: 'config', description: 'Show the settings as they are now; those marked * are set in the environment' },
  args: {
    table: {
      type: 'boolean',
      default: false,
      description: 'All settings with their defaults and meanings, as a Markdown table',
    },
    json: { type: 'boolean', default: false, description: 'Answer in JSON' },
  },
  run({ args: { table, json } }) {
    if (table) return json ? printJson(settings) : print(settingsTable())
    const current = describeConfig()
    if (json) printJson(current)
    else print(columns(current.map(({ variable, value, set }) => [set ? '*' : ' ', variable, value ?? '(none)'])))
  },
})
