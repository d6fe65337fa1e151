import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { academy } from '../academy.ts'
import { client } from '../api.ts'
import { world } from '../world.ts'

// Follows docs/adding-a-module.md word by word, in a copy of the project.

const project = path.resolve(import.meta.dirname, '../..')
const doc = fs.readFileSync(path.join(project, 'docs/adding-a-module.md'), 'utf8')
const blocks = [...doc.matchAll(/^```(\w+)(?: title="([^"]+)")?\n([\s\S]*?)^```$/gm)].map(
  ([, language, title, text]) => ({
    ...{ language, title, text: text! },
  }),
)
const blockOf = (language: string) => blocks.find((block) => block.language === language && !block.title)!.text

const copy = fs.mkdtempSync(path.join(os.tmpdir(), `lockstep-test-${process.pid}-module-`))
afterAll(() => fs.rmSync(copy, { recursive: true, force: true }))
const configuration = ['prisma.config.ts', 'package.json', 'tsconfig.json', 'biome.json', 'relay.config.json']
for (const each of ['src', 'prisma', 'codegen.ts', 'test/clients/relay', ...configuration])
  fs.cpSync(path.join(project, each), path.join(copy, each), { recursive: true })
fs.symlinkSync(path.join(project, 'node_modules'), path.join(copy, 'node_modules'))

const run = (file: string, ...parameters: string[]) =>
  promisify(execFile)(process.execPath, [path.join('node_modules', file), ...parameters], { cwd: copy })

describe('who follows docs/adding-a-module.md', () => {
  test('writes the files of the module, and its line', () => {
    const titled = blocks.filter(({ title }) => title)
    expect(titled.length).toBeGreaterThan(8)
    for (const { language, title, text } of titled) {
      const file = path.join(copy, title!)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, language === 'diff' ? patched(fs.readFileSync(file, 'utf8'), text) : text)
    }
  })

  // four programs, one after the other
  test('generates the client and the schema, and finds nothing wrong', { timeout: 240_000 }, async () => {
    await run('prisma/build/index.js', 'generate')
    await run('tsx/dist/cli.mjs', 'codegen.ts')
    expect(fs.readFileSync(path.join(copy, 'schema.graphql'), 'utf8')).toContain('union CreateGoalResult =')
    fs.writeFileSync(
      path.join(copy, 'tsconfig.json'),
      JSON.stringify({ extends: path.join(project, 'tsconfig.json'), include: ['src'] }),
    )
    await run('typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json')
    await run('@biomejs/biome/bin/biome', 'ci', '--vcs-enabled=false', '--colors=off', 'src/goals', 'src/modules.ts')
  })

  test('has a mutation that takes effect once, and a stream that resumes', async () => {
    const w = await world()
    const { token } = await academy(w.process().commit).person()
    const endpoint = await started(w.url)
    const api = client(endpoint)

    const created = await api.ask<{ createGoal: Created }, object>(blockOf('graphql'), {}, token)
    expect(created).toMatchObject(JSON.parse(blockOf('json')))
    const again = await api.ask<{ createGoal: Created }, object>(blockOf('graphql'), {}, token)
    expect(again.data.createGoal).toEqual({ ...created.data.createGoal, replayed: true })

    const [goal] = await w.query<{ id: string; version: number }>('select id, version from "Goal"')
    expect(goal).toMatchObject({ version: 1 })
    const id = Buffer.from(`Goal:${goal!.id}`).toString('base64')
    const reached = await api.ask<{ reachGoal: { version: number; cursor: string } }, object>(
      `mutation { reachGoal(input: { goalId: "${id}" }) { ... on ReachGoalPayload { version cursor goal { reachedAt }
        } } }`,
      {},
      token,
    )
    expect(reached.data.reachGoal).toMatchObject({ version: 2, goal: { reachedAt: expect.any(String) } })
    expect(await w.history('Goal', goal!.id)).toMatchObject([{ kind: 'goalCreated' }, { kind: 'goalReached' }])
    expect(await firstItem(endpoint, token, id)).toMatchObject({ __typename: 'GoalSnapshot', version: 2 })
  })
})

interface Created {
  readonly replayed: boolean
}

/** The first item of goalUpdates, over server-sent events. */
async function firstItem(endpoint: string, token: string, id: string): Promise<object> {
  const left = new AbortController()
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      query: `subscription { goalUpdates(goalId: "${id}") { __typename ... on GoalSnapshot { version goal { title } }
        } }`,
    }),
    signal: left.signal,
  })
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const [, data] = /^data: (\{.*\})$/m.exec(text) ?? []
    if (!data) continue
    left.abort()
    return JSON.parse(data).data.goalUpdates
  }
  throw new Error(`The stream ended without an item: ${text}`)
}

/** A server of the copy. */
async function started(databaseUrl: string): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', 'start', '--json'], {
    cwd: copy,
    env: { ...process.env, DATABASE_URL: databaseUrl, PORT: '0', LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return (JSON.parse(String(line)) as { graphql: string }).graphql
}

/** Applies a diff whose hunks are found by their lines. */
function patched(text: string, diff: string): string {
  return diff.split(/^@@\n/m).reduce((text, hunk) => {
    const lines = hunk.trimEnd().split('\n')
    const side = (mark: string) =>
      lines.filter((line) => ' '.concat(mark).includes(line[0]!)).map((line) => `${line.slice(1)}\n`)
    const [before, after] = [side('-').join(''), side('+').join('')]
    expect(text).toContain(before)
    return text.replace(before, () => after)
  }, text)
}
