import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { race, world } from '../world.ts'
import { AddWorkouts, CreatePlan, expectPlanWhole, kinds, planner, selections } from './planner.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const [api, other] = [await serve(w), await serve(w)]
const someone = await person()

const Look = graphql(`
  query LookAtPlan($id: ID!) {
    plan(id: $id) {
      id version title createdAt owner { id }
      workouts(first: 100) { totalCount edges { node { id position title details selection { currentPlanDay timeOfDay
      workout { id } } plan { id } } } }
    }
  }
`)
const OwnPlans = graphql(`query OwnPlans { viewer { plans { totalCount edges { node { id title } } } } }`)

const DAY = '2027-03-29'

describe('createPlan', () => {
  test('creates a plan that the viewer sees', async () => {
    const ada = await person()
    const title = '  Off-season, 👩‍🚀 edition '
    const made = payload((await api.get(CreatePlan, { input: { title, idempotencyKey: 'k' } }, ada.token)).createPlan)
    expect(made).toMatchObject({
      version: 1,
      replayed: false,
      plan: { version: 1, title: title.trim(), owner: { id: globalId('User', ada.id) } },
    })
    expect((await api.get(Look, { id: made.plan.id }, ada.token)).plan).toMatchObject({
      ...made.plan,
      workouts: { totalCount: 0, edges: [] },
    })
    expect((await api.get(OwnPlans, {}, ada.token)).viewer!.plans).toEqual({
      totalCount: 1,
      edges: [{ node: { id: made.plan.id, title: title.trim() } }],
    })
    expect(kinds(await expectPlanWhole(w, localIdOf(made.plan.id)))).toEqual(['planCreated'])
  })

  test('requires a key', async () => {
    const { errors } = await api.ask('mutation { createPlan(input: { title: "x" }) { __typename } }', {}, someone.token)
    expect(errors).toMatchObject([
      { message: expect.stringContaining('idempotencyKey'), extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } },
    ])
  })

  test('with one key 20 times at once, through two processes, creates one plan', async () => {
    const ada = await person()
    const answers = await race(20, (i) =>
      (i % 2 ? api : other)
        .get(CreatePlan, { input: { title: 'One', idempotencyKey: 'same' } }, ada.token)
        .then(({ createPlan }) => payload(createPlan)),
    )
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    expect(new Set(answers.map(({ plan }) => plan.id)).size).toBe(1)
    expect(await w.query('select version from "Plan" where "ownerId" = $1', [ada.id])).toEqual([{ version: 1 }])
  })

  test('with another title is another request with the same key; by another user it creates another plan', async () => {
    const [ada, bao] = [await person(), await person()]
    const create = (token: string, title: string) =>
      api.get(CreatePlan, { input: { title, idempotencyKey: 'key' } }, token).then(({ createPlan }) => createPlan)
    const first = payload(await create(ada.token, 'One'))
    expect(await create(ada.token, 'Two')).toMatchObject({ __typename: 'IdempotencyKeyReused' })
    expect(payload(await create(bao.token, 'One')).plan.id).not.toBe(first.plan.id)
    const raced = await race(10, (i) =>
      (i % 2 ? api : other).get(CreatePlan, { input: { title: `Plan ${i % 2}`, idempotencyKey: 'raced' } }, ada.token),
    )
    const names = raced.map(({ createPlan }) => createPlan.__typename)
    expect(names.filter((name) => name === 'CreatePlanPayload')).toHaveLength(5)
    expect(names.filter((name) => name === 'IdempotencyKeyReused')).toHaveLength(5)
    expect(await w.query('select from "Plan" where "ownerId" = $1', [ada.id])).toHaveLength(2)
  })

  test('repeated after its key is forgotten, finds the plan that it created, and creates nothing', async () => {
    const ada = await person()
    const plan = await planner(api, ada, 0)
    const input = { title: 'Late', idempotencyKey: 'old' }
    const { plan: made } = payload((await api.get(CreatePlan, { input }, ada.token)).createPlan)
    const workouts = { planId: made.id, workouts: [{ title: 'One' }, { title: 'Two' }], idempotencyKey: 'older' }
    const added = payload((await api.get(AddWorkouts, { input: workouts }, ada.token)).addWorkouts)
    await w.query('delete from "IdempotencyKey" where actor = $1', [ada.id])
    expect(payload((await api.get(CreatePlan, { input }, ada.token)).createPlan)).toMatchObject({
      version: 2,
      replayed: false,
      plan: { id: made.id },
    })
    expect(payload((await api.get(AddWorkouts, { input: workouts }, ada.token)).addWorkouts)).toMatchObject({
      version: 2,
      workouts: added.workouts,
    })
    expect(await expectPlanWhole(w, localIdOf(made.id))).toHaveLength(2)
    expect(plan.planId).not.toBe(made.id)
  })

  test.each([
    ['', /is blank. Wanted is 1 to 200 characters on one line/],
    [' \n ', /is blank/],
    ['x'.repeat(201), /has 201 characters/],
    ['a\nb', /has a control character, U\+000A, and a title is one line/],
    ['a\0b', /U\+0000/],
    ['a\u0085b', /U\+0085/],
    ['half \ud800', /half of a surrogate pair/],
  ])('refuses the title %j', async (title, message) => {
    const { createPlan } = await api.get(CreatePlan, { input: { title, idempotencyKey: randomUUID() } }, someone.token)
    expect(createPlan).toMatchObject({
      __typename: 'InvalidInput',
      field: 'input.title',
      message: expect.stringMatching(message),
    })
  })

  test('accepts 200 characters of several bytes each', async () => {
    const { createPlan } = await api.get(
      CreatePlan,
      { input: { title: '🏃'.repeat(200), idempotencyKey: randomUUID() } },
      someone.token,
    )
    expect(payload(createPlan).plan.title).toHaveLength(400)
  })
})

describe('addWorkouts', () => {
  test('adds workouts at the end, in order, with their details', async () => {
    const plan = await planner(api, someone, [{ title: 'Run', details: '5 km\r\n\teasy' }, { title: 'Swim' }])
    const added = payload(await plan.add([{ title: ' Row ', details: null }]))
    expect(added).toMatchObject({
      version: 3,
      plan: { id: plan.planId, version: 3 },
      workouts: [{ position: 3, title: 'Row', details: '', selection: null }],
    })
    expect(
      (await api.get(Look, { id: plan.planId }, someone.token)).plan!.workouts!.edges.map(({ node }) => [
        node.position,
        node.title,
        node.details,
      ]),
    ).toEqual([
      [1, 'Run', '5 km\n\teasy'],
      [2, 'Swim', ''],
      [3, 'Row', ''],
    ])
    await expectPlanWhole(w, plan.planLocalId)
  })

  test('with one key 20 times at once adds the workouts once', async () => {
    const plan = await planner(api, someone, 0)
    const answers = await race(20, () =>
      plan.add([{ title: 'A' }, { title: 'A' }], { idempotencyKey: `add-${plan.planLocalId}` }).then(payload),
    )
    expect(new Set(answers.map(({ workouts }) => JSON.stringify(workouts))).size).toBe(1)
    expect(new Set(answers[0]!.workouts.map(({ id }) => id)).size).toBe(2)
    expect(kinds(await expectPlanWhole(w, plan.planLocalId))).toEqual(['planCreated', 'workoutsAdded'])
  })

  test('30 times at once gives each workout a position of its own, without gaps', async () => {
    const plan = await planner(api, someone, 0)
    await race(30, (i) => plan.add([{ title: `A${i}` }, { title: `B${i}` }]).then(payload))
    const rows = await w.query<{ position: number }>('select position from "Workout" where "planId" = $1 order by 1', [
      plan.planLocalId,
    ])
    expect(rows.map(({ position }) => position)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    await expectPlanWhole(w, plan.planLocalId)
  })

  test.each([
    ['none', [], 'input.workouts', /has 0 workouts. Wanted are 1 to 100/],
    ['too many', Array(101).fill({ title: 'x' }), 'input.workouts', /has 101 workouts/],
    ['one without a title', [{ title: 'x' }, { title: ' ' }], 'input.workouts[1].title', /is blank/],
    [
      'one with long details',
      [{ title: 'x', details: 'x'.repeat(10_001) }],
      'input.workouts[0].details',
      /has 10001 characters. Wanted is text of 10000/,
    ],
    [
      'one with an escape in its details',
      [{ title: 'x', details: 'a\u001b[2J' }],
      'input.workouts[0].details',
      /U\+001B/,
    ],
  ] as const)('refuses %s, and adds nothing', async (_, workouts, field, message) => {
    const plan = await planner(api, someone, 0)
    expect(await plan.add([...workouts])).toMatchObject({
      __typename: 'InvalidInput',
      field,
      message: expect.stringMatching(message),
    })
    expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(1)
  })
})

test('renameWorkout changes the title; the current title changes nothing', async () => {
  const plan = await planner(api, someone, [{ title: 'Run', details: '5 km' }])
  expect(payload(await plan.rename(1, ' Long run '))).toMatchObject({
    version: 3,
    workout: { title: 'Long run', details: '5 km' },
  })
  expect(payload(await plan.rename(1, 'Long run'))).toMatchObject({ version: 3, replayed: false })
  expect(await plan.rename(1, '')).toMatchObject({ __typename: 'InvalidInput', field: 'input.title' })
  expect(kinds(await expectPlanWhole(w, plan.planLocalId))).toEqual(['planCreated', 'workoutsAdded', 'workoutRenamed'])
})

test('removeWorkout removes the selection too; a retry with the key gets the first answer', async () => {
  const plan = await planner(api, someone, 3)
  payload(await plan.select(2, { timeOfDay: 'MORNING' }))
  const removed = payload(await plan.remove(2, { idempotencyKey: `remove-${plan.planLocalId}` }))
  expect(removed).toMatchObject({
    version: 4,
    removedWorkoutId: plan.workout(2),
    plan: { workouts: { totalCount: 2 } },
  })
  expect(payload(await plan.remove(2, { idempotencyKey: `remove-${plan.planLocalId}` }))).toMatchObject({
    version: 4,
    replayed: true,
  })
  expect(await plan.remove(2)).toMatchObject({ __typename: 'WorkoutNotFound' })
  expect(await plan.rename(2, 'x')).toMatchObject({ __typename: 'WorkoutNotFound' })
  expect(await plan.clear(2)).toMatchObject({ __typename: 'WorkoutNotFound' })
  expect(await selections(w, plan.local(2))).toEqual([])
  expect(payload(await plan.add([{ title: 'Next' }])).workouts).toMatchObject([{ position: 4 }])
  await expectPlanWhole(w, plan.planLocalId)
})

test('removing a workout while its selection changes leaves no selection behind', async () => {
  const plan = await planner(api, someone, 40)
  await race(80, (i) => {
    const n = (i >> 1) + 1
    return i % 2
      ? plan.remove(n).then((answer) => void payload(answer))
      : plan.select(n, { currentPlanDay: DAY }, {}, i % 4 ? api : other).then(() => {})
  })
  expect(await w.query('select from "Workout" where "planId" = $1', [plan.planLocalId])).toEqual([])
  await expectPlanWhole(w, plan.planLocalId)
})

test('clearSelection clears the day and the time of day; if there is no selection, the answer says so', async () => {
  const plan = await planner(api, someone, 1)
  payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' }))
  expect(payload(await plan.clear(1))).toMatchObject({
    version: 4,
    cleared: true,
    workout: { id: plan.workout(1), selection: null },
  })
  expect(payload(await plan.clear(1))).toMatchObject({ version: 4, cleared: false })
  expect(await selections(w, plan.local(1))).toEqual([])
  expect(payload(await plan.select(1, { timeOfDay: 'EVENING' })).selection).toMatchObject({
    currentPlanDay: null,
    timeOfDay: 'EVENING',
  })
  expect(kinds(await expectPlanWhole(w, plan.planLocalId)).slice(2)).toEqual([
    'selectionsUpdated',
    'selectionCleared',
    'selectionsUpdated',
  ])
})

describe('updateSelections', () => {
  test('changes a whole week in one event', async () => {
    const plan = await planner(api, someone, 7)
    const days = plan.ids.map((workoutId, i) => ({
      workoutId,
      currentPlanDay: `2027-03-2${i + 1}`,
      timeOfDay: 'MORNING' as const,
    }))
    expect(payload(await plan.selectAll(days))).toMatchObject({
      version: 3,
      workouts: plan.ids.map((id, i) => ({ id, selection: { currentPlanDay: `2027-03-2${i + 1}` } })),
    })
    const next = [...plan.ids].reverse().map((workoutId, i) => ({
      workoutId,
      currentPlanDay: i < 3 ? `2027-04-0${i + 1}` : undefined,
      timeOfDay: i > 4 ? null : undefined,
    }))
    const { version, workouts } = payload(await plan.selectAll(next))
    expect(version).toBe(4)
    expect(workouts.map(({ selection }) => [selection!.currentPlanDay, selection!.timeOfDay])).toEqual([
      ['2027-04-01', 'MORNING'],
      ['2027-04-02', 'MORNING'],
      ['2027-04-03', 'MORNING'],
      ['2027-03-24', 'MORNING'],
      ['2027-03-23', 'MORNING'],
      ['2027-03-22', null],
      ['2027-03-21', null],
    ])
    expect(payload(await plan.selectAll(next)).version).toBe(4)
    const history = await expectPlanWhole(w, plan.planLocalId)
    expect(kinds(history)).toEqual(['planCreated', 'workoutsAdded', 'selectionsUpdated', 'selectionsUpdated'])
    expect(
      Object.keys((history[3]!.data as { selections: object }).selections),
      'the event has only what changed',
    ).toHaveLength(5)
  })

  test('changes nothing if one of the workouts does not exist', async () => {
    const plan = await planner(api, someone, 3)
    payload(await plan.remove(3))
    const answer = await plan.selectAll(plan.ids.map((workoutId) => ({ workoutId, currentPlanDay: DAY })))
    expect(answer).toMatchObject({ __typename: 'WorkoutNotFound', workoutId: plan.workout(3) })
    expect(
      await w.query('select from "WorkoutSelection" s join "Workout" w on w.id = s."workoutId" where w."planId" = $1', [
        plan.planLocalId,
      ]),
    ).toEqual([])
    expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(3)
  })

  test('refuses too few, too many, a workout twice, one of another plan, and other ids', async () => {
    const [plan, another] = [await planner(api, someone, 2), await planner(api, someone, 1)]
    const ask = (...ids: string[]) =>
      plan.selectAll(ids.map((workoutId) => ({ workoutId, timeOfDay: 'MORNING' as const })))
    const refusals: [ids: string[], field: string, message: RegExp][] = [
      [[], 'input.selections', /has 0 selections. Wanted are 1 to 500/],
      [Array.from({ length: 501 }, (_, i) => globalId('Workout', `x.${i}`)), 'input.selections', /has 501 selections/],
      [
        [plan.workout(1), plan.workout(2), plan.workout(1)],
        'input.selections[2].workoutId',
        /is also the workout of input.selections\[0\]/,
      ],
      [
        [plan.workout(1), another.workout(1)],
        'input.selections[1].workoutId',
        /is a workout of another plan than input.selections\[0\]/,
      ],
      [[plan.workout(1), plan.planId], 'input.selections[1].workoutId', /is the id of a Plan/],
    ]
    for (const [ids, field, message] of refusals)
      expect(await ask(...ids)).toMatchObject({
        __typename: 'InvalidInput',
        field,
        message: expect.stringMatching(message),
      })
    for (const { planLocalId } of [plan, another]) expect(await expectPlanWhole(w, planLocalId)).toHaveLength(2)
  })

  test('changes 500 selections in one event; a late retry does not undo later changes', async () => {
    const plan = await planner(api, someone, 0)
    for (let i = 0; i < 5; i++)
      plan.ids.push(
        ...payload(await plan.add(Array.from({ length: 100 }, (_, n) => ({ title: `${i} ${n}` })))).workouts.map(
          ({ id }) => id,
        ),
      )
    const all = plan.ids.map((workoutId) => ({ workoutId, currentPlanDay: DAY }))
    expect(payload(await plan.selectAll(all, { idempotencyKey: `all-${plan.planLocalId}` })).workouts).toHaveLength(500)
    payload(await plan.select(1, { currentPlanDay: '2027-05-01' }))
    expect(payload(await plan.selectAll(all, { idempotencyKey: `all-${plan.planLocalId}` }))).toMatchObject({
      version: 7,
      replayed: true,
    })
    expect(await selections(w, plan.local(1))).toMatchObject([{ currentPlanDay: '2027-05-01' }])
    await expectPlanWhole(w, plan.planLocalId)
  })
})

test('deleting a user deletes their plans, with workouts, selections, history and keys', async () => {
  const ada = await person()
  const plan = await planner(api, ada, 2)
  payload(await plan.select(1, { timeOfDay: 'MORNING' }, { idempotencyKey: 'k' }))
  await w.query('delete from "User" where id = $1', [ada.id])
  expect(await w.query('select id from "Plan" where id = $1', [plan.planLocalId])).toEqual([])
  expect(await w.query('select id from "Workout" where "planId" = $1', [plan.planLocalId])).toEqual([])
  expect(await selections(w, plan.local(1))).toEqual([])
  expect(await w.history('Plan', plan.planLocalId)).toEqual([])
  expect(await w.query('select key from "IdempotencyKey" where actor = $1', [ada.id])).toEqual([])
})

test('a replay about a workout that was removed since still returns its plan', async () => {
  const ada = await person()
  const plan = await planner(api, ada, 1)
  const ask = () =>
    api.ask(
      `mutation {
        updateSelection(input: { workoutId: "${plan.ids[0]}", currentPlanDay: "${DAY}", idempotencyKey: "then" }) {
          __typename
          ... on UpdateSelectionPayload { replayed workout { title plan { id } } }
        }
      }`,
      {},
      ada.token,
    )
  await ask()
  payload(await plan.remove(1))
  const { data, errors } = await ask()
  expect({ data, errors }).toMatchObject({
    data: { updateSelection: { replayed: true, workout: { plan: { id: plan.planId } } } },
    errors: undefined,
  })
})
