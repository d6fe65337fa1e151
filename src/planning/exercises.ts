import { z } from 'zod'
import { type FileProblem, InvalidFile, readJson, shown, spelled, why } from '../operator/jsonFile.ts'
import type { WorkoutText } from './planState.ts'
import { detailsFault, titleFault } from './text.ts'

/** The largest file that is read, in bytes; free-exercise-db's own has a million. */
export const largestExercises = 16 * 2 ** 20

/** An exercise as a workout, with the id that the file gives it. */
export interface Exercise extends WorkoutText {
  readonly id: string
}

/** What was read of a file. */
export interface Exercises {
  /** The good ones, in the order of the file. */
  readonly exercises: readonly Exercise[]
  /** What is wrong with the others, by their index. */
  readonly problems: readonly FileProblem[]
}

const word = z.string().nullish()
const words = z.array(z.string()).nullish()
const entry = z.object({
  id: z.string().max(255).regex(/\S/),
  name: z.string(),
  level: word,
  category: word,
  force: word,
  mechanic: word,
  equipment: word,
  primaryMuscles: words,
  secondaryMuscles: words,
  instructions: words,
})

/**
 * The exercises of a file in the format of free-exercise-db (https://github.com/yuhonas/free-exercise-db): a list of
 * objects, of which `id` and `name` must be there, and the others may be null or left out. Throws InvalidFile where
 * there is no such list, or nothing good in it.
 */
export function readExercises(bytes: Uint8Array): Exercises {
  const list = readJson(bytes, largestExercises, 'list of exercises')
  if (!Array.isArray(list))
    throw InvalidFile.because(
      '',
      `The file is JSON, but not a list of exercises: it begins with ${beginning(list)}, and wanted is an array of objects`,
    )
  if (!list.length) throw InvalidFile.because('', 'There is no exercise in it')

  const exercises: Exercise[] = []
  const problems: FileProblem[] = []
  const places = new Map<string, number>()
  for (const [i, found] of list.entries()) {
    const { exercise, faults } = read(found, i, places)
    problems.push(...faults)
    if (exercise) {
      places.set(exercise.id, i)
      exercises.push(exercise)
    }
  }
  if (!exercises.length) throw new InvalidFile(problems)
  return { exercises, problems }
}

function read(
  found: unknown,
  i: number,
  places: ReadonlyMap<string, number>,
): { exercise?: Exercise; faults: FileProblem[] } {
  const { data, error } = entry.safeParse(found, { error: why })
  if (error)
    return { faults: error.issues.map(({ path, message }) => ({ where: spelled([i, ...path]), why: message })) }
  const bad = (field: string, why: string) => ({ faults: [{ where: `[${i}]${field}`, why }] })

  const other = places.get(data.id)
  if (other !== undefined) return bad('.id', `${shown(data.id)} is also the id of [${other}]`)
  const title = folded(data.name)
  const wrongTitle = titleFault(title)
  if (wrongTitle) return bad('.name', wrongTitle)
  const details = detailsOf(data)
  const wrongDetails = detailsFault(details)
  if (wrongDetails) return bad('', `as the details of a workout, it ${wrongDetails}`)
  return { exercise: { id: data.id, title, details }, faults: [] }
}

/** What is known of it on a line each, then its steps, numbered. */
function detailsOf({
  level,
  category,
  force,
  mechanic,
  equipment,
  primaryMuscles,
  secondaryMuscles,
  instructions,
}: z.output<typeof entry>): string {
  const several = (all: readonly string[] | null | undefined) => some(all).join(', ')
  const facts = [
    ['Level', level],
    ['Category', category],
    ['Force', force],
    ['Mechanic', mechanic],
    ['Equipment', equipment],
    ['Muscles', several(primaryMuscles)],
    ['Also', several(secondaryMuscles)],
  ].flatMap(([name, fact]) => (fact?.trim() ? [`${name}: ${folded(fact)}`] : []))
  const steps = some(instructions).map((step, i) => `${i + 1}. ${step}`)
  return [...facts, ...(facts.length && steps.length ? [''] : []), ...steps].join('\n')
}

const some = (all: readonly string[] | null | undefined) => (all ?? []).map(folded).filter((text) => text)

/** On one line. */
const folded = (text: string) => text.replace(/\s+/g, ' ').trim()

const beginning = (value: unknown) => (value !== null && typeof value === 'object' ? 'an object' : shown(value))
