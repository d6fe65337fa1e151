import type { GraphiQLOptions } from 'graphql-yoga'
import type { Example } from '../api/module.ts'
import { modules } from '../modules.ts'

/** A tab of GraphiQL. */
const tab = ({ token, query, variables }: Example) => ({
  headers: JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2),
  query: query.trim(),
  variables: variables ? JSON.stringify(variables, null, 2) : null,
})

/** Examples that run as they are, in order, with the demo's tokens. */
export const examples = modules.flatMap(({ examples = [] }) => examples).map(tab)

const welcome = [
  tab({
    token: '',
    query: `
# Welcome to Lockstep. Put your token into the headers below.
query Me {
  viewer { name role }
}`,
  }),
]

/** GraphiQL, served by this server alone; with examples where there is a demo. */
export function graphiqlOptions(demo: boolean): GraphiQLOptions {
  const tabs = demo ? examples : welcome
  const { headers } = tabs[0]!
  return {
    title: 'Lockstep',
    defaultTabs: tabs,
    headers, // of the first tab: GraphiQL does not take them from there
    defaultHeaders: headers,
    defaultEditorToolsVisibility: 'headers',
    subscriptionsProtocol: 'WS',
    schemaDescription: true,
    inputValueDeprecation: true,
  }
}
