import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import { DomainError } from '../errors.ts'
import type { ContentState, LessonState } from './courseAggregate.ts'
import { idOf } from './id.ts'
import { jsonBreak, placeOf } from './jsonBreak.ts'
import { unlockOrder } from './lessonGraph.ts'
import type { CourseDefinition } from './reviseCourse.ts'

/** Something that is wrong with a file. */
export interface TrackProblem {
  /** A path into its JSON, as `exercises.concept[3].slug`; `line 5, column 12` where it is none; empty if it is the file as a whole. */
  readonly where: string
  /** A sentence without its end. */
  readonly why: string
}

/** The file is no track that could be imported. */
export class InvalidTrack extends DomainError {
  /** Everything that is wrong with it. */
  readonly problems: readonly TrackProblem[]
  constructor(problems: readonly TrackProblem[]) {
    super(problems.map(({ where, why }) => `${where && `${where}: `}${why}.`).join('\n'))
    this.problems = problems
  }
}

/** The largest file that is read, in bytes; those of Exercism's tracks have about a hundred thousand. */
export const largestTrack = 4 * 2 ** 20

/**
 * An Exercism track's config.json (https://exercism.org/docs/building/tracks/config-json) as a course; throws InvalidTrack with all that is wrong with it.
 *
 * An exercise names the concepts that a learner must know before, `prerequisites`. A concept is learnt by completing the concept exercise that lists it in its
 * `concepts`; so an exercise requires the concept exercises that teach its prerequisites. Practice exercises teach nothing: they are unlocked and unlock no other.
 * Of a status, `wip` is shown to nobody and unlocks nothing, `deprecated` is shown to nobody who hasn't begun it; both are inactive here, and a lesson that requires
 * an inactive one is not held up by it. `beta` is active, and so is what has no status.
 *
 * What an exercise is, its uuid says, which "must never change"; its slug and name may.
 */
export function readTrack(bytes: Uint8Array): CourseDefinition {
  const track = parse(decode(bytes))
  const problems = contradictions(track)
  if (problems.length) throw new InvalidTrack(problems)

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
    const contents = Object.fromEntries(items.map((item, index) => [`${id}.${idOf(item.title)}`, { position: index + 1, ...item, active: true }]))
    return [
      id,
      { slug, position: index + 1, title: name, active: isActive(exercise), requires: requires.map((slug) => ids.get(slug)!).sort(), contents },
    ]
  })
  return { courseId, slug: track.slug, title: track.language, description: track.blurb, lessons: Object.fromEntries(lessons) }
}

const failed = (where: string, why: string) => new InvalidTrack([{ where, why }])

function decode(bytes: Uint8Array): string {
  if (bytes.length > largestTrack) throw failed('', `The file is larger than ${largestTrack / 2 ** 20} MiB, and no track's config.json is`)
  if (!isUtf8(bytes)) {
    // what can't be decoded becomes U+FFFD, so that the first byte that differs when encoded again is the first that is wrong
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
    const at = new TextEncoder().encode(text).findIndex((byte, index) => byte !== bytes[index])
    const { line, column } = placeOf(text, new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, at)).length)
    throw failed(`line ${line}, column ${column}`, 'The file is not UTF-8')
  }
  return new TextDecoder().decode(bytes)
}

const kebab = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/)
/** What PostgreSQL can't store, or would store as something else, is refused: NUL, and halves of surrogate pairs; so are all control characters, which would steer the terminal that shows them. */
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .regex(/\S/)
    .regex(/^\P{Cc}*$/u)
    .regex(/^\P{Surrogate}*$/u)
/** Lines of a description are one line here, and tabs in it are spaces. */
const folded = (longest: number) => z.preprocess((value) => (typeof value === 'string' ? value.replace(/[\t\r\n]+/g, ' ') : value), text(longest))
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
  /** Where it is in the file. */
  readonly where: string
  /** The concepts that it teaches; none: it is a practice exercise. */
  readonly teaches: readonly string[] | undefined
  /** The slugs of the exercises that teach its prerequisites. */
  readonly requires: readonly string[]
}
interface Track extends Omit<Parsed, 'concepts'> {
  readonly concepts: ReadonlySet<string>
  /** The slugs of those who teach a concept. */
  readonly teachers: ReadonlyMap<string, readonly string[]>
  /** Concept exercises first, both in the order of the file. */
  readonly all: readonly Exercise[]
}

const isActive = ({ status }: Pick<Exercise, 'status'>) => status === 'active' || status === 'beta'

function parse(text: string): Track {
  if (!text.trim()) throw failed('', 'The file is empty')
  const value = parseJson(text)
  if (value === null || typeof value !== 'object' || !('exercises' in value)) {
    throw failed(
      '',
      "The file is JSON, but not a track's config.json: it has no `exercises`. Is it an exercise's own .meta/config.json, or another program's",
    )
  }
  const { data, error } = track.safeParse(value, { error: why })
  if (error) throw new InvalidTrack(error.issues.map(({ path, message }) => ({ where: spelled(path), why: message })))

  const { concept, practice } = data.exercises
  const teachers = new Map<string, string[]>()
  for (const { slug, concepts } of concept) for (const taught of concepts) teachers.set(taught, [...(teachers.get(taught) ?? []), slug])
  const requires = ({ slug, prerequisites }: { slug: string; prerequisites: readonly string[] }) =>
    [...new Set(prerequisites.flatMap((concept) => teachers.get(concept) ?? []))].filter((teacher) => teacher !== slug)
  const all: Exercise[] = [
    ...concept.map((one, i) => ({ ...one, where: `exercises.concept[${i}]`, teaches: one.concepts, requires: requires(one) })),
    ...practice.map((one, i) => ({ ...one, where: `exercises.practice[${i}]`, teaches: undefined, requires: requires(one) })),
  ]
  return { ...data, concepts: new Set(data.concepts.map(({ slug }) => slug)), teachers, all }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const at = jsonBreak(text) ?? text.length
    const { line, column } = placeOf(text, at)
    const found =
      text[at] === undefined ? 'The file ends in the middle: it was cut short' : `The file is not JSON: ${quoted(text[at])} cannot be here`
    throw failed(`line ${line}, column ${column}`, found)
  }
}

/** What zod found, in words; a path is told beside it. */
function why(issue: z.core.$ZodRawIssue): string {
  const found = issue.input === undefined ? 'is missing' : `is ${shown(issue.input)}`
  if (issue.code === 'invalid_type')
    return issue.input === undefined
      ? 'is missing'
      : `must be ${issue.expected === 'object' ? 'an' : issue.expected === 'array' ? 'an' : 'a'} ${issue.expected}, and ${found}`
  if (issue.code === 'too_big') return `must have at most ${issue.maximum} characters`
  if (issue.code === 'invalid_value') return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}, and ${found}`
  if (issue.code === 'invalid_format' && 'pattern' in issue) {
    if (issue.pattern === '/\\S/') return 'must not be blank'
    if (issue.pattern?.startsWith('/^[0-9a-f]')) return `must be a UUID in lower case, and ${found}`
    if (issue.pattern?.startsWith('/^[a-z0-9]')) return `must be in kebab-case, and ${found}`
    if (issue.pattern?.includes('{Cc}')) return `has a control character, ${codePoint(/\p{Cc}/u.exec(String(issue.input))![0])}`
    return 'has a character that is none: half of a surrogate pair'
  }
  return 'cannot be like this'
}

const codePoint = (character: string) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`

/** As JSON, in which also those control characters are escaped that JSON may leave as they are. */
const quoted = (value: unknown) =>
  JSON.stringify(value).replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

function shown(value: unknown): string {
  const text = quoted(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

const spelled = (path: readonly PropertyKey[]) =>
  path.reduce<string>((before, part) => (typeof part === 'number' ? `${before}[${part}]` : before ? `${before}.${String(part)}` : String(part)), '')

/** Everything that is well written and can't be so. */
function contradictions({ all, concepts, teachers }: Track): TrackProblem[] {
  const problems: TrackProblem[] = []
  const tell = (where: string, why: string) => problems.push({ where, why })

  for (const field of ['slug', 'uuid'] as const) {
    const first = new Map<string, Exercise>()
    for (const exercise of all) {
      const other = first.get(exercise[field])
      if (other)
        tell(
          `${exercise.where}.${field}`,
          `${JSON.stringify(exercise[field])} is also the ${field} of ${other.where}${field === 'uuid' ? ` (${other.slug})` : ''}`,
        )
      else first.set(exercise[field], exercise)
    }
  }
  for (const exercise of all) {
    if (!isActive(exercise)) continue // unfinished: tracks have such exercises that need concepts which are not there yet
    const { slug, where, teaches = [], prerequisites } = exercise
    for (const [i, concept] of teaches.entries()) {
      if (!concepts.has(concept)) tell(`${where}.concepts[${i}]`, `${slug} teaches ${JSON.stringify(concept)}, which is not among the concepts`)
    }
    for (const [i, concept] of prerequisites.entries()) {
      const place = `${where}.prerequisites[${i}]`
      if (!concepts.has(concept)) tell(place, `${slug} needs ${JSON.stringify(concept)}, which is not among the concepts`)
      else if (!teachers.has(concept)) tell(place, `${slug} needs ${JSON.stringify(concept)}, which no exercise teaches`)
      else if (teaches.includes(concept)) tell(place, `${slug} needs ${JSON.stringify(concept)}, which it teaches itself`)
    }
  }
  const graph = new Map(all.map(({ slug, requires }) => [slug, requires]))
  const bySlug = new Map(all.map((exercise) => [exercise.slug, exercise]))
  for (const cycle of unlockOrder(graph).cycles) {
    tell(`${bySlug.get(cycle[0]!)!.where}.prerequisites`, `Exercises need each other in a circle, and none could be begun: ${cycle.join(' → ')}`)
  }
  if (!all.some(isActive)) tell('exercises', 'There is no exercise that is active')
  return problems
}

/**
 * The order of the course, in which each exercise comes after those that it requires. Exercism has two, both that of the file: concept exercises in the order in
 * which they are meant to be solved, practice exercises as they are recommended. Here they are one: a practice exercise follows the last of the concept exercises
 * that unlock it, and those that need nothing (hello-world) come first. What is inactive and needs nothing comes last.
 */
function inOrder({ all }: Track): Exercise[] {
  const { order } = unlockOrder(new Map(all.filter(({ teaches }) => teaches).map(({ slug, requires }) => [slug, requires])))
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
