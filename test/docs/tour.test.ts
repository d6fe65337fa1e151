import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { world } from '../world.ts'
import { demoServer, end, type Run, run } from './demoServer.ts'
import { blocks, textOf } from './markdown.ts'

const w = await world()
const tour = blocks(textOf('docs/tour.md')).filter(
  ({ language, comment }) => language === 'sh' && comment !== 'not run by the test',
)
const watching: { run: Run; answer: string }[] = []
let server: Awaited<ReturnType<typeof demoServer>>

beforeAll(async () => {
  server = await demoServer(w.url)
})

afterAll(async () => {
  await Promise.all([...watching.map(({ run }) => run), server].map(end))
})

/** The commands of a block, for the test's server, and the answer below them. */
function parts(code: string): { commands: string; answer: string } {
  const lines = code.trimEnd().split('\n')
  const first = lines.findIndex((line) => line.startsWith('# '))
  const end = first < 0 ? lines.length : first
  return {
    commands: lines.slice(0, end).join('\n').replaceAll('http://127.0.0.1:4000/graphql', server.url),
    answer: lines
      .slice(end)
      .map((line) => line.slice(2))
      .join('\n'),
  }
}

/** The answer as a pattern: `…` stands for anything, and white space does not matter. */
function patternOf(answer: string): RegExp {
  const pieces = answer.split('…').map((piece) => piece.trim().split(/\s+/).map(literal).join('\\s*'))
  return new RegExp(pieces.join('[\\s\\S]*'))
}

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

const environment = () => ({ DATABASE_URL: w.url, HOME: process.env.HOME ?? '', npm_config_update_notifier: 'false' })

test('each command of the tour does what the tour says', async () => {
  const [definition, ...rest] = tour
  const ask = parts(definition!.code).commands
  for (const { code } of rest) {
    const { commands, answer } = parts(code)
    expect(answer, commands).not.toBe('')
    const shell = run('sh', ['-ec', `${ask}\n${commands}`], environment())
    if (/curl -sN/.test(commands)) {
      watching.push({ run: shell, answer })
      await vi.waitUntil(() => shell.printed.includes('"data":{'), { timeout: 20_000, interval: 20 })
      continue
    }
    await shell.ended
    expect(shell.child.exitCode, shell.printed).toBe(0)
    expect(shell.printed).toMatch(patternOf(answer))
  }
  expect(watching).toHaveLength(1)
  for (const { run, answer } of watching)
    await vi.waitFor(() => expect(run.printed).toMatch(patternOf(answer)), { timeout: 20_000, interval: 50 })
}, 120_000)
