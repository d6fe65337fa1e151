import { createHash } from 'node:crypto'

/** An exercise as a track's config.json has it. */
export interface TrackExercise {
  slug: string
  name: string
  uuid: string
  concepts?: string[]
  practices?: string[]
  prerequisites: string[]
  difficulty?: number
  status?: string
}

/** A track's config.json, as far as anything depends on it. */
export interface TrackFile {
  language: string
  slug: string
  active: boolean
  blurb: string
  version: number
  status: object
  online_editor: object
  exercises: { concept: TrackExercise[]; practice: TrackExercise[]; foregone: string[] }
  concepts: { uuid: string; slug: string; name: string }[]
}

/** A UUID that stays the same. */
export function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const named = (slug: string) =>
  slug.replace(/(^|-)(.)/g, (_, dash: string, letter: string) => `${dash && ' '}${letter.toUpperCase()}`)

/** An exercise that teaches something. */
export const concept = (
  slug: string,
  concepts: string[],
  prerequisites: string[] = [],
  status?: string,
): TrackExercise => ({
  ...{ slug, name: named(slug), uuid: uuidOf(slug), concepts, prerequisites },
  ...(status && { status }),
})

/** An exercise that teaches nothing. */
export const practice = (slug: string, prerequisites: string[] = [], status?: string): TrackExercise => ({
  ...{ slug, name: named(slug), uuid: uuidOf(slug), practices: [], prerequisites, difficulty: 1 },
  ...(status && { status }),
})

/** A small track of our own in Exercism's format; its concepts are those that anything names. */
export function track(slug: string, concepts: TrackExercise[], practices: TrackExercise[]): TrackFile {
  const known = [
    ...new Set(
      [...concepts, ...practices].flatMap(({ concepts = [], prerequisites }) => [...concepts, ...prerequisites]),
    ),
  ]
  return {
    ...{ language: named(slug), slug, active: true, blurb: `${named(slug)} is made up.`, version: 3 },
    status: { concept_exercises: true, test_runner: false, representer: false, analyzer: false },
    online_editor: { indent_style: 'space', indent_size: 2, highlightjs_language: slug },
    exercises: { concept: concepts, practice: practices, foregone: ['lens-person'] },
    concepts: known.map((concept) => ({ uuid: uuidOf(`concept ${concept}`), slug: concept, name: named(concept) })),
  }
}

/**
 * Nine exercises: two begin, `basics` unlocks two, two of those unlock another; one is new, one not ready, one no
 * longer shown.
 */
export const knots = (slug = 'knots') =>
  track(
    slug,
    [
      concept('first-bend', ['basics']),
      concept('two-ropes', ['joining', 'friction'], ['basics']),
      concept('loops', ['loops'], ['basics'], 'active'),
      concept('climbing', ['rescue'], ['loops', 'joining', 'friction'], 'beta'),
      concept('macrame', ['ornament'], ['loops'], 'wip'),
    ],
    [
      practice('hello-rope'),
      practice('shoe-lace', ['loops']),
      practice('old-splice', [], 'deprecated'),
      practice('rescue-knot', ['rescue', 'basics']),
    ],
  )
