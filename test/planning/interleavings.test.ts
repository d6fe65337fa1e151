import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Actor } from '../../src/commit/aggregate.ts'
import type { Commit, Committed } from '../../src/commit/commit.ts'
import { DomainError } from '../../src/commit/errors.ts'
import { addWorkouts } from '../../src/planning/addWorkouts.ts'
import { clearSelection } from '../../src/planning/clearSelection.ts'
import { createPlan } from '../../src/planning/createPlan.ts'
import { fillPlan } from '../../src/planning/fillPlan.ts'
import type { PlanView, Selected } from '../../src/planning/planState.ts'
import { removeWorkout } from '../../src/planning/removeWorkout.ts'
import { renameWorkout } from '../../src/planning/renameWorkout.ts'
import { updateSelection } from '../../src/planning/updateSelection.ts'
import { updateSelections } from '../../src/planning/updateSelections.ts'
import { academy, system } from '../academy.ts'
import { outcome, world } from '../world.ts'
import { expectPlanWhole } from './planner.ts'

const w = await world()
const processes = [w.process(), w.process({ isolation: 'repeatable-read' })]

const WORKOUTS = 6
const workout = fc.integer({ min: 1, max: WORKOUTS })
const title = fc.constantFrom('Run', 'Swim', 'Row')
const selected = fc.record<Partial<Selected>>(
  {
    currentPlanDay: fc.constantFrom(null, '2027-03-29', '2027-03-30', '0001-01-01', '9999-12-31'),
    timeOfDay: fc.constantFrom(null, 'MORNING' as const, 'EVENING' as const),
  },
  { requiredKeys: [] },
)
const several = <T>(one: fc.Arbitrary<T>) =>
  fc.uniqueArray(fc.tuple(workout, one), { minLength: 1, maxLength: 4, selector: ([n]) => n })
const verbs = {
  createPlan: fc.constant({}),
  addWorkouts: fc.record({ workouts: several(title) }),
  fillPlan: fc.record({ workouts: several(title) }),
  renameWorkout: fc.record({ workout, title }),
  removeWorkout: fc.record({ workout }),
  updateSelection: fc.record({ workout, selected }),
  updateSelections: fc.record({ selections: several(selected) }),
  clearSelection: fc.record({ workout }),
} as const
type Step = {
  readonly [V in keyof typeof verbs]: { readonly verb: V } & ((typeof verbs)[V] extends fc.Arbitrary<infer T>
    ? T
    : never)
}[keyof typeof verbs]

const weights: Record<keyof typeof verbs, number> = {
  ...{ createPlan: 1, addWorkouts: 3, fillPlan: 2, renameWorkout: 1, removeWorkout: 1 },
  ...{ updateSelection: 7, updateSelections: 3, clearSelection: 2 },
}
const asked = fc.record({
  step: fc.oneof(
    ...Object.entries(verbs).map(([verb, input]) => ({
      weight: weights[verb as Step['verb']],
      arbitrary: (input as fc.Arbitrary<object>).map((input) => ({ verb, ...input }) as Step),
    })),
  ),
  /** The process that gets the request. */
  by: fc.nat(1),
  key: fc.option(fc.nat(7), { freq: 3 }),
  expectedVersion: fc.option(fc.integer({ min: 1, max: 20 }), { freq: 10, nil: undefined }),
  /** How long to wait before the next request. */
  pause: fc.constantFrom('none', 'none', 'turn', 'answer'),
})

const expected = ['PLAN_NOT_FOUND', 'WORKOUT_NOT_FOUND', 'IDEMPOTENCY_KEY_REUSED', 'VERSION_CONFLICT']

function ask(
  commit: Commit,
  actor: Actor,
  planId: string,
  step: Step,
  more: { key?: string; expectedVersion?: number },
): Promise<Committed<PlanView, object>> {
  const id = (n: number) => `${planId}.workout${n}`
  const texts = (all: readonly (readonly [number, string])[]) =>
    all.map(([n, title]) => ({ id: id(n), title, details: `Details of ${title}` }))
  switch (step.verb) {
    case 'createPlan':
      return commit(createPlan, { actor, input: { planId, ownerId: actor.id, title: 'Plan' }, ...more })
    case 'addWorkouts':
      return commit(addWorkouts, { actor, input: { planId, workouts: texts(step.workouts) }, ...more })
    case 'fillPlan':
      return commit(fillPlan, {
        actor: system,
        input: { planId, ownerId: actor.id, title: 'Plan', workouts: texts(step.workouts) },
        ...more,
      })
    case 'renameWorkout':
      return commit(renameWorkout, { actor, input: { workoutId: id(step.workout), title: step.title }, ...more })
    case 'removeWorkout':
      return commit(removeWorkout, { actor, input: { workoutId: id(step.workout) }, ...more })
    case 'updateSelection':
      return commit(updateSelection, { actor, input: { workoutId: id(step.workout), ...step.selected }, ...more })
    case 'updateSelections':
      return commit(updateSelections, {
        actor,
        input: { selections: step.selections.map(([n, wanted]) => ({ workoutId: id(n), ...wanted })) },
        ...more,
      })
    case 'clearSelection':
      return commit(clearSelection, { actor, input: { workoutId: id(step.workout) }, ...more })
  }
}

test('any requests at once in two processes make a dense history that folds to the rows, each key once', async () => {
  const { commit } = processes[0]!
  const { actor } = await academy(commit).person()
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
      const planId = randomUUID()
      const flying: Promise<Committed<PlanView, object> | Error>[] = []
      for (const { step, by, key, expectedVersion, pause } of steps) {
        const more = { ...(key !== null && { key: `${planId}-${key}` }), expectedVersion }
        flying.push(
          outcome<Committed<PlanView, object>>(ask(processes[by]!.commit, actor, planId, step, more)) as never,
        )
        if (pause === 'turn') await new Promise(setImmediate)
        if (pause === 'answer') await flying.at(-1)
      }
      const answers = await Promise.all(flying)
      for (const answer of answers)
        if (answer instanceof Error) expect(answer instanceof DomainError ? answer.code : answer).toBeOneOf(expected)

      const history = await expectPlanWhole(w, planId)
      const given = answers.flatMap((answer, i) =>
        answer instanceof Error ? [] : [{ ...answer, by: steps[i]!.by, key: steps[i]!.key, step: steps[i]!.step }],
      )
      for (const { view, version } of given) {
        const { workouts: _, removed: __, ...shown } = history[version - 1]!.view
        const { workouts: ___, removed: ____, ...answered } = JSON.parse(JSON.stringify(view))
        expect(answered, 'an answer shows its version as the journal does').toEqual(shown)
      }
      const made = given.filter(({ changed }) => changed).map(({ version }) => version)
      expect(made, 'a version is made by one request').toEqual([...new Set(made)])
      for (const process of [0, 1]) {
        const seen = given.filter(({ by, replayed }) => by === process && !replayed).map(({ version }) => version)
        expect(seen, 'a process answers in the order in which it was asked').toEqual([...seen].sort((a, b) => a - b))
      }
      for (const key of new Set(given.flatMap(({ key }) => key ?? []))) {
        // an operator's keys are their own
        for (const own of [
          given.filter((answer) => answer.key === key && answer.step.verb !== 'fillPlan'),
          given.filter((answer) => answer.key === key && answer.step.verb === 'fillPlan'),
        ]) {
          if (!own.length) continue
          expect(
            own.filter(({ replayed }) => !replayed),
            'a key takes effect once',
          ).toHaveLength(1)
          expect(
            new Set(own.map(({ version, answer }) => JSON.stringify([version, answer], sortedFields))).size,
            'and is answered the same',
          ).toBe(1)
        }
      }
      for (const { version, answer, step } of given) {
        if (step.verb !== 'updateSelection') continue
        const { selection } = (answer as { workout: { selection: Selected | null } }).workout
        const wanted = { currentPlanDay: null, timeOfDay: null, ...step.selected }
        for (const field of ['currentPlanDay', 'timeOfDay'] as const)
          if (field in step.selected)
            expect(selection?.[field] ?? null, `${field} at version ${version} is what was asked`).toBe(wanted[field])
      }
    }),
    { numRuns: 40, endOnFailure: true },
  )
}, 60_000)

const sortedFields = (_: string, value: unknown) =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
