import { runCommand } from 'citty'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { commandsOf } from '../../src/command/moduleCommands.ts'
import { importPlan, definitionOf } from '../../src/planning/importPlan.ts'
import { readExercises } from '../../src/planning/exerciseFile.ts'
import { updateSelection } from '../../src/planning/updateSelection.ts'
import { academy } from '../academy.ts'
import { run } from '../program.ts'
import { race, world } from '../world.ts'
import { expectPlanWhole, kinds } from './planner.ts'

const project = path.join(import.meta.dirname, '../..')
const example = path.join(project, 'examples/exercises.json')
const shared = path.resolve(project, '../shared/data/free-exercise-db/exercises.json')
const real = existsSync(shared)
if (!real && process.env.CI) throw new Error(`${shared} is missing; in CI the real file is wanted.`)
const scratch = mkdtempSync(path.join(os.tmpdir(), 'lockstep-import-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)

interface Answer {
  readonly dryRun: boolean
  readonly plan: { readonly id: string; readonly ownerId: string; readonly title: string; readonly created: boolean }
  readonly workouts: { readonly added: number; readonly revised: number; readonly unchanged: number }
  readonly skipped: readonly { readonly where: string; readonly why: string }[]
}
type Entry = Record<string, unknown>

/** The command as an operator runs it. */
const lockstep = (parameters: string[], environment: Record<string, string | undefined> = { DATABASE_URL: w.url }) =>
  run(['import', 'exercises', ...parameters], environment)

/** The command in this process, which is quicker than a process of its own each time. */
async function imported(file: string, owner: string, ...options: string[]): Promise<Answer> {
  vi.stubEnv('DATABASE_URL', w.url)
  let output = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text
    return true
  })
  try {
    await runCommand(
      { subCommands: commandsOf('import') },
      { rawArgs: ['exercises', file, '--owner', owner, '--json', ...options] },
    )
  } finally {
    write.mockRestore()
    vi.unstubAllEnvs()
  }
  return JSON.parse(output) as Answer
}

let files = 0
function written(list: unknown): string {
  const name = path.join(scratch, `${++files}.json`)
  writeFileSync(name, typeof list === 'string' ? list : JSON.stringify(list, null, 2))
  return name
}
const entries = (file = example) => JSON.parse(readFileSync(file, 'utf8')) as Entry[]

/** Everything in the database, as one value. */
async function everything() {
  const tables = await w.query<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE'`,
  )
  return Object.fromEntries(
    await Promise.all(
      tables.map(async ({ name }) => [
        name,
        (await w.query(`select md5(string_agg(t::text, '|' order by t::text)) as rows from "${name}" t`))[0],
      ]),
    ),
  )
}
const workouts = (planId: string) =>
  w.query<{ id: string; title: string; position: number }>(
    'select id, title, position from "Workout" where "planId" = $1 order by position',
    [planId],
  )

describe.each([['our own', example, 7], ...(real ? [['the real', shared, 873] as const] : [])] as const)(
  '%s file',
  (_, file, count) => {
    test(`fills a plan with ${count} workouts, in the order of the file; again, nothing changes`, async () => {
      const { id } = await person()
      const would = await imported(file, id, '--dry-run')
      expect(would).toEqual({
        dryRun: true,
        plan: { id: expect.stringMatching(/^[0-9a-f]{16}$/), ownerId: id, title: 'Exercises', created: true },
        workouts: { added: count, revised: 0, unchanged: 0 },
        skipped: [],
      })
      expect(await w.history('Plan', would.plan.id)).toEqual([])
      expect(await imported(file, id)).toEqual({ ...would, dryRun: false })

      const rows = await workouts(would.plan.id)
      expect(rows.map(({ title, position }) => [title, position])).toEqual(
        entries(file).map(({ name }, i) => [name, i + 1]),
      )
      const history = await expectPlanWhole(w, would.plan.id)
      expect(kinds(history)).toEqual(['planCreated', ...Array(Math.ceil(count / 100)).fill('workoutsAdded')])
      expect(new Set(history.map(({ actor }) => actor))).toEqual(new Set(['system']))

      const before = await everything()
      const again = { plan: { ...would.plan, created: false }, workouts: { added: 0, revised: 0, unchanged: count } }
      expect(await imported(file, id)).toMatchObject(again)
      expect(await imported(file, id, '--dry-run')).toMatchObject(again)
      expect(await everything()).toEqual(before)
    })
  },
)

test('a changed file revises and adds workouts; those it no longer has, and selections, stay', async () => {
  const { id, actor } = await person()
  const { plan } = await imported(example, id)
  const [first, second] = await workouts(plan.id)
  const input = { workoutId: first!.id, currentPlanDay: '2027-03-29', timeOfDay: 'MORNING' as const }
  await commit(updateSelection, { actor, input })

  const list = entries()
  list[0]!.name = 'Wall Sit, longer'
  list[2]!.instructions = ['Take the elevator.']
  list.splice(1, 1)
  list.push({ id: 'New', name: 'Something new' })
  const next = written(list)
  const expected = { workouts: { added: 1, revised: 2, unchanged: 4 } }
  expect(await imported(next, id, '--dry-run')).toMatchObject(expected)
  expect(await imported(next, id)).toMatchObject({ plan: { id: plan.id, created: false }, ...expected })
  const rows = await workouts(plan.id)
  expect(rows[0]).toMatchObject({ id: first!.id, title: 'Wall Sit, longer', position: 1 })
  expect(rows[1]).toEqual(second)
  expect(rows.at(-1)).toMatchObject({ title: 'Something new', position: 8 })
  expect(
    await w.query('select "currentPlanDay"::text as day from "WorkoutSelection" where "workoutId" = $1', [first!.id]),
  ).toEqual([{ day: '2027-03-29' }])
  expect(kinds(await expectPlanWhole(w, plan.id))).toEqual([
    'planCreated',
    'workoutsAdded',
    'selectionsUpdated',
    'workoutsRevised',
    'workoutsAdded',
  ])
})

test('another title, or another owner, makes another plan', async () => {
  const [one, other] = [await person(), await person()]
  const ids = [
    await imported(example, one.id),
    await imported(example, one.id, '--title', 'Winter'),
    await imported(example, other.id),
  ].map(({ plan }) => plan.id)
  expect(new Set(ids).size).toBe(3)
  expect(await w.query('select title, "ownerId" from "Plan" where id = $1', [ids[1]])).toEqual([
    { title: 'Winter', ownerId: one.id },
  ])
})

describe('invalid entries', () => {
  const list = [
    ...entries(),
    null,
    { id: 'Nameless' },
    { ...entries()[0], name: 'Twice' },
    { id: 'Odd', name: 'Odd', force: 9 },
  ]

  test('refuse the whole file: exit code 65, and each entry’s index and reason', async () => {
    const { id } = await person()
    const [before, file] = [await everything(), written(list)]
    const { code, output, errors } = await lockstep([file, '--owner', id])
    expect({ code, output }).toEqual({ code: 65, output: '' })
    expect(errors.split('\n')).toEqual([
      `${file} cannot be imported; nothing was changed.`,
      '  [7]: must be an object, and is null.',
      '  [8].name: is missing.',
      '  [9].id: "Wall_Sit" is also the id of [0].',
      '  [10].force: must be a string, and is 9.',
      'The other 7 can be: --skip-invalid takes them and leaves these out.',
      '',
    ])
    expect(await everything()).toEqual(before)
  })

  test('are left out and reported with --skip-invalid; the valid ones are imported', async () => {
    const { id } = await person()
    const { plan, workouts: counts, skipped } = await imported(written(list), id, '--skip-invalid')
    expect(counts).toEqual({ added: 7, revised: 0, unchanged: 0 })
    expect(skipped.map(({ where }) => where)).toEqual(['[7]', '[8].name', '[9].id', '[10].force'])
    expect(await workouts(plan.id)).toHaveLength(7)
    const { code, output } = await lockstep([written(list), '--owner', id, '--skip-invalid'])
    expect(code).toBe(0)
    expect(output).toBe(
      [
        ...[
          'Exercises is as the file says.',
          '',
          `  Plan      ${plan.id}, of ${id}`,
          '  Workouts  0 added, 0 revised, 7 as the file says',
          '',
        ],
        ...[
          'Left out, since something is wrong with them:',
          '  [7]: must be an object, and is null.',
          '  [8].name: is missing.',
        ],
        ...['  [9].id: "Wall_Sit" is also the id of [0].', '  [10].force: must be a string, and is 9.', ''],
      ].join('\n'),
    )
  })
})

describe('an import is refused with', () => {
  test.each<[string, (owner: string) => string[], number, RegExp]>([
    [
      'a file that was cut short',
      (owner) => [written(readFileSync(example, 'utf8').slice(0, 700)), '--owner', owner],
      65,
      /line 26, column \d+: The file ends in the middle/,
    ],
    [
      'a track',
      (owner) => [path.join(project, 'examples/kitchen.config.json'), '--owner', owner],
      65,
      /not a list of exercises/,
    ],
    [
      'a file without a valid entry, even with --skip-invalid',
      (owner) => [written([1]), '--owner', owner, '--skip-invalid'],
      65,
      /\[0\]: must be an object, and is 1\./,
    ],
    [
      'a file that does not exist',
      (owner) => [path.join(scratch, 'none.json'), '--owner', owner],
      66,
      /There is no file .+none\.json/,
    ],
    ['no owner', () => [example], 64, /owner/],
    [
      'an owner that does not exist',
      () => [example, '--owner', 'nobody'],
      65,
      /^There is no user nobody. Nothing was imported\.\n$/,
    ],
    [
      'a title of two lines',
      (owner) => [example, '--owner', owner, '--title', 'a\nb'],
      64,
      /--title has a control character, U\+000A/,
    ],
    ['a misspelled option', (owner) => [example, '--owner', owner, '--skip-bad'], 64, /no option --skip-bad/],
  ])('%s', async (_, parameters, code, errors) => {
    const { id } = await person()
    const before = await everything()
    expect(await lockstep(parameters(id))).toEqual({ code, output: '', errors: expect.stringMatching(errors) })
    expect(await everything()).toEqual(before)
  })

  test('a dry run for an owner that does not exist, or without a database', async () => {
    expect(await lockstep([example, '--owner', 'nobody', '--dry-run'])).toMatchObject({
      code: 65,
      errors: expect.stringContaining('There is no user nobody'),
    })
    const vacant = { LOCKSTEP_DATA: path.join(scratch, 'vacant') }
    expect(await lockstep([example, '--owner', 'nobody', '--dry-run'], vacant)).toMatchObject({
      code: 65,
      errors: expect.stringContaining('no user nobody'),
    })
    expect(existsSync(vacant.LOCKSTEP_DATA)).toBe(false)
  })
})

test('the output says what was done, or would be done', async () => {
  const { id } = await person()
  const would = await lockstep([example, '--owner', id, '--dry-run'])
  expect(would.output).toMatch(
    /^Exercises would be created from .+exercises\.json\.\n\n {2}Plan {6}\w+, of .+\n {2}Workouts {2}7 added, 0 revised, 0 as the file says\n\nA dry run: nothing was changed\.\n$/,
  )
  expect((await lockstep([example, '--owner', id])).output).toMatch(/^Exercises was created from/)
})

test('several imports of one file at once make each workout once, and others can write afterwards', async () => {
  const { id, actor } = await person()
  const { exercises } = readExercises(readFileSync(real ? shared : example))
  const definition = definitionOf(exercises, id, 'Raced')
  const processes = [w.process(), w.process(), w.process()]
  const answers = await race(6, (i) => importPlan({ commit: processes[i % 3]!.commit, definition }))
  expect(answers.reduce((sum, { added }) => sum + added, 0)).toBe(exercises.length)
  expect(answers.filter(({ created }) => created)).toHaveLength(1)
  await commit(updateSelection, { actor, input: { workoutId: definition.workouts[0]!.id, timeOfDay: 'EVENING' } })
  await expectPlanWhole(w, definition.planId)
})

test('an interrupted import ends between two commits; the same import again does the rest', async () => {
  const { id } = await person()
  const exercises = Array.from({ length: 350 }, (_, i) => ({ id: `x${i}`, title: `Exercise ${i}`, details: '' }))
  const definition = definitionOf(exercises, id, 'Interrupted')
  const interrupted = new AbortController()
  const progress: number[] = []
  const onProgress = (done: number) => void (progress.push(done) === 2 && interrupted.abort())
  expect(await importPlan({ commit, definition, onProgress, signal: interrupted.signal })).toEqual({
    created: true,
    added: 200,
    revised: 0,
    done: 200,
  })
  expect(progress).toEqual([100, 200])
  expect(await importPlan({ commit, definition })).toEqual({ created: false, added: 150, revised: 0, done: 350 })
  expect((await workouts(definition.planId)).map(({ title }) => title)).toEqual(exercises.map(({ title }) => title))
  await expectPlanWhole(w, definition.planId)
})
