import { createHash } from 'node:crypto'
import { examples, type Tab, welcome } from './tabs.ts'

/** Nothing is loaded from, or sent to, another server. Monaco, the editor in GraphiQL, sets styles by itself. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  'font-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** The same as a header, with what only a header can say: no other page may show this one within itself. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': `${policy}; frame-ancestors 'none'`,
}

/** The page of GraphiQL, with the demo's examples where there is a demo. It loads the files of `graphiqlFiles`. */
export function graphiqlPage(demo: boolean): string {
  const tabs = demo ? examples : welcome
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <title>Lockstep</title>
    <link rel="icon" href="graphql/favicon.ico">
    <link rel="stylesheet" href="graphql/graphiql.css">
    <script defer src="graphql/graphiql.js"></script>
    <script defer src="graphql/graphql-ws.js"></script>
    <script type="module" src="graphql/main.js"></script>
  </head>
  <body class="no-focus-outline">
    <noscript>GraphiQL needs JavaScript.</noscript>
    <div id="root"></div>
    <script type="application/json" id="settings">${inScript(settings(tabs))}</script>
  </body>
</html>
`
}

/** What main.js makes GraphiQL with. */
function settings(tabs: readonly Tab[]) {
  return {
    properties: {
      title: 'Lockstep',
      defaultTabs: tabs,
      defaultHeaders: tabs[0]!.headers, // of a new tab
      schemaDescription: true,
      inputValueDeprecation: true,
    },
    storageId: createHash('sha256').update(JSON.stringify(tabs)).digest('hex').slice(0, 12),
  }
}

/** As JSON that can't end the script it is in. */
const inScript = (value: object) => JSON.stringify(value).replaceAll('<', '\\u003c')
