import { Window } from 'happy-dom'
import { expect, test } from 'vitest'
import { storageOf } from '../../src/graphiql/browser/storage.js'
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

test('no other page may show this one within itself', async () => {
  const { headers } = await fetch(address, { headers: { accept: 'text/html' } })
  const [, policy] = /<meta http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page)!
  expect(headers.get('content-security-policy')).toBe(`${policy}; frame-ancestors 'none'`)
})

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('a file of the page does not answer %s', async (method) => {
  const refused = await fetch(`${address}/main.js`, { method })
  expect([refused.status, refused.headers.get('allow'), await refused.text()]).toEqual([405, 'GET, HEAD', ''])
})

test('a file of the page tells of itself without its text', async () => {
  const [head, get] = [await fetch(`${address}/main.js`, { method: 'HEAD' }), await fetch(`${address}/main.js`)]
  expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', get.headers.get('etag')])
})

test('what GraphiQL keeps is its own: other pages of the origin lose nothing when it is cleared', () => {
  const { localStorage } = new Window({ url: address })
  const storages = ['0123456789ab', 'ba9876543210'].map((id) => storageOf(localStorage as unknown as Storage, id))
  localStorage.setItem('theirs', 'kept')
  for (const [i, storage] of storages.entries()) storage.setItem('tabs', String(i))
  expect(storages.map((storage) => storage.getItem('tabs'))).toEqual(['0', '1'])
  storages[0]!.clear() // with what an older version left: it may have tokens
  expect(storages.map((storage) => storage.getItem('tabs'))).toEqual([null, null])
  expect(localStorage.getItem('theirs')).toBe('kept')
})

test('a file that the browser has is not sent again', async () => {
  const first = await fetch(`${address}/graphiql.js`)
  const etag = first.headers.get('etag')!
  expect((await first.text()).length).toBeGreaterThan(1_000_000)
  const again = await fetch(`${address}/graphiql.js`, { headers: { 'if-none-match': etag } })
  expect({ status: again.status, text: await again.text() }).toEqual({ status: 304, text: '' })
  for (const known of [`W/${etag}`, `"other", W/${etag}`, `${etag},"other"`, '*'])
    expect([known, (await fetch(`${address}/graphiql.js`, { headers: { 'if-none-match': known } })).status]).toEqual([
      known,
      304,
    ])
  const other = await fetch(`${address}/graphiql.js`, { headers: { 'if-none-match': '"other"' } })
  expect(other.status).toBe(200)
})

test('what the page contains of the examples ends no script', () => {
  const [, settings] = /<script type="application\/json" id="settings">([^<]+)<\/script>/.exec(page)!
  expect(JSON.parse(settings!).properties.defaultTabs).toHaveLength(1)
})
