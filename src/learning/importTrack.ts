import { command, type Desk, dryRun, json } from '../api/command.ts'
import { bytesOf, readWhole } from '../operator/inputFile.ts'
import { aligned, print, printJson } from '../operator/print.ts'
import { progressBar } from '../operator/progressBar.ts'
import { courses } from './courseAggregate.ts'
import {
  type CourseDifference,
  type CourseGraph,
  type CourseImport,
  importCourse,
  type LessonChange,
  importInto,
  previewImport,
} from './importCourse.ts'
import { largestTrack, readTrack } from './exercismTrack.ts'
import { catchUpAll } from './overdueEnrollments.ts'
import type { CourseDefinition } from './reviseCourse.ts'

/** The answer with --json. */
interface Imported extends Omit<CourseImport, 'overdue'> {
  readonly dryRun: boolean
  readonly enrollments: { readonly reevaluated: number; readonly left: number }
}

const kind = "track's config.json"

/** `lockstep import exercism`: makes a course of a track's file, or brings the course up to the file. */
export const importTrack = command({
  description: 'Make a course of an Exercism track, or bring it up to the file; what learners did stays',
  examples: ['import exercism examples/kitchen.config.json --dry-run', 'import exercism examples/kitchen.config.json'],
  args: {
    file: { type: 'positional', required: true, description: "Where the track's config.json is" },
    'dry-run': dryRun,
    json,
  },
  async run({ file, json, 'dry-run': dryRun }, desk) {
    const bytes = await bytesOf(file, largestTrack, kind)
    const definition = readWhole(file, () => readTrack(bytes))
    const done = dryRun ? await preview(desk, definition) : await apply(desk, definition)
    if (json) printJson(done)
    else print(summary(done, file))
  },
})

function preview({ look }: Desk, definition: CourseDefinition): Promise<Imported> {
  const answer = ({ overdue, ...plan }: CourseImport): Imported => ({
    dryRun: true,
    ...plan,
    enrollments: { reevaluated: overdue, left: 0 },
  })
  return look({
    empty: () => answer(importInto(courses.blank(definition.courseId), definition)),
    found: async ({ db }) => answer(await previewImport(db, definition)),
  })
}

/**
 * First the course, then the enrollments. A Ctrl-C between two of them ends it in order; a server, or the next import,
 * does the others.
 */
function apply({ work }: Desk, definition: CourseDefinition): Promise<Imported> {
  return work(async ({ db, commit, signal, stopIfInterrupted }) => {
    const { overdue: _, ...plan } = await importCourse({ db, commit, definition })
    const bar = progressBar('enrollments', 0, 'Enrollments evaluated anew')
    try {
      const { courseId } = definition
      const { reevaluated, left } = await catchUpAll({ db, commit, courseId, onProgress: bar.update, signal })
      stopIfInterrupted(
        `Interrupted. The course was imported; of its enrollments, ${number(reevaluated)} were evaluated anew. ` +
          'A server that runs does the others, or the same import again.',
      )
      return { dryRun: false, ...plan, enrollments: { reevaluated, left: left.length } }
    } finally {
      bar.stop()
    }
  })
}

const number = (count: number) => count.toLocaleString('en-US')
const counted = (count: number, one: string, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`

/** How many lessons of a kind are listed. */
const listed = 10

function summary({ dryRun, course, difference, graph, enrollments }: Imported, file: string): string {
  const { state, fields, added, deactivated, reactivated, changed, moved } = difference
  const verb = {
    created: dryRun ? 'would be created' : 'was created',
    changed: dryRun ? 'would be changed' : 'was changed',
    unchanged: 'is as the file says',
  }[state]
  const head = `${course.title} ${verb}${state === 'unchanged' ? '' : ` from ${file}`}.`
  const counts = [
    [added, 'added'],
    [changed, 'changed'],
    [deactivated, 'deactivated'],
    [reactivated, 'active again'],
    [moved, 'moved'],
  ].flatMap(([lessons, what]) => (lessons!.length ? [`${number(lessons!.length)} ${what}`] : []))
  const rows = [
    ...(fields.length ? [['Course', fields.join(', ')]] : []),
    ['Lessons', counts.join(', ') || 'nothing to do'],
    ['Unlocking', unlocking(graph)],
    ['Enrollments', evaluated(enrollments, dryRun)],
  ]
  const details = state === 'created' ? [] : detailsOf(difference)
  return [
    head,
    '',
    aligned(rows.map(([name, text]) => [`  ${name}`, text!])),
    ...(details.length ? ['', ...details] : []),
    ...(dryRun ? ['', 'A dry run: nothing was changed.'] : []),
  ].join('\n')
}

const unlocking = ({ active, inactive, requirements, open }: CourseGraph) =>
  [
    `${counted(active, 'active lesson')} (${number(inactive)} inactive)`,
    counted(requirements, 'requirement'),
    `${number(open)} open from the start`,
  ].join(', ')

function evaluated({ reevaluated, left }: Imported['enrollments'], dryRun: boolean): string {
  if (dryRun) return `${number(reevaluated)} to be evaluated anew`
  const busy = `, ${number(left)} were busy: a server that runs does them, or the same import again`
  return `${number(reevaluated)} evaluated anew${left ? busy : ''}`
}

function detailsOf({ added, changed, deactivated, reactivated }: CourseDifference): string[] {
  const lines = (mark: string, lessons: readonly LessonChange[]) => {
    const shown = lessons
      .slice(0, listed)
      .map(({ slug, fields }) => `  ${mark} ${slug}${mark === '~' ? `: ${fields!.join(', ')}` : ''}`)
    return lessons.length > listed ? [...shown, `  ${mark} and ${number(lessons.length - listed)} more`] : shown
  }
  return [...lines('+', [...added, ...reactivated]), ...lines('~', changed), ...lines('-', deactivated)]
}
