import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { outcome, race, world } from '../world.ts'
import { expectPlanWhole, kinds, planner, selections, UpdateSelection } from './planner.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const api = await serve(w)
const other = await serve(w)
const someone = await person()

const DAY = '2027-03-29'

test('the day and then the time of day make one row with both', async () => {
  const plan = await planner(api, someone)
  const first = payload(await plan.select(1, { currentPlanDay: DAY }))
  expect(first).toMatchObject({ version: 3, replayed: false, selection: { currentPlanDay: DAY, timeOfDay: null } })
  const second = payload(await plan.select(1, { timeOfDay: 'MORNING' }))
  expect(second).toMatchObject({
    version: 4,
    plan: { id: plan.planId, version: 4, title: 'Off-season' },
    workout: { id: plan.workout(1), title: 'Workout 1', selection: { currentPlanDay: DAY, timeOfDay: 'MORNING' } },
    selection: { currentPlanDay: DAY, timeOfDay: 'MORNING', workout: { id: plan.workout(1) } },
  })
  expect(await selections(w, plan.local(1))).toEqual([{ id: plan.local(1), currentPlanDay: DAY, timeOfDay: 'MORNING' }])
  expect(kinds(await expectPlanWhole(w, plan.planLocalId))).toEqual([
    'planCreated',
    'workoutsAdded',
    'selectionsUpdated',
    'selectionsUpdated',
  ])
})

test('both in one request make one change', async () => {
  const plan = await planner(api, someone)
  expect(payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'EVENING' }))).toMatchObject({
    version: 3,
    selection: { currentPlanDay: DAY, timeOfDay: 'EVENING' },
  })
  expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(3)
})

test('the day and the time of day at once, with no selection yet, 200 times, make one row each', async () => {
  const plan = await planner(
    api,
    someone,
    Array.from({ length: 100 }, (_, i) => ({ title: `Workout ${i}` })),
  )
  const more = await planner(
    api,
    someone,
    Array.from({ length: 100 }, (_, i) => ({ title: `Workout ${i}` })),
  )
  for (const { select, ids, planLocalId } of [plan, more]) {
    for (const [i, id] of ids.entries()) {
      // by turns through one process, which may batch both requests, and through two, which can't
      const [a, b] = i % 2 ? [api, api] : [api, other]
      const answers = await race(2, (which) =>
        which ? select(i + 1, { timeOfDay: 'AFTERNOON' }, {}, a) : select(i + 1, { currentPlanDay: DAY }, {}, b),
      )
      for (const answer of answers) payload(answer)
      expect(await selections(w, localIdOf(id))).toEqual([
        { id: localIdOf(id), currentPlanDay: DAY, timeOfDay: 'AFTERNOON' },
      ])
    }
    expect(await expectPlanWhole(w, planLocalId)).toHaveLength(2 + 200)
  }
}, 60_000)

test('200 requests for one plan at once make one row for each of 100 workouts, with both', async () => {
  const plan = await planner(api, someone, 100)
  await race(200, (i) =>
    plan
      .select((i >> 1) + 1, i % 2 ? { timeOfDay: 'EVENING' } : { currentPlanDay: DAY }, {}, i % 3 ? api : other)
      .then(payload),
  )
  const rows = await w.query<{ count: number; whole: number }>(
    `select count(*)::int as count,
       count(*) filter (where "currentPlanDay" = $2 and "timeOfDay" = 'EVENING')::int as whole
     from "WorkoutSelection" s join "Workout" w on w.id = s."workoutId" where w."planId" = $1`,
    [plan.planLocalId, DAY],
  )
  expect(rows).toEqual([{ count: 100, whole: 100 }])
  await expectPlanWhole(w, plan.planLocalId)
})

describe('a field', () => {
  test('that is left out is kept; null clears it', async () => {
    const plan = await planner(api, someone)
    await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' })
    expect(payload(await plan.select(1, { timeOfDay: null })).selection).toMatchObject({
      currentPlanDay: DAY,
      timeOfDay: null,
    })
    expect(payload(await plan.select(1, { currentPlanDay: null, timeOfDay: 'EVENING' })).selection).toMatchObject({
      currentPlanDay: null,
      timeOfDay: 'EVENING',
    })
    expect(payload(await plan.select(1, {})).selection).toMatchObject({ currentPlanDay: null, timeOfDay: 'EVENING' })
    expect(payload(await plan.select(1, { timeOfDay: null })).selection).toMatchObject({
      currentPlanDay: null,
      timeOfDay: null,
    })
    await expectPlanWhole(w, plan.planLocalId)
  })

  test('whose variable has no value is left out; a variable that is null is null', async () => {
    const plan = await planner(api, someone)
    await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' })
    const query = `mutation ($id: ID!, $day: LocalDate, $time: TimeOfDay) {
      updateSelection(input: { workoutId: $id, currentPlanDay: $day, timeOfDay: $time }) {
        __typename
        ... on UpdateSelectionPayload { selection { currentPlanDay timeOfDay } }
      }
    }`
    const { data } = await api.ask<{ updateSelection: object }, object>(
      query,
      { id: plan.workout(1), time: null },
      someone.token,
    )
    expect(data.updateSelection).toMatchObject({ selection: { currentPlanDay: DAY, timeOfDay: null } })
  })

  test('that is null or left out changes nothing if there is no selection', async () => {
    const plan = await planner(api, someone)
    for (const wanted of [{}, { currentPlanDay: null }, { currentPlanDay: null, timeOfDay: null }])
      expect(payload(await plan.select(1, wanted))).toMatchObject({
        version: 2,
        selection: null,
        workout: { selection: null },
      })
    expect(await selections(w, plan.local(1))).toEqual([])
  })
})

test('the same values again succeed, and change and append nothing', async () => {
  const plan = await planner(api, someone)
  const { selection } = payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' }))
  for (const wanted of [
    { currentPlanDay: DAY, timeOfDay: 'MORNING' as const },
    { currentPlanDay: DAY },
    { timeOfDay: 'MORNING' as const },
  ])
    expect(payload(await plan.select(1, wanted))).toMatchObject({
      version: 3,
      replayed: false,
      selection: { updatedAt: selection!.updatedAt },
    })
  expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(3)
})

test('one key 20 times at once, through two processes, makes one change and gets one answer', async () => {
  const plan = await planner(api, someone)
  const idempotencyKey = randomUUID()
  const answers = await race(20, (i) =>
    plan.select(1, { currentPlanDay: DAY }, { idempotencyKey }, i % 2 ? api : other).then(payload),
  )
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
  expect(new Set(answers.map(({ replayed: _, ...answer }) => JSON.stringify(answer))).size).toBe(1)
  expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(3)
})

test('a late retry does not undo later changes, and shows what is there now', async () => {
  const plan = await planner(api, someone)
  const idempotencyKey = randomUUID()
  const first = payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' }, { idempotencyKey }))
  await plan.select(1, { currentPlanDay: '2027-04-01' })
  await plan.rename(1, 'Something else')
  const late = payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: 'MORNING' }, { idempotencyKey }))
  expect(late).toMatchObject({ version: first.version, cursor: first.cursor, replayed: true })
  const selection = { currentPlanDay: '2027-04-01', timeOfDay: 'MORNING' }
  expect(late).toMatchObject({ plan: { version: first.version + 2 }, selection })
  expect(late.workout).toMatchObject({ title: 'Something else', selection })
  expect(await selections(w, plan.local(1))).toMatchObject([{ currentPlanDay: '2027-04-01', timeOfDay: 'MORNING' }])
  await expectPlanWhole(w, plan.planLocalId)
})

test('with one key, a field that is left out and one that is null are different requests', async () => {
  const plan = await planner(api, someone)
  const idempotencyKey = randomUUID()
  payload(await plan.select(1, { timeOfDay: 'MORNING' }, { idempotencyKey }))
  expect(await plan.select(1, { timeOfDay: 'MORNING', currentPlanDay: null }, { idempotencyKey })).toMatchObject({
    __typename: 'IdempotencyKeyReused',
  })
})

test('expectedVersion is compared with the plan’s version; a conflict has the current plan', async () => {
  const plan = await planner(api, someone)
  payload(await plan.select(1, { currentPlanDay: DAY }, { expectedVersion: 2 }))
  expect(await plan.select(1, { timeOfDay: 'MORNING' }, { expectedVersion: 2 })).toMatchObject({
    __typename: 'VersionConflict',
    ...{
      expectedVersion: 2,
      currentVersion: 3,
      current: { __typename: 'Plan', id: plan.planId, version: 3, title: 'Off-season' },
    },
  })
  expect(await selections(w, plan.local(1))).toMatchObject([{ timeOfDay: null }])
})

test('of 20 requests at once with one expectedVersion, one succeeds', async () => {
  const plan = await planner(api, someone)
  const answers = await race(20, (i) =>
    plan
      .select(1, { currentPlanDay: `2027-03-${10 + i}` }, { expectedVersion: 2 }, i % 2 ? api : other)
      .then(({ __typename }) => __typename),
  )
  expect(answers.filter((name) => name === 'UpdateSelectionPayload')).toHaveLength(1)
  expect(answers.filter((name) => name === 'VersionConflict')).toHaveLength(19)
})

describe('a day', () => {
  test.each([
    '2027-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-04-31',
    '0000-01-01',
    '10000-01-01',
    '2026-1-1',
    '29.03.2027',
    '',
    'tomorrow',
    '2027-03-29T00:00:00Z',
    20270329,
  ])('that does not exist (%s) is refused with a code and a message, as a variable and as a literal', async (day) => {
    const plan = await planner(api, someone, 1)
    const refusal = {
      errors: [
        {
          message: expect.stringMatching(/is no day. Wanted is a day that exists, as YYYY-MM-DD/),
          extensions: { code: 'BAD_REQUEST' },
        },
      ],
    }
    const input = { workoutId: plan.workout(1), currentPlanDay: day as string }
    expect(await api.ask(UpdateSelection, { input }, someone.token)).toMatchObject(refusal)
    const literal = `mutation {
      updateSelection(input: { workoutId: "${plan.workout(1)}", currentPlanDay: ${JSON.stringify(day)} }) { __typename }
    }`
    expect(await api.ask(literal, {}, someone.token)).toMatchObject(refusal)
  })

  test.each(['0001-01-01', '0099-12-31', '1582-10-10', '1999-12-31', '2028-02-29', '9999-12-31'])(
    'that exists (%s) is returned unchanged',
    async (day) => {
      const plan = await planner(api, someone, 1)
      expect(payload(await plan.select(1, { currentPlanDay: day })).selection).toMatchObject({ currentPlanDay: day })
      expect(await selections(w, plan.local(1))).toMatchObject([{ currentPlanDay: day }])
      const { data } = await api.ask<{ node: object }, object>(
        'query ($id: ID!) { node(id: $id) { ... on Workout { selection { currentPlanDay } } } }',
        { id: plan.workout(1) },
        someone.token,
      )
      expect(data.node).toEqual({ selection: { currentPlanDay: day } })
      await expectPlanWhole(w, plan.planLocalId)
    },
  )

  test('is the same in every time zone of the server', async () => {
    const plan = await planner(api, someone, 1)
    const before = process.env.TZ
    for (const zone of ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'America/Santiago']) {
      process.env.TZ = zone
      try {
        expect(
          payload(await plan.select(1, { currentPlanDay: DAY, timeOfDay: zone.length % 2 ? 'MORNING' : 'EVENING' }))
            .selection,
        ).toMatchObject({
          currentPlanDay: DAY,
        })
        const { data } = await api.ask<{ node: object }, object>(
          'query ($id: ID!) { node(id: $id) { ... on Workout { selection { currentPlanDay } } } }',
          { id: plan.workout(1) },
          someone.token,
        )
        expect(data.node).toEqual({ selection: { currentPlanDay: DAY } })
      } finally {
        if (before === undefined) delete process.env.TZ
        else process.env.TZ = before
      }
    }
  })
})

test('a workout that does not exist, was removed, or cannot exist gets WorkoutNotFound', async () => {
  const plan = await planner(api, someone, 1)
  payload(await plan.remove(1))
  for (const workoutId of [
    plan.workout(1),
    globalId('Workout', `${plan.planLocalId}.none`),
    globalId('Workout', 'none.none'),
    globalId('Workout', 'none'),
  ]) {
    const { updateSelection } = await api.get(
      UpdateSelection,
      { input: { workoutId, timeOfDay: 'MORNING' } },
      someone.token,
    )
    expect(updateSelection).toMatchObject({ __typename: 'WorkoutNotFound', code: 'WORKOUT_NOT_FOUND', workoutId })
  }
})

test.each([
  ['of something else', globalId('Plan', 'x'), /is the id of a Plan. Wanted is the id of a Workout/],
  ['that is not a global id', 'nonsense', /is no global id/],
  ['that the server never returned', globalId('Workout', "'; drop table"), /is no id that this server returned/],
])('an id %s is InvalidInput', async (_, workoutId, message) => {
  const { updateSelection } = await api.get(
    UpdateSelection,
    { input: { workoutId, timeOfDay: 'MORNING' } },
    someone.token,
  )
  expect(updateSelection).toMatchObject({
    __typename: 'InvalidInput',
    field: 'input.workoutId',
    message: expect.stringMatching(message),
  })
})

test('an unknown time of day is refused', async () => {
  const plan = await planner(api, someone, 1)
  const { errors } = await api.ask(
    UpdateSelection,
    { input: { workoutId: plan.workout(1), timeOfDay: 'NOON' as never } },
    someone.token,
  )
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }])
})

test('the database refuses a second selection of a workout, by uq_workout_selections_workout_id', async () => {
  const plan = await planner(api, someone, 1)
  await plan.select(1, { timeOfDay: 'MORNING' })
  const insert = w.query(
    `insert into "WorkoutSelection" (id, "workoutId", "updatedAt") values ('another', $1, now())`,
    [plan.local(1)],
  )
  expect(await outcome(insert)).toMatchObject({ code: '23505', constraint: 'uq_workout_selections_workout_id' })
})

test('a selection that was inserted with an id of its own keeps it and can be changed', async () => {
  const plan = await planner(api, someone, 1)
  await w.query(
    `insert into "WorkoutSelection" (id, "workoutId", "currentPlanDay", "updatedAt") values ('17', $1, $2, now())`,
    [plan.local(1), DAY],
  )
  expect(payload(await plan.select(1, { timeOfDay: 'MORNING' })).selection).toMatchObject({
    currentPlanDay: DAY,
    timeOfDay: 'MORNING',
  })
  expect(await selections(w, plan.local(1))).toEqual([{ id: '17', currentPlanDay: DAY, timeOfDay: 'MORNING' }])
  expect(payload(await plan.clear(1))).toMatchObject({ cleared: true })
  expect(await selections(w, plan.local(1))).toEqual([])
})
