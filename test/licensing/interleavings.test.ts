import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Commit, Committed } from '../../src/commit/commit.ts'
import { DomainError } from '../../src/commit/errors.ts'
import { levelUp } from '../../src/licensing/levelUp.ts'
import type { StandingView } from '../../src/licensing/standingState.ts'
import { syncRecords } from '../../src/licensing/syncRecords.ts'
import { updateLevel } from '../../src/licensing/updateLevel.ts'
import { academy, system } from '../academy.ts'
import { outcome, world } from '../world.ts'
import { expectSound } from './standing.ts'

const w = await world()
const processes = [w.process(), w.process({ isolation: 'repeatable-read' })]
const { person } = academy(processes[0]!.commit)

const hours = fc.integer({ min: -150, max: 300 }).map((hundredths) => hundredths / 100)
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      verb: fc.constant('levelUp' as const),
      xpGained: fc.integer({ min: -5, max: 900 }),
      sessionsCompleted: fc.nat(3),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{
        verb: fc.constant('updateLevel' as const),
        newLevel: fc.integer({ min: 0, max: 9 }),
        xpChange: fc.integer({ min: -600, max: 600 }),
      },
      ...{ sessionsChange: fc.integer({ min: -3, max: 3 }), theoryHoursChange: hours, practiceHoursChange: hours },
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant('syncRecords' as const),
      source: fc.constantFrom('PROGRESS' as const, 'LICENSE' as const),
    }),
  },
)
const asked = fc.record({
  step,
  by: fc.nat(1),
  who: fc.nat(1),
  /** Few keys, so that some are used twice, also for other requests. */
  key: fc.option(fc.nat(9), { freq: 3 }),
  pause: fc.constantFrom('none', 'none', 'none', 'turn', 'answer'),
})
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

const expected = [
  'LEVEL_OUT_OF_RANGE',
  'TOTAL_OUT_OF_RANGE',
  'INVALID_INPUT',
  'IDEMPOTENCY_KEY_REUSED',
  'RECORD_NOT_FOUND',
]

function ask(
  commit: Commit,
  userId: string,
  { step: { verb, ...input } }: Asked,
  key: string | undefined,
): Promise<Committed<StandingView, object>> {
  const more = { userId, specialization: 'COACH', reason: verb }
  if (verb === 'levelUp')
    return commit(levelUp, { actor: system, key, input: { ...more, ...(input as never as Omit<Gain, 'verb'>) } })
  if (verb === 'updateLevel')
    return commit(updateLevel, { actor: system, key, input: { ...more, ...(input as never as Omit<Update, 'verb'>) } })
  return commit(syncRecords, { actor: system, key, input: { ...more, ...(input as never as Pick<Sync, 'source'>) } })
}
type Gain = Extract<Asked['step'], { verb: 'levelUp' }>
type Update = Extract<Asked['step'], { verb: 'updateLevel' }>
type Sync = Extract<Asked['step'], { verb: 'syncRecords' }>

test('any requests at once in two processes: both records have the same level, totals are the sum of the accepted ' +
  'requests, the highest level stays, each change is recorded once, and history folds to the rows', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
      const people = [await person(), await person()]
      const run = randomUUID()
      const flying: Promise<Committed<StandingView, object> | Error>[] = []
      for (const each of steps) {
        flying.push(
          outcome(
            ask(
              processes[each.by]!.commit,
              people[each.who]!.id,
              each,
              each.key === null ? undefined : `${run} ${each.key}`,
            ),
          ),
        )
        if (each.pause === 'turn') await new Promise(setImmediate)
        if (each.pause === 'answer') await flying.at(-1)
      }
      const answers = await Promise.all(flying)
      for (const answer of answers)
        if (answer instanceof Error) expect(answer instanceof DomainError ? answer.code : answer).toBeOneOf(expected)

      for (const [n, { id }] of people.entries()) {
        const history = await expectSound(w, id, 'COACH')
        const totals = { totalXp: 0, completedSessions: 0, theory: 0, practice: 0 }
        const accepted = steps.flatMap((each, i) => {
          const answer = answers[i]!
          return each.who === n && !(answer instanceof Error) ? [{ ...answer, step: each.step }] : []
        })
        const made = accepted.filter(({ changed }) => changed)
        expect(new Set(made.map(({ version }) => version)).size, 'a version is made by one request').toBe(made.length)
        for (const { step } of made) {
          if (step.verb === 'levelUp') {
            totals.totalXp += step.xpGained
            totals.completedSessions += step.sessionsCompleted
          } else if (step.verb === 'updateLevel') {
            totals.totalXp += step.xpChange
            totals.completedSessions += step.sessionsChange
            totals.theory += Math.round(step.theoryHoursChange * 100)
            totals.practice += Math.round(step.practiceHoursChange * 100)
          }
        }
        const [row] = await w.query<Record<string, number>>(
          `select p."totalXp", p."completedSessions", (p."theoryHours" * 100)::int as theory, (p."practiceHours" *
            100)::int as practice,
            p."currentLevel" as level, l."currentLevel" as licensed, l."maxAchievedLevel" as highest
          from "SpecializationProgress" p full join "License" l using (id) where id = $1`,
          [`${id}.COACH`],
        )
        if (!row) {
          expect(made).toEqual([])
          continue
        }
        const { level, licensed, highest, ...stored } = row
        expect(stored, 'totals are the sum of what was accepted').toEqual(totals)
        expect(licensed).toBe(level)
        const levels = history.map(({ view }) => (view as never as StandingView).license!.currentLevel)
        expect(highest, 'the highest level ever had').toBe(Math.max(...levels))
        expect(level).toBe(levels.at(-1))
        const story = await w.query<{ from: number; to: number }>(
          'select "from", "to" from "LicenseProgression" where "licenseId" = $1 order by at, version, "from"',
          [`${id}.COACH`],
        )
        expect([1, ...story.map(({ to }) => to)], 'each change begins where the one before ended').toEqual([
          ...story.map(({ from }) => from),
          level,
        ])
      }
    }),
    { numRuns: 40, endOnFailure: true },
  )
}, 90_000)
