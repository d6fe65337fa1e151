import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { seedDemo } from '../../src/demo/demo.ts'
import { examples } from '../../src/graphiql/tabs.ts'
import { parseConfig } from '../../src/operator/config.ts'
import { serve } from '../api.ts'
import type { Told } from '../live/client.ts'
import { world } from '../world.ts'
import { as, type Content, tab } from './tab.ts'

const tabs = new Map(
  examples.map(({ query, headers, variables }): [string, Content] => [
    /^(?:query|mutation|subscription) (\w+)/m.exec(query)![1]!,
    { query, headers: JSON.parse(headers), variables: variables ? JSON.parse(variables) : undefined },
  ]),
)
const names = [...tabs.keys()]

const seed = process.env.EXAMPLES_SEED ?? String(Date.now() % 1_000_000)
const place = (name: string) => createHash('sha256').update(`${seed} ${name}`).digest('hex')
const shuffled = names.toSorted((one, other) => (place(one) < place(other) ? -1 : 1))

type Item = Omit<Told, 'progress'> & { readonly progress?: { readonly totalXp: number } }

interface Answer {
  readonly __typename: string
  readonly version: number
  readonly replayed: boolean
  readonly alreadyCompleted: boolean
  readonly reset: boolean
  readonly selection: { readonly currentPlanDay: string | null; readonly timeOfDay: string | null }
}

describe.each([
  ['in their order', names],
  ['in reverse', names.toReversed()],
  [`shuffled with EXAMPLES_SEED=${seed}`, shuffled],
])('after all examples were run twice %s', async (_, order) => {
  const w = await world()
  await seedDemo(w.url, parseConfig({ DATABASE_POOL_SIZE: '2' }))
  const api = await serve(w)
  const { ask, watch } = tab(api.url)

  /** Runs a tab. With an input, it is the tab's own but for that. */
  async function run(name: string, input: object = {}): Promise<Answer> {
    const content = tabs.get(name)!
    const variables = { ...content.variables, input: { ...(content.variables?.input as object), ...input } }
    const { data, errors } = await ask<Record<string, Answer>>({ ...content, variables })
    expect(errors).toBeUndefined()
    return Object.values(data)[0]!
  }

  /** What arrives in a tab, after its snapshot, while something is done. */
  async function arrives(name: string, count: number, act: () => Promise<unknown>): Promise<readonly Item[]> {
    const watching = watch(tabs.get(name)!)
    await watching.until(({ items }) => items.length === 1)
    expect(watching.items[0]).toMatchObject({ __typename: expect.stringMatching(/Snapshot$/), reason: 'INITIAL' })
    await act()
    await watching.until(({ items }) => items.length === count + 1)
    watching.stop()
    return watching.items.slice(1) as readonly Omit<Told, 'progress'>[]
  }

  test.each([...order, ...order])('%s has an answer', async (name) => {
    const content = tabs.get(name)!
    if (/^subscription/m.test(content.query)) return void (await arrives(name, 0, async () => {}))
    const { data, errors } = await ask(content)
    expect(errors).toBeUndefined()
    for (const answer of Object.values(data)) {
      expect(answer).not.toBeNull()
      if (answer.__typename) expect(answer.__typename).toMatch(/Payload$/)
    }
  })

  test.each(['Enroll', 'Complete', 'LevelUp'])(
    '%s, run again, changes nothing and says that it is replayed',
    async (name) => {
      const first = await run(name)
      expect(await run(name)).toEqual({ ...first, replayed: true })
      for (const { query, ...content } of tabs.values()) if (/^mutation/m.test(query)) await ask({ query, ...content })
      expect(await run(name)).toEqual({ ...first, replayed: true })
    },
  )

  test('Complete with another key is completed already, unless the lesson was reset in between', async () => {
    await run('Complete', { idempotencyKey: 'another-1' })
    expect(await run('Complete', { idempotencyKey: 'another-2' })).toMatchObject({ alreadyCompleted: true })
    await run('Reset')
    expect(await run('Complete', { idempotencyKey: 'another-3' })).toMatchObject({ alreadyCompleted: false })
  })

  test('Reset says that there is nothing to reset, and is not undone by Complete with its old key', async () => {
    await run('Complete', { idempotencyKey: 'before-reset' })
    expect(await run('Reset')).toMatchObject({ reset: true })
    expect(await run('Reset')).toMatchObject({ reset: false })
    expect(await run('Complete')).toMatchObject({ replayed: true })
    expect(await run('Reset')).toMatchObject({ reset: false })
  })

  test('MoveOn arrives in Watch and in Class', async () => {
    const moveOn = () => ask(tabs.get('MoveOn')!)
    const kinds = ['LESSON_COMPLETED', 'LESSON_RESET']
    expect((await arrives('Watch', 2, moveOn)).map(({ kind }) => kind)).toEqual(kinds)
    expect((await arrives('Class', 2, moveOn)).map(({ kind }) => kind)).toEqual(kinds)
  })

  test("Learners is refused with a learner's token", async () => {
    const { errors } = await ask({ ...tabs.get('Learners')!, headers: as({ token: 'demo-learner-1' }) })
    expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
  })

  test('Select keeps what is left out, and clears what is null', async () => {
    const own = tabs.get('Select')!.variables!.input as Answer['selection']
    const { currentPlanDay, timeOfDay } = own
    expect((await run('Select')).selection).toMatchObject({ currentPlanDay, timeOfDay })
    const dayOnly = await run('Select', { currentPlanDay: '2027-04-01', timeOfDay: undefined })
    expect(dayOnly.selection).toMatchObject({ currentPlanDay: '2027-04-01', timeOfDay })
    const cleared = await run('Select', { currentPlanDay: undefined, timeOfDay: null })
    expect(cleared.selection).toMatchObject({ currentPlanDay: '2027-04-01', timeOfDay: null })
    expect((await run('Select')).selection).toMatchObject({ currentPlanDay, timeOfDay })
  })

  test('Select with another day, or another time of day, arrives in Plan', async () => {
    await run('Select')
    const changes = await arrives('Plan', 2, async () => {
      await run('Select', { currentPlanDay: '2027-04-02' })
      await run('Select', { currentPlanDay: '2027-04-02', timeOfDay: 'MORNING' })
    })
    expect(changes.map(({ version }) => version)).toEqual([changes[0]!.version, changes[0]!.version + 1])
  })

  test('LevelUp with another key adds XP, and arrives in Levels', async () => {
    const [first, second] = await arrives('Levels', 2, async () => {
      await run('LevelUp', { idempotencyKey: 'levels-1' })
      await run('LevelUp', { idempotencyKey: 'levels-2' })
    })
    expect(second!.progress!.totalXp - first!.progress!.totalXp).toBe(250)
  })

  test('seeding the demo again changes nothing', async () => {
    const rows = () =>
      w.query('select "rootType", "rootId", max(version) as version from "Event" group by 1, 2 order by 1, 2')
    const before = await rows()
    await seedDemo(w.url, parseConfig({ DATABASE_POOL_SIZE: '2' }))
    expect(await rows()).toEqual(before)
  })
})

test('the comments of the examples are seen whole in a narrow window', () => {
  for (const [name, { query }] of tabs)
    for (const line of query.split('\n').filter((line) => line.startsWith('#')))
      expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(45)
})
