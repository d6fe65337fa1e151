import { expect, test } from 'vitest'
import { serve } from '../api.ts'
import { world } from '../world.ts'

const api = await serve(await world())
const address = `${api.url}/graphql`
const page = await (await fetch(address, { headers: { accept: 'text/html' } })).text()

/** The addresses that a file of the page names: of other files, or to import. */
const named = (text: string, base: string) =>
  [...text.matchAll(/\b(?:src|href)="([^"]+)"|\bfrom '(\.[^']+)'/g)].map(
    ([, file, own]) => new URL((file ?? own)!, base),
  )

test('the page and its own scripts name files of this server only, and each is there', async () => {
  const files = named(page, address)
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) {
    const response = await fetch(file)
    expect({ file: file.href, status: response.status }).toEqual({
      file: expect.stringContaining(address),
      status: 200,
    })
    expect(response.headers.get('content-type')).toMatch(
      { js: /^text\/javascript/, css: /^text\/css/, ico: /^image/ }[file.pathname.split('.').at(-1)!]!,
    )
    const text = await response.text()
    expect(text.length).toBeGreaterThan(0)
    if (text.length < 20_000) files.push(...named(text, file.href)) // it is our own
  }
  expect(files.map(({ pathname }) => pathname)).toContain('/graphql/subscription.js')
})

test.each(['editorWorkerService', 'json', 'graphql'])('the editor has its worker %s', async (name) => {
  const response = await fetch(`${address}/${name}.js`)
  expect(response.status).toBe(200)
  expect((await response.text()).length).toBeGreaterThan(10_000)
})

test('a browser is told to load nothing from elsewhere', () => {
  expect(page).toMatch(/<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self';/)
  expect(page).not.toMatch(/https?:/)
})

test('a file that the browser has is not sent again', async () => {
  const first = await fetch(`${address}/graphiql.js`)
  const etag = first.headers.get('etag')!
  expect((await first.text()).length).toBeGreaterThan(1_000_000)
  const again = await fetch(`${address}/graphiql.js`, { headers: { 'if-none-match': etag } })
  expect({ status: again.status, text: await again.text() }).toEqual({ status: 304, text: '' })
  const other = await fetch(`${address}/graphiql.js`, { headers: { 'if-none-match': '"other"' } })
  expect(other.status).toBe(200)
})

test('what the page contains of the examples ends no script', () => {
  const [, settings] = /<script type="application\/json" id="settings">([^<]+)<\/script>/.exec(page)!
  expect(JSON.parse(settings!).properties.defaultTabs).toHaveLength(1)
})
