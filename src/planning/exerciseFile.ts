import { z } from 'zod'
import { type FileProblem, InvalidFile, readJson, shown, spelled, why } from '../operator/jsonFile.ts'
import type { WorkoutText } from './planState.ts'
import { detailsFault, titleFault } from './text.ts'

/** The largest file that is read, in bytes. free-exercise-db's own has a million. */
export const largestExercises = 16 * 2 ** 20

/** The title and details of a workout made from an exercise, and the exercise's id in the file. */
export interface Exercise extends WorkoutText {
  readonly id: string
}

/** The contents of a file. */
export interface ExerciseFile {
  /** The valid entries, in the order of the file. */
  readonly exercises: readonly Exercise[]
  /** What is wrong with the other entries. */
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
 * Reads a file in the format of free-exercise-db (https://github.com/yuhonas/free-exercise-db): a list of objects with
 * `id` and `name`; all other fields may be null or absent. Throws InvalidFile if the file is not such a list, or has no
 * valid entry.
 */
export function readExercises(bytes: Uint8Array): ExerciseFile {
  const list = readJson(bytes, largestExercises, 'list of exercises')
  if (!Array.isArray(list))
    throw InvalidFile.because(
      '',
      `The file is JSON but not a list of exercises: it begins with ${beginning(list)}. Wanted is an array of objects`,
    )
  if (!list.length) throw InvalidFile.because('', 'The list has no exercises')

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
  if (wrongDetails) return bad('', `the text of its details ${wrongDetails}`)
  return { exercise: { id: data.id, title, details }, faults: [] }
}

/** The facts of an exercise, one a line, then its numbered steps. */
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

/** The text on one line. */
const folded = (text: string) => text.replace(/\s+/g, ' ').trim()

const beginning = (value: unknown) => (value !== null && typeof value === 'object' ? 'an object' : shown(value))
