// Makes GraphiQL of what the package @graphql-yoga/render-graphiql has (YogaGraphiQL) and of what is here.
import { fetcher } from './fetcher.js'
import { storageOf } from './storage.js'

const { document, localStorage, location, YogaGraphiQL, graphqlWs } = globalThis
const { properties, storageId } = JSON.parse(document.querySelector('#settings').textContent)

globalThis.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_, label) => new URL(`${label}.js`, import.meta.url).href,
}

const storage = storageOf(localStorage, storageId)
const { defaultTabs, defaultHeaders } = properties
const before = JSON.parse(storage.getItem('graphiql:tabState')) ?? { tabs: defaultTabs, activeTabIndex: 0 }
const query = new URL(location.href).searchParams.get('query')
const linked = query ? [{ query, headers: defaultHeaders }] : []
const [first] = [...linked, before.tabs[before.activeTabIndex]]

const placeOf = ({ tabs, activeTabIndex }) => `${activeTabIndex} of ${tabs.length}`
let place = placeOf(before)

/** Shows the variables of a tab that has some, and the headers of another. GraphiQL itself decides only once. */
function showTools(state) {
  if (placeOf(state) === place) return // something else has changed
  place = placeOf(state)
  const name = state.tabs[state.activeTabIndex].variables?.trim() ? 'variables' : 'headers'
  setTimeout(() => document.querySelector(`[data-name=${name}]`)?.click())
}

const tabButtons = '.graphiql-tab-button, .graphiql-tab-close, .graphiql-tab-add'

/** Stops what runs before another tab is opened. GraphiQL itself would lose what `stop` shows, or not stop at all. */
function stopFirst({ target }) {
  if (target.closest(tabButtons)) document.querySelector('.graphiql-execute-button[aria-label^=Stop]')?.click()
}
document.addEventListener('click', stopFirst, { capture: true })

// GraphiQL measures its tabs when it begins. With another font later, they would not be where they are seen, and the
// first click on them would be lost.
await Promise.all(['400 1em Roboto', '500 1em Roboto', '400 1em "Fira Code"'].map((font) => document.fonts.load(font)))

YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), {
  ...properties,
  defaultTabs: [...linked, ...defaultTabs],
  storage,
  // By itself, GraphiQL may not find the tab that was open, and then opens one more, without variables.
  initialQuery: first.query,
  initialVariables: first.variables ?? '',
  initialHeaders: first.headers ?? '',
  defaultEditorToolsVisibility: true,
  fetcher: fetcher({ url: new URL('graphql', location.href).href, createClient: graphqlWs.createClient }),
  onTabChange: showTools,
  onEditQuery() {}, // it would write the query into the address, and a reload would open that
})
