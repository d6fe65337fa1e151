import { runCommand } from 'citty'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { commandsOf } from '../../src/command/moduleCommands.ts'
import type { Commit } from '../../src/commit/commit.ts'
import { inSession } from '../../src/database/session.ts'
import { type CourseState, courses } from '../../src/learning/courseAggregate.ts'
import { idOf } from '../../src/commit/derivedId.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { importCourse } from '../../src/learning/importCourse.ts'
import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { readTrack } from '../../src/learning/exercismTrack.ts'
import { keepCaughtUp } from '../../src/learning/enrollmentsCaughtUp.ts'
import { catchUpAll, countOverdue } from '../../src/learning/overdueEnrollments.ts'
import { academy, type Person } from '../academy.ts'
import { ownDatabase } from '../ownDatabase.ts'
import { run } from '../program.ts'
import { fold, race, world } from '../world.ts'
import { concept, knots, practice, type TrackFile, uuidOf } from './track.ts'

const scratch = mkdtempSync(path.join(os.tmpdir(), 'lockstep-import-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let w: Awaited<ReturnType<typeof world>>
let one: ReturnType<typeof w.process>
beforeAll(async () => {
  w = await world()
  one = w.process()
})

interface Answer {
  readonly dryRun: boolean
  readonly course: { readonly id: string; readonly version: number }
  readonly difference: Record<'state', string> &
    Record<'added' | 'changed' | 'deactivated' | 'reactivated' | 'moved', { slug: string; fields?: string[] }[]>
  readonly graph: object
  readonly enrollments: { readonly reevaluated: number; readonly left: number }
}

/** The command as an operator runs it. */
const lockstep = (parameters: string[], environment: Record<string, string | undefined> = { DATABASE_URL: w.url }) =>
  run(['import', ...parameters], environment)

let files = 0
function written(file: TrackFile | string): string {
  const name = path.join(scratch, `${++files}.json`)
  writeFileSync(name, typeof file === 'string' ? file : JSON.stringify(file, null, 2))
  return name
}

/** The command in this process, which is quicker than a process of its own each time. */
async function imported(file: TrackFile, ...options: string[]): Promise<Answer> {
  vi.stubEnv('DATABASE_URL', w.url)
  let output = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text
    return true
  })
  try {
    await runCommand(
      { subCommands: commandsOf('import') },
      { rawArgs: ['exercism', written(file), '--json', ...options] },
    )
  } finally {
    write.mockRestore()
    vi.unstubAllEnvs()
  }
  return JSON.parse(output) as Answer
}

function changed(file: TrackFile, change: (file: TrackFile) => void): TrackFile {
  const copy = structuredClone(file)
  change(copy)
  return copy
}

const courseOf = (file: TrackFile) => idOf(`exercism/${file.slug}`)
const lessonOf = (file: TrackFile, slug: string) => `${courseOf(file)}.${idOf(uuidOf(slug))}`
const lessons = (file: TrackFile) =>
  w.query<{ slug: string; title: string; position: number; active: boolean }>(
    'select slug, title, position, active from "Lesson" where "courseId" = $1 order by position',
    [courseOf(file)],
  )

/** Everything in the database, as one value. */
async function everything() {
  const tables = await w.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public'
      and table_type = 'BASE TABLE'`,
  )
  return Object.fromEntries(
    await Promise.all(
      tables.map(async ({ name }) => [
        name,
        (await w.query(`select md5(string_agg(t::text, '|' order by t::text)) as rows from "${name}" t`))[0],
      ]),
    ),
  )
}

/** Learners in a course, each of whom has completed the lessons with these slugs. */
async function learners(commit: Commit, file: TrackFile, count: number, done: string[] = []): Promise<Person[]> {
  const { person } = academy(commit)
  return Promise.all(
    Array.from({ length: count }, async () => {
      const learner = await person()
      await commit(enroll, { actor: learner.actor, input: { learnerId: learner.id, courseId: courseOf(file) } })
      for (const slug of done)
        await commit(completeLesson, {
          actor: learner.actor,
          input: { learnerId: learner.id, lessonId: lessonOf(file, slug) },
        })
      return learner
    }),
  )
}

const behind = (file: TrackFile) => countOverdue(one.db, courseOf(file))

describe('importing a track', () => {
  test('makes a course in one event, and the second time nothing', async () => {
    const file = knots('first')
    const { difference, ...first } = await imported(file)
    expect(first).toMatchObject({
      dryRun: false,
      course: { id: courseOf(file), version: 1, slug: 'first', title: 'First' },
      enrollments: { reevaluated: 0, left: 0 },
    })
    expect(first.graph).toEqual({ active: 7, inactive: 2, requirements: 7, open: 2 })
    expect(difference.state).toBe('created')
    expect(difference.added).toHaveLength(9)
    expect(await lessons(file)).toHaveLength(9)

    const history = await w.history('Course', courseOf(file))
    expect(history.map(({ kind, actor }) => [kind, actor])).toEqual([['courseRevised', 'system']])
    const definition = readTrack(Buffer.from(JSON.stringify(file)))
    expect((fold(courses, courseOf(file), history) as CourseState).lessons).toEqual(definition.lessons)

    const before = await everything()
    const second = await imported(file)
    expect(second).toMatchObject({
      course: { version: 1 },
      difference: { state: 'unchanged', added: [], changed: [], moved: [], deactivated: [] },
      enrollments: { reevaluated: 0 },
    })
    expect(await everything()).toEqual(before)
  })

  test('again, with a file that was changed, changes what differs and keeps what learners did', async () => {
    const file = knots('second')
    await imported(file)
    const [learner] = await learners(one.commit, file, 1, ['first-bend', 'loops'])
    const next = changed(file, ({ exercises }) => {
      Object.assign(exercises.concept[2]!, { slug: 'bights', name: 'Bights' })
      exercises.concept[3]!.status = 'wip'
      exercises.practice.push(practice('bow-tie', ['basics']))
      exercises.practice.splice(2, 1)
      exercises.practice[1]!.prerequisites.push('joining')
    })
    const { difference, course, enrollments } = await imported(next)
    expect(course.version).toBe(2)
    expect(enrollments.reevaluated).toBe(1)
    expect(difference).toMatchObject({
      state: 'changed',
      added: [{ slug: 'bow-tie' }],
      changed: [
        { slug: 'bights', fields: ['slug', 'position', 'title'] },
        { slug: 'shoe-lace', fields: ['position', 'requires'] },
      ],
      deactivated: [{ slug: 'climbing' }],
      reactivated: [],
    })
    expect((await lessons(next)).filter(({ active }) => active).map(({ slug }) => slug)).toEqual([
      'hello-rope',
      'first-bend',
      'bow-tie',
      'two-ropes',
      'bights',
      'shoe-lace',
      'rescue-knot',
    ])

    // what was left out of the file was inactive and still is; only what changed is in the event
    const [, event] = await w.history('Course', courseOf(file))
    const told = (event!.data as { lessons: object }).lessons
    expect(Object.keys(told)).toHaveLength(4 + difference.moved.length)
    expect(Object.keys(told)).not.toContain(lessonOf(file, 'first-bend'))

    const progress = await w.query('select "lessonId", status from "LessonProgress" where "enrollmentId" = $1', [
      enrollmentOf(learner!.id, courseOf(file)),
    ])
    expect(progress).toContainEqual({ lessonId: lessonOf(file, 'loops'), status: 'COMPLETED' })

    const back = await imported(file)
    expect(back.difference).toMatchObject({ reactivated: [{ slug: 'climbing' }], deactivated: [{ slug: 'bow-tie' }] })
  })

  test('completes the course for those who had done all that is left of it, once', async () => {
    const file = knots('third')
    await imported(file)
    const all = ['hello-rope', 'first-bend', 'two-ropes', 'loops', 'shoe-lace', 'climbing']
    const [nearly] = await learners(one.commit, file, 1, all)
    const [half] = await learners(one.commit, file, 1, all.slice(0, 3))
    const next = changed(file, ({ exercises }) => (exercises.practice[3]!.status = 'deprecated'))
    expect((await imported(next)).enrollments).toEqual({ reevaluated: 2, left: 0 })

    const kinds = async (learner: Person) =>
      (await w.history('Enrollment', enrollmentOf(learner.id, courseOf(file)))).map(({ kind }) => kind).slice(-2)
    expect(await kinds(nearly!)).toEqual(['courseChanged', 'courseCompleted'])
    expect(await kinds(half!)).toEqual(['lessonCompleted', 'courseChanged'])
    expect((await imported(next)).enrollments.reevaluated).toBe(0)
    expect(
      await w.query('select count(*)::int as n from "CourseCompletion" where "enrollmentId" = $1', [
        enrollmentOf(nearly!.id, courseOf(file)),
      ]),
    ).toEqual([{ n: 1 }])
  })

  test('with --dry-run says exactly what it would do, and does nothing', async () => {
    const file = knots('fourth')
    const fresh = await imported(file, '--dry-run')
    expect(await lessons(file)).toEqual([])
    expect({ ...(await imported(file)), dryRun: true }).toEqual(fresh)

    await learners(one.commit, file, 3, ['hello-rope'])
    const next = changed(file, ({ exercises, ...course }) => {
      exercises.practice[0]!.name = 'Hello, Rope!'
      exercises.practice[1]!.status = 'wip'
      exercises.concept.push(concept('splices', ['splicing'], ['friction']))
      course.concepts.push({ uuid: uuidOf('splicing'), slug: 'splicing', name: 'Splicing' })
    })
    const before = await everything()
    const told = await imported(next, '--dry-run')
    expect(await everything()).toEqual(before)
    expect(told.enrollments.reevaluated).toBe(3)
    expect({ ...(await imported(next)), dryRun: true }).toEqual(told)
  })

  test('with --dry-run makes no table and no data folder', async () => {
    const empty = await ownDatabase('empty')
    const file = written(knots())
    const told = await lockstep(['exercism', file, '--dry-run', '--json'], { DATABASE_URL: empty })
    expect(told).toMatchObject({ code: 0, errors: '' })
    expect(JSON.parse(told.output)).toMatchObject({ difference: { state: 'created' }, graph: { active: 7 } })
    await inSession(empty, async (client) =>
      expect((await client.query(`select from pg_class where relnamespace = 'public'::regnamespace`)).rowCount).toBe(0),
    )

    const folder = path.join(scratch, 'data')
    expect(await lockstep(['exercism', file, '--dry-run', '--json'], { LOCKSTEP_DATA: folder })).toEqual({
      ...told,
      errors: '',
    })
    expect(existsSync(folder)).toBe(false)

    // and without it, migrates
    expect(await lockstep(['exercism', file], { DATABASE_URL: empty })).toMatchObject({
      code: 0,
      errors: '',
      output: expect.stringMatching(/^Knots was created from .+\.json\.\n/),
    })
  })

  test('prints a few lines for people', async () => {
    const file = knots('people')
    const name = written(file)
    expect((await lockstep(['exercism', name])).output).toBe(
      [
        ...[
          `People was created from ${name}.`,
          '',
          '  Lessons      9 added',
          '  Unlocking    7 active lessons (2 inactive), 7 requirements, 2 open from the start',
          '  Enrollments  0 evaluated anew',
          '',
        ],
      ].join('\n'),
    )
    const next = written(
      changed(file, ({ exercises }) => {
        exercises.practice[0]!.name = 'Hello!'
        exercises.practice[1]!.status = 'wip'
      }),
    )
    expect((await lockstep(['exercism', next, '--dry-run'])).output).toBe(
      [
        ...[
          `People would be changed from ${next}.`,
          '',
          '  Lessons      1 changed, 1 deactivated',
          '  Unlocking    6 active lessons (3 inactive), 6 requirements, 2 open from the start',
        ],
        ...[
          '  Enrollments  0 to be evaluated anew',
          '',
          '  ~ hello-rope: title',
          '  - shoe-lace',
          '',
          'A dry run: nothing was changed.',
          '',
        ],
      ].join('\n'),
    )
    expect((await lockstep(['exercism', name])).output).toMatch(/^People is as the file says\.\n/)
  })
})

test('the file in examples is one that can be imported', async () => {
  const { code, output } = await lockstep(['exercism', 'examples/kitchen.config.json', '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(output)).toMatchObject({
    course: { slug: 'kitchen', title: 'Kitchen', version: 1 },
    difference: { state: 'created' },
    graph: { active: 10, inactive: 2, requirements: 11, open: 3 },
  })
  expect((await lockstep(['exercism', 'examples/kitchen.config.json'])).output).toMatch(
    /^Kitchen is as the file says\.\n/,
  )
})

describe('what cannot be imported is refused whole, and nothing is changed', () => {
  test('a file with mistakes: 65, with all of them', async () => {
    const before = await everything()
    const file = written(
      changed(knots('bad'), ({ exercises }) => {
        exercises.concept[0]!.prerequisites.push('loops')
        exercises.practice[1]!.prerequisites.push('glue')
      }),
    )
    const { code, output, errors } = await lockstep(['exercism', file])
    expect({ code, output }).toEqual({ code: 65, output: '' })
    expect(errors.split('\n')).toEqual([
      `${file} cannot be imported; nothing was changed.`,
      '  exercises.practice[1].prerequisites[1]: shoe-lace needs "glue", which is not among the concepts.',
      '  exercises.concept[0].prerequisites: Exercises need each other in a circle, and none could be begun: ' +
        'first-bend → loops → first-bend.',
      '',
    ])
    const json = await lockstep(['exercism', file, '--json', '--dry-run'])
    expect({ code: json.code, output: json.output, ...JSON.parse(json.errors) }).toMatchObject({
      code: 65,
      output: '',
      exitCode: 65,
      error: expect.stringContaining('glue'),
    })
    expect(await everything()).toEqual(before)
  })

  test.each<[string, () => string[], number, RegExp]>([
    [
      'a file that is not there',
      () => ['exercism', path.join(scratch, 'none.json')],
      66,
      /^There is no file .+none\.json\.\n$/,
    ],
    ['a folder', () => ['exercism', scratch], 65, /is a folder/],
    ['a file without end', () => ['exercism', '/dev/zero'], 65, /larger than 4 MiB/],
    [
      'a file that was cut short',
      () => ['exercism', written(JSON.stringify(knots(), null, 2).slice(0, 300))],
      65,
      /line \d+, column \d+: The file ends in the middle/,
    ],
    ['another format', () => ['moodle', written(knots())], 64, /Unknown command moodle/],
    ['no file', () => ['exercism'], 64, /FILE/],
    ['an option that is misspelled', () => ['exercism', written(knots()), '--dryrun'], 64, /no option --dryrun/],
  ])('%s', async (_, parameters, code, errors) => {
    expect(await lockstep(parameters())).toEqual({ code, output: '', errors: expect.stringMatching(errors) })
  })

  test('a course whose slug another has', async () => {
    const file = knots('taken')
    await imported(file)
    await w.query(`update "Course" set slug = 'wanted' where slug = 'taken'`)
    expect(await lockstep(['exercism', written(knots('wanted'))])).toMatchObject({
      code: 65,
      errors: expect.stringContaining(`Another course (${courseOf(file)}) has the slug "wanted"`),
    })
  })

  test('a database that is not there: 69', async () => {
    const away = Object.assign(new URL(w.url), { pathname: '/none' }).href
    expect(await lockstep(['exercism', written(knots())], { DATABASE_URL: away })).toMatchObject({
      code: 69,
      errors: expect.stringContaining('there is no database none'),
    })
  })
})

test('a slug of a former lesson belongs to the lesson that has it now', async () => {
  const file = knots('renewed')
  await imported(file)
  const renewed = changed(file, ({ exercises }) => (exercises.practice[1]!.uuid = uuidOf('another')))
  await imported(renewed)
  const lessons = await w.query<{ slug: string; active: boolean }>(
    `select slug, active from "Lesson" where "courseId" = $1 and slug like 'shoe-lace%' order by slug`,
    [courseOf(file)],
  )
  expect(lessons).toEqual([
    { slug: 'shoe-lace', active: true },
    { slug: expect.stringMatching(/^shoe-lace-\w{6}$/), active: false },
  ])
})

describe('at the same time', () => {
  test('several imports of one file make one event', async () => {
    const definition = readTrack(Buffer.from(JSON.stringify(knots('race'))))
    const processes = [w.process(), w.process(), w.process()]
    const plans = await race(9, (i) => importCourse({ ...processes[i % 3]!, definition }))
    expect(plans.filter(({ difference }) => difference.state === 'created')).toHaveLength(1)
    expect(plans.filter(({ difference }) => difference.state === 'unchanged')).toHaveLength(8)
    expect(await w.history('Course', definition.courseId)).toHaveLength(1)
  })

  test('imports, re-evaluations and learners miss no completion and make none twice', async () => {
    const file = knots('crowd')
    const shorter = changed(file, ({ exercises }) => (exercises.practice[3]!.status = 'wip'))
    const [long, short] = [file, shorter].map((file) => readTrack(Buffer.from(JSON.stringify(file)))) as [
      ReturnType<typeof readTrack>,
      ReturnType<typeof readTrack>,
    ]
    const other = w.process()
    await importCourse({ ...one, definition: long })
    const people = await learners(one.commit, file, 40)
    const all = ['hello-rope', 'first-bend', 'two-ropes', 'loops', 'shoe-lace', 'climbing']
    await Promise.all([
      ...people.map(async ({ id, actor }) => {
        for (const slug of all)
          await one.commit(completeLesson, { actor, input: { learnerId: id, lessonId: lessonOf(file, slug) } })
      }),
      (async () => {
        for (const definition of [short, long, short, long, short]) {
          await importCourse({ ...other, definition })
          await catchUpAll({ ...other, courseId: definition.courseId })
        }
      })(),
    ])
    await catchUpAll({ ...one, courseId: long.courseId })
    const rows = await w.query(
      `
      select e.completed, e.total, e."completedAt" is not null as done, e."lessonsVersion",
        (select count(*)::int from "LessonProgress" p join "Lesson" l on l.id = p."lessonId"
        where p."enrollmentId" = e.id and l.active and p.status = 'COMPLETED') as counted,
        (select count(*)::int from "CourseCompletion" c where c."enrollmentId" = e.id) as completions
      from "Enrollment" e where e."courseId" = $1`,
      [long.courseId],
    )
    expect(rows).toHaveLength(40)
    for (const row of rows)
      expect(row).toEqual({ completed: 6, total: 6, done: true, lessonsVersion: 6, counted: 6, completions: 1 })
  })
})

describe('enrollments that are behind their course', () => {
  const shorter = (file: TrackFile) =>
    readTrack(Buffer.from(JSON.stringify(changed(file, ({ exercises }) => (exercises.practice[1]!.status = 'wip')))))

  test('are caught up by the next process, when the one that began was interrupted', async () => {
    const file = knots('interrupted')
    await imported(file)
    await learners(one.commit, file, 200)
    await importCourse({ ...one, definition: shorter(file) })
    expect(await behind(file)).toBe(200)

    const interrupted = new AbortController()
    const told: number[] = []
    const onProgress = (done: number, total: number) => {
      expect(total).toBe(200)
      if (told.push(done) === 50) interrupted.abort()
    }
    const { reevaluated } = await catchUpAll({
      ...one,
      courseId: courseOf(file),
      onProgress,
      signal: interrupted.signal,
    })
    expect(told).toEqual(Array.from({ length: reevaluated }, (_, i) => i + 1))
    expect(reevaluated).toBeGreaterThanOrEqual(50)
    expect(reevaluated).toBeLessThan(200)
    expect(await behind(file)).toBe(200 - reevaluated)

    const keeps = keepCaughtUp({ ...w.process(), everyMs: 60_000 })
    await vi.waitFor(async () => expect(await behind(file)).toBe(0), { timeout: 10_000 })
    await keeps.stop()
    const versions = await w.query(
      'select "lessonsVersion", version, total, count(*)::int as n from "Enrollment" where "courseId" = $1 group ' +
        'by 1, 2, 3',
      [courseOf(file)],
    )
    expect(versions).toEqual([{ lessonsVersion: 2, version: 2, total: 6, n: 200 }])
  })

  test('are found at once when it is woken, and otherwise at its interval', async () => {
    const file = knots('rung')
    await imported(file)
    await learners(one.commit, file, 5)
    const slow = keepCaughtUp({ ...one, everyMs: 600_000 })
    await importCourse({ ...one, definition: shorter(file) })
    slow.ring()
    await vi.waitFor(async () => expect(await behind(file)).toBe(0), { timeout: 10_000 })
    await slow.stop()

    const quick = keepCaughtUp({ ...one, everyMs: 10 })
    await imported(file)
    await learners(one.commit, file, 5)
    await importCourse({ ...one, definition: shorter(file) })
    await vi.waitFor(async () => expect(await behind(file)).toBe(0), { timeout: 10_000 })
    await quick.stop()
  })

  test(
    'are caught up in one pass at a time, however often it is woken, at most 64 at once, and none after it ' +
      'was stopped',
    async () => {
      const file = knots('bell')
      await imported(file)
      await learners(one.commit, file, 150)
      await importCourse({ ...one, definition: shorter(file) })
      let [flying, most, asked] = [0, 0, 0]
      const counted: Commit = async (verb, request) => {
        asked++
        most = Math.max(most, ++flying)
        keeps.ring()
        return one.commit(verb, request).finally(() => flying--)
      }
      const keeps = keepCaughtUp({ db: one.db, commit: counted, everyMs: 60_000 })
      for (let i = 0; i < 100; i++) keeps.ring()
      await vi.waitFor(async () => expect(await behind(file)).toBe(0), { timeout: 10_000 })
      await keeps.stop()
      expect({ flying, most, asked }).toEqual({ flying: 0, most: 64, asked: 150 })
      keeps.ring()
      await keeps.stop()
      expect(asked).toBe(150)
    },
  )

  test(
    'wait while the database is away, and are caught up when it is back; each failure is ' + 'reported once',
    async () => {
      const file = knots('away')
      await imported(file)
      await learners(one.commit, file, 20)
      await importCourse({ ...one, definition: shorter(file) })
      const name = new URL(w.url).pathname.slice(1)
      const elsewhere = Object.assign(new URL(w.url), { pathname: '/postgres' }).href
      const told: string[] = []
      const log = {
        info: (_: object, message: string) => void told.push(message),
        warn: (_: object, message: string) => void told.push(message),
      }
      let failed = 0
      const { db } = w.process()
      // the driver's own error, counted: the loop itself tells only of the first
      const watched = new Proxy(db, {
        get: (target, name) =>
          name === '$queryRaw'
            ? (...parameters: never[]) =>
                (target.$queryRaw as (...p: never[]) => Promise<unknown>)(...parameters).catch((error) => {
                  failed++
                  throw error
                })
            : Reflect.get(target, name),
      })
      await inSession(elsewhere, async (client) => {
        await client.query(`alter database ${name} allow_connections false`)
        await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
        const keeps = keepCaughtUp({ db: watched, commit: one.commit, everyMs: 20, log })
        w.onClose(() => keeps.stop())
        await vi.waitFor(() => expect(failed).toBeGreaterThan(2), { timeout: 10_000 })
        await client.query(`alter database ${name} allow_connections true`)
        await vi.waitFor(async () => expect(await behind(file)).toBe(0), { timeout: 20_000 })
        await vi.waitFor(() => expect(told).toContain('Enrollments are evaluated again.'), { timeout: 10_000 })
        await keeps.stop()
      })
      expect(told.filter((message) => message.includes('trying again until they can'))).toHaveLength(1)
      expect(told.filter((message) => message.includes('are evaluated again'))).toHaveLength(1)
    },
  )

  test('are forgotten when another process has caught them up first', async () => {
    const file = knots('raced')
    await imported(file)
    await learners(one.commit, file, 70)
    await importCourse({ ...one, definition: shorter(file) })
    const second: Commit = async (verb, request) => {
      await one.commit(verb, request)
      return one.commit(verb, request)
    }
    const asked: unknown[][] = []
    const db = new Proxy(one.db, {
      get(target, name) {
        if (name !== '$queryRaw') return Reflect.get(target, name)
        return (query: { values: unknown[] }) => {
          asked.push(query.values)
          return target.$queryRaw(query as never)
        }
      },
    })
    expect(await catchUpAll({ db, commit: second, courseId: courseOf(file) })).toEqual({ reevaluated: 0, left: [] })
    expect(await behind(file)).toBe(0)
    expect(asked).toHaveLength(2)
    for (const values of asked) expect(values.filter((value) => Array.isArray(value))).toEqual([[]])
  })

  test('that are still behind after a try are tried once more, and then reported', async () => {
    const file = knots('stubborn')
    await imported(file)
    await learners(one.commit, file, 3)
    await importCourse({ ...one, definition: shorter(file) })
    let tries = 0
    const idle = (async () => ({ changed: ++tries < 0 })) as unknown as Commit
    const { reevaluated, left } = await catchUpAll({ db: one.db, commit: idle, courseId: courseOf(file) })
    expect({ reevaluated, tries, left: left.length }).toEqual({ reevaluated: 0, tries: 6, left: 3 })
    expect(left[0]!.error).toMatchObject({ message: 'The enrollment is overdue, and evaluating it changes nothing.' })
  })

  test('delay nobody: one that another transaction has locked is left for later', async () => {
    const file = knots('locked')
    await imported(file)
    const [learner] = await learners(one.commit, file, 10)
    await importCourse({ ...one, definition: shorter(file) })
    const stuck = enrollmentOf(learner!.id, courseOf(file))
    const impatient = w.process({ lockTimeoutMs: 50 })
    const client = await w.psql.connect()
    await client.query('begin')
    await client.query('select from "Enrollment" where id = $1 for update', [stuck])
    const { reevaluated, left } = await catchUpAll({ ...impatient, courseId: courseOf(file) })
    await client.query('rollback')
    client.release()
    expect(reevaluated).toBe(9)
    expect(left).toMatchObject([{ enrollmentId: stuck, error: { code: 'BUSY' } }])
    expect(await catchUpAll({ ...impatient, courseId: courseOf(file) })).toEqual({ reevaluated: 1, left: [] })
  })
})
