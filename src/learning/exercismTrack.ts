import { z } from 'zod'
import type { ContentState, LessonState } from './courseAggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { type FileProblem, InvalidFile, readJson, spelled, why } from '../operator/jsonFile.ts'
import { unlockOrder } from './lessonGraph.ts'
import type { CourseDefinition } from './reviseCourse.ts'

/** The largest file that is read, in bytes. Exercism's own have about 100,000. */
export const largestTrack = 4 * 2 ** 20

/**
 * Reads an Exercism track's config.json (https://exercism.org/docs/building/tracks/config-json) as a course. Throws
 * InvalidFile with all that is wrong with the file.
 *
 * An exercise names the concepts that a learner must know first: its `prerequisites`. A learner learns a concept by
 * completing the concept exercise that has it among its `concepts`. So an exercise requires the concept exercises that
 * teach its prerequisites. Practice exercises teach nothing, so no other exercise requires them.
 *
 * An exercise with the status `wip` is not shown and unlocks nothing; one with `deprecated` is shown only to learners
 * who have begun it. Both are inactive lessons here, and a lesson that requires an inactive one does not wait for it.
 * `beta` is active, and so is an exercise without a status.
 *
 * The uuid identifies an exercise: it "must never change". Slug and name may.
 */
export function readTrack(bytes: Uint8Array): CourseDefinition {
  const track = parse(readJson(bytes, largestTrack, "track's config.json"))
  const problems = contradictions(track)
  if (problems.length) throw new InvalidFile(problems)

  const courseId = idOf(`exercism/${track.slug}`)
  const order = inOrder(track)
  const ids = new Map(order.map(({ slug, uuid }) => [slug, `${courseId}.${idOf(uuid)}`]))
  const lessons = order.map((exercise, index): [string, LessonState] => {
    const { slug, name, teaches, requires } = exercise
    const id = ids.get(slug)!
    const items: Pick<ContentState, 'title' | 'kind'>[] = [
      { title: teaches ? 'Introduction' : 'Instructions', kind: 'TEXT' },
      { title: 'Exercise', kind: 'EXERCISE' },
    ]
    const contents = Object.fromEntries(
      items.map((item, index) => [`${id}.${idOf(item.title)}`, { position: index + 1, ...item, active: true }]),
    )
    return [
      id,
      {
        slug,
        position: index + 1,
        title: name,
        active: isActive(exercise),
        requires: requires.map((slug) => ids.get(slug)!).sort(),
        contents,
      },
    ]
  })
  return {
    courseId,
    slug: track.slug,
    title: track.language,
    description: track.blurb,
    lessons: Object.fromEntries(lessons),
  }
}

const kebab = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/)
/**
 * What PostgreSQL can't store, or would store as something else, is refused: NUL, and halves of surrogate pairs; so are
 * all control characters, which would steer the terminal that shows them.
 */
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .regex(/\S/)
    .regex(/^\P{Cc}*$/u)
    .regex(/^\P{Surrogate}*$/u)
/** Lines of a description are one line here, and tabs in it are spaces. */
const folded = (longest: number) =>
  z.preprocess((value) => (typeof value === 'string' ? value.replace(/[\t\r\n]+/g, ' ') : value), text(longest))
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

const exercise = {
  slug: kebab,
  name: text(255),
  uuid,
  prerequisites: z.array(kebab).default([]),
  status: z.enum(['wip', 'beta', 'active', 'deprecated']).default('active'),
}
const track = z.object({
  language: text(255),
  slug: kebab,
  blurb: folded(400),
  version: z.literal(3),
  exercises: z.object({
    concept: z.array(z.object({ ...exercise, concepts: z.array(kebab) })).default([]),
    practice: z.array(z.object(exercise)).default([]),
  }),
  concepts: z.array(z.object({ slug: kebab })),
})

type Parsed = z.output<typeof track>

interface Exercise extends z.output<z.ZodObject<typeof exercise>> {
  /** Its path in the file. */
  readonly where: string
  /** The concepts that it teaches; undefined for a practice exercise. */
  readonly teaches: readonly string[] | undefined
  /** The slugs of the exercises that teach its prerequisites. */
  readonly requires: readonly string[]
}
interface Track extends Omit<Parsed, 'concepts'> {
  readonly concepts: ReadonlySet<string>
  /** By concept, the slugs of the exercises that teach it. */
  readonly teachers: ReadonlyMap<string, readonly string[]>
  /** Concept exercises first, both in the order of the file. */
  readonly all: readonly Exercise[]
}

const isActive = ({ status }: Pick<Exercise, 'status'>) => status === 'active' || status === 'beta'

function parse(value: unknown): Track {
  if (value === null || typeof value !== 'object' || !('exercises' in value)) {
    throw InvalidFile.because(
      '',
      "The file is JSON, but not a track's config.json: it has no `exercises`. Is it an exercise's own " +
        ".meta/config.json, or another program's",
    )
  }
  const { data, error } = track.safeParse(value, { error: why })
  if (error) throw new InvalidFile(error.issues.map(({ path, message }) => ({ where: spelled(path), why: message })))

  const { concept, practice } = data.exercises
  const teachers = new Map<string, string[]>()
  for (const { slug, concepts } of concept)
    for (const taught of concepts) teachers.set(taught, [...(teachers.get(taught) ?? []), slug])
  const requires = ({ slug, prerequisites }: { slug: string; prerequisites: readonly string[] }) =>
    [...new Set(prerequisites.flatMap((concept) => teachers.get(concept) ?? []))].filter((teacher) => teacher !== slug)
  const all: Exercise[] = [
    ...concept.map((one, i) => ({
      ...one,
      where: `exercises.concept[${i}]`,
      teaches: one.concepts,
      requires: requires(one),
    })),
    ...practice.map((one, i) => ({
      ...one,
      where: `exercises.practice[${i}]`,
      teaches: undefined,
      requires: requires(one),
    })),
  ]
  return { ...data, concepts: new Set(data.concepts.map(({ slug }) => slug)), teachers, all }
}

/** All that is well-formed but contradicts itself. */
function contradictions({ all, concepts, teachers }: Track): FileProblem[] {
  const problems: FileProblem[] = []
  const tell = (where: string, why: string) => problems.push({ where, why })

  for (const field of ['slug', 'uuid'] as const) {
    const first = new Map<string, Exercise>()
    for (const exercise of all) {
      const other = first.get(exercise[field])
      if (other)
        tell(
          `${exercise.where}.${field}`,
          `${JSON.stringify(exercise[field])} is also the ${field} of ` +
            `${other.where}${field === 'uuid' ? ` (${other.slug})` : ''}`,
        )
      else first.set(exercise[field], exercise)
    }
  }
  for (const exercise of all) {
    // unfinished: tracks have such exercises that need concepts which are not there yet
    if (!isActive(exercise)) continue
    const { slug, where, teaches = [], prerequisites } = exercise
    for (const [i, concept] of teaches.entries()) {
      if (!concepts.has(concept))
        tell(`${where}.concepts[${i}]`, `${slug} teaches ${JSON.stringify(concept)}, which is not among the concepts`)
    }
    for (const [i, concept] of prerequisites.entries()) {
      const place = `${where}.prerequisites[${i}]`
      if (!concepts.has(concept))
        tell(place, `${slug} needs ${JSON.stringify(concept)}, which is not among the concepts`)
      else if (!teachers.has(concept))
        tell(place, `${slug} needs ${JSON.stringify(concept)}, which no exercise teaches`)
      else if (teaches.includes(concept))
        tell(place, `${slug} needs ${JSON.stringify(concept)}, which it teaches itself`)
    }
  }
  const graph = new Map(all.map(({ slug, requires }) => [slug, requires]))
  const bySlug = new Map(all.map((exercise) => [exercise.slug, exercise]))
  for (const cycle of unlockOrder(graph).cycles) {
    tell(
      `${bySlug.get(cycle[0]!)!.where}.prerequisites`,
      `Exercises need each other in a circle, and none could be begun: ${cycle.join(' → ')}`,
    )
  }
  if (!all.some(isActive)) tell('exercises', 'There is no exercise that is active')
  return problems
}

/**
 * The order of the course, in which each exercise comes after those that it requires. Exercism has two, both that of
 * the file: concept exercises in the order in which they are meant to be solved, practice exercises as they are
 * recommended. Here they are one: a practice exercise follows the last of the concept exercises that unlock it, and
 * those that need nothing (hello-world) come first. What is inactive and needs nothing comes last.
 */
function inOrder({ all }: Track): Exercise[] {
  const { order } = unlockOrder(
    new Map(all.filter(({ teaches }) => teaches).map(({ slug, requires }) => [slug, requires])),
  )
  const places = new Map(order.map((slug, place) => [slug, place]))
  const placeOf = (exercise: Exercise): number => {
    const { slug, teaches, requires } = exercise
    if (teaches) return places.get(slug)!
    if (!requires.length) return isActive(exercise) ? -1 : order.length
    return Math.max(...requires.map((required) => places.get(required)!))
  }
  // the sort is stable: concept exercises are first among those of one place
  return all
    .map((exercise) => ({ exercise, place: placeOf(exercise) }))
    .sort((a, b) => a.place - b.place)
    .map(({ exercise }) => exercise)
}
