import { type CommandDef, runCommand, type SubCommandsDef } from 'citty'
import { describe, expect, test, vi } from 'vitest'
import { commands, overviewExamples } from '../../src/command/commands.ts'
import type { Examples } from '../../src/command/usage.ts'
import { run } from '../program.ts'
import { world } from '../world.ts'

const w = await world()

type Leaf = CommandDef & Examples
const load = (value: unknown): Promise<Leaf> => Promise.resolve(typeof value === 'function' ? value() : value)

/** All commands that do something, by their words. */
const leaves = new Map<string, Leaf>()
for (const [word, outline] of Object.entries(commands)) {
  const { subCommands, ...command } = (await outline.load()) as Leaf & { subCommands?: SubCommandsDef }
  if (!subCommands) leaves.set(word, command)
  else for (const [name, sub] of Object.entries(subCommands)) leaves.set(`${word} ${name}`, await load(sub))
}
const all = [...leaves].flatMap(([words, { examples }]) => examples.map((example) => [words, example] as const))

/** The words of a command line, as a shell finds them; quotes are only around whole words here. */
const wordsOf = (line: string) => [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)

/** Whether a command takes these parameters. It does nothing with them. */
const taken = (command: Leaf, rawArgs: string[]) => runCommand({ ...command, run: () => 'taken' }, { rawArgs })

describe('the help', () => {
  test('of each command has one to three examples', () => {
    expect(leaves.size).toBeGreaterThan(12)
    for (const [words, { examples }] of leaves) expect([1, 2, 3], words).toContain(examples.length)
  })

  test.each(all)('of `%s` has an example that it takes itself: %s', async (words, example) => {
    const [typed, own] = [wordsOf(example), words.split(' ')]
    expect(typed.slice(0, own.length)).toEqual(own)
    const command = leaves.get(words)!
    expect(await taken(command, typed.slice(own.length))).toEqual({ result: 'taken' })
    await expect(taken(command, [...typed.slice(own.length), '--misspelled'])).rejects.toThrow(/no option --misspelled/)
  })

  test('of the program has examples that are some of those', () => {
    for (const example of overviewExamples) expect(all.map(([, example]) => example)).toContain(example)
  })

  test.each([
    [[], overviewExamples],
    [['user'], ['add', 'token', 'list'].map((name) => leaves.get(`user ${name}`)!.examples[0]!)],
    [['user', 'add'], leaves.get('user add')!.examples],
    [['config'], leaves.get('config')!.examples],
  ])('of %j ends with its examples, as they can be typed', async (words, examples) => {
    const { output } = await run([...words, '--help'], {})
    expect(output.split('\nEXAMPLES\n\n')[1]).toBe(`${examples.map((line) => `  lockstep ${line}\n`).join('')}\n`)
    expect(output).toMatch(new RegExp(`^USAGE lockstep ${words.join(' ')}`, 'm'))
  })
})

test('the examples work, one after the other', { timeout: 60_000 }, async () => {
  // a user is needed first, and a course to teach; the server would run on
  const first = ['user add', 'import exercism']
  const place = ([words]: readonly [string, string]) => (first.includes(words) ? first.indexOf(words) : first.length)
  const inOrder = all.filter(([words]) => words !== 'start').sort((one, other) => place(one) - place(other))
  vi.stubEnv('DATABASE_URL', w.url)
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    for (const [words, example] of inOrder)
      await runCommand(leaves.get(words)!, { rawArgs: wordsOf(example).slice(words.split(' ').length) })
  } finally {
    write.mockRestore()
    vi.unstubAllEnvs()
  }
  expect(await w.query(`select name, role::text from "User" order by name`)).toEqual([
    { name: 'Ada Lovelace', role: 'INSTRUCTOR' },
    { name: 'Bao', role: 'LEARNER' },
  ])
})
