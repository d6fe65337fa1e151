import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidFile } from '../../src/operator/jsonFile.ts'
import { type ExerciseFile, readExercises } from '../../src/planning/exerciseFile.ts'
import { definitionOf } from '../../src/planning/importPlan.ts'
import { detailsFault, titleFault } from '../../src/planning/text.ts'

const project = path.resolve(import.meta.dirname, '../..')
const own = readFileSync(path.join(project, 'examples/exercises.json'))
const file = path.resolve(project, '../shared/data/free-exercise-db/exercises.json')

const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const good = { id: 'Squat', name: 'Squat' }
/** The problems of a list's entries, or of the file as a whole. */
function problems(value: unknown): ExerciseFile['problems'] {
  try {
    return readExercises(value instanceof Uint8Array ? value : bytes(value)).problems
  } catch (error) {
    if (error instanceof InvalidFile) return error.problems
    throw error
  }
}

describe('a file', () => {
  test('makes workouts whose details are the known facts, one a line, and the numbered steps', () => {
    const { exercises, problems } = readExercises(own)
    expect(problems).toEqual([])
    expect(exercises).toHaveLength(7)
    expect(exercises[0]).toEqual({
      id: 'Wall_Sit',
      title: 'Wall Sit',
      details: [
        ...[
          'Level: beginner',
          'Category: strength',
          'Force: static',
          'Mechanic: compound',
          'Equipment: body only',
          'Muscles: quadriceps',
        ],
        ...['Also: glutes, calves', '', '1. Stand with your back to a wall and your feet a step away from it.'],
        ...[
          '2. Slide down until your thighs are level with the floor.',
          '3. Hold for as long as your breath stays calm, then slide up again.',
        ],
      ].join('\n'),
    })
    expect(exercises[1]!.details).not.toMatch(/Force|Mechanic|Equipment|null/)
    expect(exercises[3]!.details).toContain('2. Lean back with straight arms, and pull yourself to the post.')
    expect(exercises[4]!.details).toBe(
      'Level: expert\nCategory: strongman\nForce: static\nEquipment: other\nMuscles: forearms',
    )
  })

  test('needs only id and name', () => {
    expect(readExercises(bytes([good]))).toEqual({
      exercises: [{ id: 'Squat', title: 'Squat', details: '' }],
      problems: [],
    })
  })

  if (!existsSync(file) && process.env.CI) throw new Error(`${file} is missing; in CI the real file is wanted.`)
  test.runIf(existsSync(file))('of free-exercise-db makes 873 workouts without a problem', () => {
    const { exercises, problems } = readExercises(readFileSync(file))
    expect({ count: exercises.length, problems }).toEqual({ count: 873, problems: [] })
    const { workouts } = definitionOf(exercises, 'ada', 'Exercises')
    expect(new Set(workouts.map(({ id }) => id)).size).toBe(873)
    for (const { id, title, details } of workouts) {
      expect(id).toMatch(/^[0-9a-f]{16}\.[0-9a-f]{16}$/)
      expect([titleFault(title), detailsFault(details)]).toEqual([undefined, undefined])
      expect(details).not.toMatch(/null|undefined|\[object/)
      expect(details).toMatch(/^Level: /)
    }
  })
})

test('owner and title, and nothing else, determine the plan’s id', () => {
  const id = (owner: string, title: string) => definitionOf([], owner, title).planId
  expect(id('ada', 'Exercises')).toBe(id('ada', 'Exercises'))
  expect(
    new Set([id('ada', 'Exercises'), id('bao', 'Exercises'), id('ada', 'Others'), id('a', 'daExercises')]).size,
  ).toBe(4)
})

describe('an invalid entry is reported by its index, and the others are read:', () => {
  test.each<[string, unknown, string, string | RegExp]>([
    ['null', null, '[1]', 'must be an object, and is null'],
    ['a text', 'Squat', '[1]', 'must be an object, and is "Squat"'],
    ['a list', [good], '[1]', /must be an object/],
    ['without an id', { name: 'Lunge' }, '[1].id', 'is missing'],
    ['with an id that is null', { name: 'Lunge', id: null }, '[1].id', 'must be a string, and is null'],
    ['with a blank id', { name: 'Lunge', id: ' ' }, '[1].id', 'must not be blank'],
    ['with a long id', { name: 'Lunge', id: 'x'.repeat(300) }, '[1].id', 'must have at most 255 characters'],
    ['without a name', { id: 'Lunge' }, '[1].name', 'is missing'],
    ['with a blank name', { id: 'Lunge', name: ' \n' }, '[1].name', 'is blank'],
    ['with a long name', { id: 'Lunge', name: 'x'.repeat(201) }, '[1].name', 'has 201 characters'],
    ['with NUL in its name', { id: 'Lunge', name: 'a\0b' }, '[1].name', /has a control character, U\+0000/],
    ['with half a character in its name', { id: 'Lunge', name: 'a\ud800b' }, '[1].name', /half of a surrogate pair/],
    ['with a number as its level', { id: 'Lunge', name: 'Lunge', level: 3 }, '[1].level', 'must be a string, and is 3'],
    [
      'with a text as its steps',
      { id: 'Lunge', name: 'Lunge', instructions: 'Go' },
      '[1].instructions',
      'must be an array, and is "Go"',
    ],
    [
      'with a step that is null',
      { id: 'Lunge', name: 'Lunge', instructions: ['Go', null] },
      '[1].instructions[1]',
      'must be a string, and is null',
    ],
    [
      'with an escape in a step',
      { id: 'Lunge', name: 'Lunge', instructions: ['\u001b[31m'] },
      '[1]',
      /the text of its details has a control character, U\+001B/,
    ],
    [
      'with too many steps',
      { id: 'Lunge', name: 'Lunge', instructions: Array(9).fill('x'.repeat(2_000)) },
      '[1]',
      /the text of its details has 18,?\d+ characters/,
    ],
    ['with the id of another', { ...good, name: 'Another' }, '[1].id', '"Squat" is also the id of [0]'],
  ])('%s', (_, entry, where, why) => {
    const { exercises, problems } = readExercises(bytes([good, entry, { id: 'Last', name: 'Last' }]))
    expect(exercises.map(({ id }) => id)).toEqual(['Squat', 'Last'])
    expect(problems).toEqual([{ where, why: typeof why === 'string' ? why : expect.stringMatching(why) }])
  })

  test('a valid entry may have the id of an invalid one', () => {
    const { exercises, problems } = readExercises(bytes([{ ...good, name: 7 }, good]))
    expect(exercises).toHaveLength(1)
    expect(problems).toMatchObject([{ where: '[0].name' }])
  })
})

describe('an invalid file is refused with the place and the reason:', () => {
  test.each<[string, unknown, string, RegExp]>([
    ['empty', ' ', '', /is empty/],
    ['cut short', own.toString().slice(0, 700), 'line 26, column', /ends in the middle: it was cut short/],
    ['no JSON', 'Squats, mostly', 'line 1, column 1', /is not JSON: "S" cannot be here/],
    ['an object', { exercises: [] }, '', /not a list of exercises: it begins with an object/],
    ['a number', 5, '', /it begins with 5/],
    ['an empty list', [], '', /The list has no exercises/],
    ['a list without a valid entry', [1, 2], '[0]', /must be an object, and is 1/],
    ['no UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'line 1, column 3', /not UTF-8/],
    ['too large', Buffer.alloc(16 * 2 ** 20 + 1, 0x20), '', /larger than 16 MiB/],
  ])('%s', (_, value, where, why) => {
    const [problem] = problems(value)
    expect(problem!.where).toContain(where)
    expect(problem!.why).toMatch(why)
  })

  test('no JSON throws anything but InvalidFile', () => {
    fc.assert(fc.property(fc.json(), (text) => void problems(text)))
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ id: fc.jsonValue(), name: fc.jsonValue(), instructions: fc.jsonValue() }, { requiredKeys: [] }),
        ),
        (list) => void problems(list),
      ),
    )
  })
})
