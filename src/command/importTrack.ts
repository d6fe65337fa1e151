import { SingleBar } from 'cli-progress'
import { defineCommand } from 'citty'
import { type Config, parseConfig } from '../operator/config.ts'
import { courses } from '../learning/courseAggregate.ts'
import {
  type CourseDifference,
  type CourseImport,
  importCourse as importDefinition,
  type LessonChange,
  importInto,
  previewImport,
} from '../learning/importCourse.ts'
import { largestTrack, readTrack } from '../learning/exercismTrack.ts'
import { catchUpAll } from '../learning/overdueEnrollments.ts'
import type { CourseDefinition } from '../learning/reviseCourse.ts'
import { lookOnly, writing } from './importDatabase.ts'
import { bytesOf, readWhole } from '../operator/inputFile.ts'
import { columns, complain, print, printJson } from '../operator/print.ts'

/** What the command answers with --json. */
interface Imported extends Omit<CourseImport, 'overdue'> {
  readonly dryRun: boolean
  readonly enrollments: { readonly reevaluated: number; readonly left: number }
}

const kind = "track's config.json"

/** Makes a course of a file, or what it is by now of one that was made before. */
export const importTrack = defineCommand({
  meta: {
    name: 'exercism',
    description: 'Make a course of an Exercism track, or bring it up to the file; what learners did stays',
  },
  args: {
    file: { type: 'positional', required: true, description: "Where the track's config.json is" },
    'dry-run': { type: 'boolean', default: false, description: 'Say what would change, and change nothing' },
    json: { type: 'boolean', default: false, description: 'Answer in JSON' },
  },
  async run({ args: { file, json, 'dry-run': dryRun } }) {
    const config = parseConfig()
    const bytes = await bytesOf(file, largestTrack, kind)
    const definition = readWhole(file, () => readTrack(bytes))
    const done = dryRun ? await tell(config, definition) : await carryOut(config, definition)
    if (json) printJson(done)
    else print(said(done, file))
  },
})

function tell(config: Config, definition: CourseDefinition): Promise<Imported> {
  const answer = ({ overdue, ...plan }: CourseImport): Imported => ({
    dryRun: true,
    ...plan,
    enrollments: { reevaluated: overdue, left: 0 },
  })
  return lookOnly(config, {
    empty: () => answer(importInto(courses.blank(definition.courseId), definition)),
    found: async ({ db }) => answer(await previewImport(db, definition)),
  })
}

/**
 * First the course, then the enrollments. A Ctrl-C between two of them ends it in order; what is left, a server does,
 * or the next import.
 */
function carryOut(config: Config, definition: CourseDefinition): Promise<Imported> {
  return writing(config, async ({ db, commit }, { signal, stopIfTold }) => {
    const { overdue: _, ...plan } = await importDefinition({ db, commit, definition })
    const progress = showProgress()
    try {
      const { reevaluated, left } = await catchUpAll({
        db,
        commit,
        courseId: definition.courseId,
        onProgress: progress.update,
        signal,
      })
      stopIfTold(
        `Interrupted. The course was imported; of its enrollments, ${number(reevaluated)} were evaluated anew. A server that runs does the others, or the same import again.`,
      )
      return { dryRun: false, ...plan, enrollments: { reevaluated, left: left.length } }
    } finally {
      progress.stop()
    }
  })
}

/** How often somebody who reads a log is told how far it is. */
const lineEveryMs = 5_000

/** A bar in a terminal, a line now and then elsewhere; nothing where it is over in no time. */
function showProgress() {
  const bar = process.stderr.isTTY
    ? new SingleBar({
        format: '  Enrollments  {bar} {value}/{total}  {eta_formatted} left',
        clearOnComplete: true,
        hideCursor: true,
      })
    : undefined
  let told = performance.now()
  let begun = false
  return {
    update(done: number, total: number) {
      if (bar) {
        if (!begun) bar.start(total, 0)
        begun = true
        bar.setTotal(total)
        bar.update(done)
      } else if (performance.now() - told > lineEveryMs) {
        told = performance.now()
        complain(`Enrollments evaluated anew: ${number(done)} of ${number(total)}`)
      }
    },
    stop: () => void (begun && bar?.stop()),
  }
}

const number = (count: number) => count.toLocaleString('en-US')
const counted = (count: number, one: string, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`

/** How many lessons of a kind are listed. */
const listed = 10

function said({ dryRun, course, difference, graph, enrollments }: Imported, file: string): string {
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
    [
      'Unlocking',
      `${counted(graph.active, 'active lesson')} (${number(graph.inactive)} inactive), ${counted(graph.requirements, 'requirement')}, ${number(graph.open)} open from the start`,
    ],
    [
      'Enrollments',
      `${number(enrollments.reevaluated)} ${dryRun ? 'to be evaluated anew' : 'evaluated anew'}${enrollments.left ? `, ${number(enrollments.left)} were busy: a server that runs does them, or the same import again` : ''}`,
    ],
  ]
  const details = state === 'created' ? [] : detailsOf(difference)
  return [
    head,
    '',
    columns(rows.map(([name, text]) => [`  ${name}`, text!])),
    ...(details.length ? ['', ...details] : []),
    ...(dryRun ? ['', 'A dry run: nothing was changed.'] : []),
  ].join('\n')
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
