import { test } from 'vitest'
import { academy } from './academy.ts'
import { globalId, serve } from './api.ts'
import { world } from './world.ts'
const w = await world()
const { commit } = w.process()
const { person, course } = academy(commit)
const api = await serve(w)
test('probe', async () => {
  const p = await person(); const c = await course(2)
  const b = (s: string) => Buffer.from(s).toString('base64')
  await api.enroll(p.token, c.id)
  await api.complete(p.token, c.lesson(1))
  const say = async (what: string, q: string, v: any = {}) => { const r = await api.ask(q, v, p.token); console.log(what, '→', r.status, JSON.stringify(r.data)?.slice(0, 300), JSON.stringify(r.errors)?.slice(0, 400)) }
  for (const cur of ['GPC:N:5', 'GPC:S:a\0b', 'GPC:D:5', 'GPC:J:{"a":1}', 'GPC:J:[1,2]', 'GPC:J:["a","b"]', 'GPC:J:[{"contains":"a"},"b"]', 'GPC:J:garbage', 'GPC:I:5']) {
    await say(`courses ${cur}`, `{ courses(after: "${b(cur)}") { edges { node { slug } } } }`)
    await say(`lessons ${cur}`, `{ course(slug: "${c.slug}") { lessons(after: "${b(cur)}") { edges { node { slug } } } } }`)
    await say(`progress ${cur}`, `{ viewer { enrollments { edges { node { progress(after: "${b(cur)}") { edges { cursor node { status } } } } } } } }`)
  }
  await say(`progress`, `{ viewer { enrollments { edges { node { progress { edges { cursor node { status } } } } } } } }`)
  for (let i = 0; i < 10; i++) for (const size of [1.1e6, 3e6, 2e7]) {
    try { const r = await fetch(api.url + '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'x'.repeat(size) }); await r.text(); if (i == 0) console.log('big →', size, r.status) } catch (e: any) { console.log('big → THROWS', size, e.message, e.cause?.code) }
    try { const r = await fetch(api.url + '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, duplex: 'half', body: new Blob(['x'.repeat(size)]).stream() } as any); await r.text(); if (i == 0) console.log('chunked →', size, r.status) } catch (e: any) { console.log('chunked → THROWS', size, e.message, e.cause?.code) }
  }
})
