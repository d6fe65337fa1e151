import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Window } from 'happy-dom'
import { expect, onTestFinished, test, vi } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, serve } from '../api.ts'
import { root } from '../docs/markdown.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'

const w = await world()
const { person, course, teach } = academy(w.process().commit)

/** The page as a browser shows it that has opened it as a file. */
function opened(address: string, token: string, courseId: string) {
  const search = new URLSearchParams({
    url: address.replace('http', 'ws'),
    token,
    courseId: globalId('Course', courseId),
  })
  const file = path.join(root, 'examples/live.html')
  const settings = { enableJavaScriptEvaluation: true, suppressInsecureJavaScriptEnvironmentWarning: true }
  const window = new Window({ url: `file://${file}?${search}`, settings })
  onTestFinished(() => window.happyDOM.close())
  window.document.write(readFileSync(file, 'utf8'))
  const { document } = window
  const shown = () => [...document.querySelectorAll('tr')].map(({ textContent }) => textContent)
  const until = (rows: readonly string[], timeout = 20_000) =>
    vi.waitFor(() => expect(shown(), state()).toEqual(rows), { timeout, interval: 20 })
  const state = () => document.querySelector('[role=status]')!.textContent
  return { state, until }
}

/** A class of two, and who teaches it. */
async function classroom() {
  const api = await serve(w, { CORS_ORIGINS: '*' })
  const [ada, bao] = [await person('LEARNER', 'ada'), await person('LEARNER', 'bao')]
  const [teacher, lessons] = [await person('INSTRUCTOR'), await course(4)]
  await teach(lessons.id, teacher)
  for (const { token } of [ada, bao]) await api.enroll(token, lessons.id)
  return { api, ada, bao, teacher, lessons }
}

test('the page shows a class, and each change', async () => {
  const { api, ada, bao, teacher, lessons } = await classroom()
  const { state, until } = opened(`${api.url}/graphql`, teacher.token, lessons.id)
  await until(['ada0 %', 'bao0 %'])
  expect(state()).toBe('Live: 2 learners')
  await api.complete(bao.token, lessons.lesson(1))
  await until(['ada0 %', 'bao25 %'])
  const chidi = await person('LEARNER', 'chidi')
  await api.enroll(chidi.token, lessons.id)
  await api.complete(ada.token, lessons.lesson(1))
  await until(['ada25 %', 'bao25 %', 'chidi0 %'])
})

test('the page goes on after the server was gone', async () => {
  const { api, ada, bao, teacher, lessons } = await classroom()
  const cable = await proxy(`${api.url}/graphql`)
  onTestFinished(() => cable.close())
  const { state, until } = opened(cable.url, teacher.token, lessons.id)
  await until(['ada0 %', 'bao0 %'])
  cable.unreachable = true
  cable.cut()
  await vi.waitUntil(() => state() === 'Connecting again …')
  await api.complete(ada.token, lessons.lesson(1))
  await api.complete(bao.token, lessons.lesson(1))
  await api.complete(bao.token, lessons.lesson(2))
  cable.unreachable = false
  await until(['ada25 %', 'bao50 %'])
  expect(state()).toBe('Live: 2 learners')
  cable.cut()
  await vi.waitUntil(() => state() === 'Connecting again …')
  await vi.waitUntil(() => state() === 'Live: 2 learners', { timeout: 20_000 })
})

test('the page says why where it may not see the class', async () => {
  const { api, ada, lessons } = await classroom()
  const { state } = opened(`${api.url}/graphql`, ada.token, lessons.id)
  await vi.waitUntil(() => /no such course|may not/i.test(state() ?? ''), { timeout: 20_000 })
})
