import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { connect } from '../../src/database/client.ts'
import { defaultPool } from '../../src/database/pool.ts'
import { type CommitOptions, commits } from '../../src/commit/commit.ts'
import { academy, type TestCourse } from '../academy.ts'
import { type Learner, learners, recorder } from '../classroom.ts'
import { proxy } from '../proxy.ts'
import { expectWhole } from '../whole.ts'
import { outcome, race, world } from '../world.ts'

const w = await world()
const network = await proxy(w.url)
w.onClose(network.close)

describe.each(['read-committed', 'repeatable-read'] as const)('%s', (isolation) => {
  const { commit: safe } = w.process({ isolation })
  const school = academy(safe)
  let course: TestCourse
  let ada: Learner
  let bob: Learner

  /** A process that is connected to the database through the proxy. */
  function behindIt(options: CommitOptions = {}) {
    const record = recorder()
    const db = connect(network.url, { ...defaultPool, size: 2, max: 10, isolation })
    w.onClose(() => db.$disconnect())
    return { db, record, ...commits(db, { ...options, watch: record.watch }) }
  }

  beforeEach(async () => {
    Object.assign(network, {
      atCommit: 'pass',
      times: Number.POSITIVE_INFINITY,
      met: 0,
      unreachable: false,
      silent: false,
    })
    course = await school.course(5)
    ;[ada, bob] = (await learners(w, safe, 2, course)) as [Learner, Learner]
  })
  const kinds = async ({ enrollmentId }: Learner) => (await expectWhole(w, enrollmentId)).map(({ kind }) => kind)

  test.each([
    ['with keys', true],
    ['without keys', false],
  ])(
    'PostgreSQL committed and its reply was lost: the outcome is asked for, and the request takes effect once (%s)',
    async (_, keyed) => {
      const { commit: by, record } = behindIt()
      Object.assign(network, { atCommit: 'lose the reply', times: 1 })
      const key = randomUUID()
      const answers = await race(3, (i) =>
        [ada, bob, ada][i]!.complete([1, 1, 2][i]!, { by, ...(keyed && { key: `${key}${i}` }) }),
      )
      expect(answers.map(({ version, changed, replayed }) => [version, changed, replayed])).toEqual([
        [2, true, false],
        [2, true, false],
        [3, true, false],
      ])
      expect(network.met).toBe(1)
      expect(record.met['outcome-asked']).toMatchObject([{ status: 'committed' }])
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted', 'lessonCompleted'])
      expect(await kinds(bob)).toEqual(['enrolled', 'lessonCompleted'])
      if (keyed)
        expect(await ada.complete(1, { by, key: `${key}0` })).toMatchObject({
          version: 2,
          replayed: true,
          answer: answers[0]!.answer,
        })
    },
  )

  test('a change that would be made again each time is not made twice, though each COMMIT is in doubt', async () => {
    const { commit: by } = behindIt()
    Object.assign(network, { atCommit: 'lose the reply', times: 4 })
    const made: number[] = []
    for (const _ of [1, 2]) {
      made.push((await ada.complete(1, { by })).version)
      made.push((await ada.reset({ by })).version)
    }
    expect(made).toEqual([2, 3, 4, 5])
    expect(network.met).toBe(4)
    expect(await kinds(ada)).toEqual([
      'enrolled',
      'lessonCompleted',
      'enrollmentReset',
      'lessonCompleted',
      'enrollmentReset',
    ])
  })

  test.each([
    ['with keys', true],
    ['without keys', false],
  ])(
    'PostgreSQL never received the COMMIT: the outcome is asked for, and the request takes effect once (%s)',
    async (_, keyed) => {
      const { commit: by, record } = behindIt()
      Object.assign(network, { atCommit: 'lose it', times: 2 })
      const answers = await race(2, (i) => [ada, bob][i]!.complete(1, { by, ...(keyed && { key: randomUUID() }) }))
      expect(answers).toMatchObject([
        { version: 2, changed: true, replayed: false },
        { version: 2, changed: true, replayed: false },
      ])
      expect(record.met['outcome-asked']).toMatchObject([{ status: 'aborted' }, { status: 'aborted' }])
      expect(record.times('retry')).toBe(2)
      for (const learner of [ada, bob]) expect(await kinds(learner)).toEqual(['enrolled', 'lessonCompleted'])
    },
  )

  test.each([
    ['committed', 'lose the reply'],
    ['not committed', 'lose it'],
  ] as const)(
    'nobody can be asked for the outcome (%s): it is OutcomeUnknown, but with a key takes effect once in the end',
    async (_, atCommit) => {
      const { commit: by, record } = behindIt({ askMs: 150, outageMs: 300 })
      const key = randomUUID()
      Object.assign(network, { atCommit, times: 1 })
      const lost = network.meeting().then(() => (network.unreachable = true))
      const [keyed, unkeyed] = await race(2, (i) => outcome(i ? bob.complete(1, { by }) : ada.complete(1, { by, key })))
      await lost
      expect(record.met['outcome-asked']).toMatchObject([{ status: 'unknown' }])
      expect(unkeyed).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
      expect(keyed).toMatchObject({ code: expect.stringMatching(/^(OUTCOME_UNKNOWN|UNAVAILABLE)$/) })
      network.unreachable = false
      expect(await ada.complete(1, { by, key })).toMatchObject({
        version: 2,
        replayed: atCommit === 'lose the reply',
        answer: { alreadyCompleted: false },
      })
      expect(await kinds(ada)).toEqual(['enrolled', 'lessonCompleted'])
      expect(await kinds(bob)).toEqual(atCommit === 'lose the reply' ? ['enrolled', 'lessonCompleted'] : ['enrolled'])
    },
  )

  test('the outcome is asked for until the database can be reached again', async () => {
    const { commit: by, record } = behindIt()
    Object.assign(network, { atCommit: 'lose the reply', times: 1 })
    const completion = ada.complete(1, { by })
    await network.meeting()
    network.unreachable = true
    setTimeout(() => (network.unreachable = false), 400)
    expect(await completion).toMatchObject({ version: 2, changed: true, replayed: false })
    expect(record.met['outcome-asked']).toMatchObject([{ status: 'committed' }])
  })

  test('a connection lost after a transaction that wrote nothing leaves no doubt', async () => {
    await ada.complete(1)
    const { commit: by, record } = behindIt()
    Object.assign(network, { atCommit: 'lose the reply', times: 1 })
    expect(await ada.complete(1, { by })).toMatchObject({ version: 2, changed: false })
    expect(record.times('outcome-asked')).toBe(0)
    expect(record.times('retry')).toBe(1)
  })

  test('all connections are lost during many commits: each request is answered and takes effect once', async () => {
    const { commit: by, record } = behindIt()
    const many = await learners(w, safe, 40, course)
    const answers = Promise.all(
      many.flatMap((learner) =>
        [1, 2, 3, 4, 5].map((lesson) => learner.complete(lesson, { by, key: `${learner.id}-${lesson}` })),
      ),
    )
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 15))
      network.cut()
    }
    const versions = (await answers).map(({ version }) => version)
    expect(versions).toHaveLength(200)
    expect(record.times('retry') + record.times('outcome-asked')).toBeGreaterThan(0)
    for (const learner of many)
      expect((await kinds(learner)).filter((kind) => kind === 'lessonCompleted')).toHaveLength(5)
  })
})
