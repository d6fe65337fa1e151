import type { Example } from '../api/module.ts'
import { modules } from '../modules.ts'

/** A tab of GraphiQL, as GraphiQL's `defaultTabs` has it. */
export interface Tab {
  readonly headers: string
  readonly query: string
  readonly variables: string | null
}

const tab = ({ token, query, variables }: Example): Tab => ({
  headers: JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2),
  query: query.trim(),
  variables: variables ? JSON.stringify(variables, null, 2) : null,
})

/** Examples that run as they are, in any order, with the demo's tokens. */
export const examples: readonly Tab[] = modules.flatMap(({ examples = [] }) => examples).map(tab)

/** The one tab where there is no demo. */
export const welcome: readonly Tab[] = [
  tab({
    token: '',
    query: `
# Welcome to Lockstep. Put your token into the headers below.
query Me {
  viewer { name role }
}`,
  }),
]
