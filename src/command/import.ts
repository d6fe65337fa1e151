import { SingleBar } from 'cli-progress'
import { defineCommand } from 'citty'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { commits } from '../commit.ts'
import { type Config, parseConfig } from '../config.ts'
import { connect } from '../database/client.ts'
import { isDisconnection } from '../database/conflict.ts'
import { migrate, migrationStatus, refuse } from '../database/migrate.ts'
import { Busy, DomainError, OutcomeUnknown, Unavailable } from '../errors.ts'
import { courses } from '../learning/courseAggregate.ts'
import {
  type CourseDifference,
  type CoursePlan,
  importCourse as importDefinition,
  type LessonChange,
  planFrom,
  planImport,
} from '../learning/courseImport.ts'
import { InvalidTrack, largestTrack, readTrack } from '../learning/exercism.ts'
import { catchUpAll } from '../learning/overdueEnrollments.ts'
import type { CourseDefinition } from '../learning/reviseCourse.ts'
import { exitCode, OperatorError } from '../operatorError.ts'
import { openDatabase } from './openDatabase.ts'
import { columns, commandLine, complain, print, printJson, quietLog } from './print.ts'

/** sysexits.h: the input file did not exist. */
const noInput = 66

/** What the command answers with --json. */
interface Imported extends Omit<CoursePlan, 'overdue'> {
  readonly dryRun: boolean
  readonly enrollments: { readonly reevaluated: number; readonly left: number }
}

/** Makes a course of a file, or what it is by now of one that was made before. */
export const importCourse = defineCommand({
  meta: { name: 'import', description: 'Make a course of a file, or bring it up to the file; what learners did stays' },
  args: {
    format: { type: 'positional', required: true, description: 'exercism: the config.json of an Exercism track' },
    file: { type: 'positional', required: true, description: 'Where the file is' },
    'dry-run': { type: 'boolean', default: false, description: 'Say what would change, and change nothing' },
    json: { type: 'boolean', default: false, description: 'Answer in JSON' },
  },
  async run({ args: { format, file, json, 'dry-run': dryRun } }) {
    if (format !== 'exercism') throw new OperatorError(`What can be imported is exercism, not ${format}.`, exitCode.usage)
    const config = parseConfig()
    const definition = read(await bytesOf(file), file)
    const done = dryRun ? await tell(config, definition) : await carryOut(config, definition)
    if (json) printJson(done)
    else print(said(done, file))
  },
})

async function bytesOf(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    // one byte more than may be, and no further: it may be endless. Read as it comes, since it may be a pipe.
    for await (const chunk of createReadStream(file, { end: largestTrack })) chunks.push(chunk as Buffer)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EISDIR') throw new OperatorError(`${file} is a folder. Name the track's config.json in it.`, exitCode.data)
    if (code === 'EACCES' || code === 'EPERM') throw new OperatorError(`${file} may not be read by this user.`, exitCode.permission)
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(code!)) throw new OperatorError(`There is no file ${file}.`, noInput)
    throw new OperatorError(`${file} cannot be read: ${message}.`, exitCode.system)
  }
  return Buffer.concat(chunks)
}

/** More than this of what is wrong with a file is not read by anybody. */
const most = 20

function read(bytes: Buffer, file: string): CourseDefinition {
  try {
    return readTrack(bytes)
  } catch (error) {
    if (!(error instanceof InvalidTrack)) throw error
    const { problems } = error
    const lines = problems.slice(0, most).map(({ where, why }) => `  ${where && `${where}: `}${why}.`)
    if (problems.length > most) lines.push(`  And ${problems.length - most} more.`)
    throw new OperatorError(`${file} cannot be imported; nothing was changed.\n${lines.join('\n')}`, exitCode.data)
  }
}

/** Nothing is written, so nothing is migrated either, and a data folder that isn't there is not made. */
async function tell(config: Config, definition: CourseDefinition): Promise<Imported> {
  const answer = ({ overdue, ...plan }: CoursePlan): Imported => ({ dryRun: true, ...plan, enrollments: { reevaluated: overdue, left: 0 } })
  const isNew = () => answer(planFrom(courses.blank(definition.courseId), definition))
  if (config.databaseUrl === undefined && (await isVacant(config.data))) return isNew()
  const database = await openDatabase(config, quietLog)
  try {
    const status = await migrationStatus(database.url)
    refuse(status)
    const pending = status.filter(({ state }) => state === 'pending')
    if (pending.length === status.length) return isNew()
    if (pending.length) {
      const sentence = `The database is at an older version (${pending[0]!.name} is the first migration that is pending), and a dry run does not migrate. Run ${commandLine('migrate')} first.`
      throw new OperatorError(sentence, exitCode.data)
    }
    return answer(await using(database.url, config, ({ db }) => planImport(db, definition)))
  } finally {
    await database.close()
  }
}

const isVacant = (folder: string) =>
  readdir(path.join(folder, 'postgres')).then(
    (names) => names.length === 0,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )

/** First the course, then the enrollments. A Ctrl-C between two of them ends it in order; what is left, a server does, or the next import. */
async function carryOut(config: Config, definition: CourseDefinition): Promise<Imported> {
  const interrupted = new AbortController()
  const interrupt = (signal: NodeJS.Signals) => interrupted.abort(signal)
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt) // once: the second ends it at once
  const stopIfTold = (sentence: string) => {
    if (interrupted.signal.aborted) throw new OperatorError(sentence, interrupted.signal.reason === 'SIGINT' ? 130 : 143)
  }
  try {
    const database = await openDatabase(config, quietLog)
    try {
      stopIfTold('Interrupted. Nothing was imported.')
      await migrate(database.url)
      return await using(database.url, config, async ({ db, commit }) => {
        stopIfTold('Interrupted. Nothing was imported.')
        const { overdue: _, ...plan } = await importDefinition({ db, commit, definition })
        const progress = showProgress()
        try {
          const { signal } = interrupted
          const { reevaluated, left } = await catchUpAll({ db, commit, courseId: definition.courseId, onProgress: progress.update, signal })
          stopIfTold(
            `Interrupted. The course was imported; of its enrollments, ${number(reevaluated)} were evaluated anew. A server that runs does the others, or the same import again.`,
          )
          return { dryRun: false, ...plan, enrollments: { reevaluated, left: left.length } }
        } finally {
          progress.stop()
        }
      })
    } finally {
      await database.close()
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

type Way = Pick<ReturnType<typeof commits>, 'commit'> & { readonly db: ReturnType<typeof connect> }

/** Enough connections for the batches in flight; a server may be using the same database. */
async function using<T>(url: string, config: Config, work: (way: Way) => Promise<T>): Promise<T> {
  const db = connect(url, { ...config.pool, size: 0, max: Math.min(config.pool.max, 12) })
  const { commit, drained } = commits(db)
  try {
    return await work({ db, commit })
  } catch (error) {
    if (error instanceof Unavailable || isDisconnection(error))
      throw new OperatorError('The database went away. What was committed stays; run the same import again.', exitCode.unavailable)
    if (error instanceof Busy || error instanceof OutcomeUnknown)
      throw new OperatorError(`${error.message} Run the same import again.`, exitCode.temporary)
    if (error instanceof DomainError) throw new OperatorError(error.message, exitCode.data)
    throw error
  } finally {
    await drained()
    await db.$disconnect()
  }
}

/** How often somebody who reads a log is told how far it is. */
const lineEveryMs = 5_000

/** A bar in a terminal, a line now and then elsewhere; nothing where it is over in no time. */
function showProgress() {
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: '  Enrollments  {bar} {value}/{total}  {eta_formatted} left', clearOnComplete: true, hideCursor: true })
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
    const shown = lessons.slice(0, listed).map(({ slug, fields }) => `  ${mark} ${slug}${mark === '~' ? `: ${fields!.join(', ')}` : ''}`)
    return lessons.length > listed ? [...shown, `  ${mark} and ${number(lessons.length - listed)} more`] : shown
  }
  return [...lines('+', [...added, ...reactivated]), ...lines('~', changed), ...lines('-', deactivated)]
}
