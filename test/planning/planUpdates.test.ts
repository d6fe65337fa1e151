import { expect, test } from 'vitest'
import { fillPlan } from '../../src/planning/fillPlan.ts'
import { academy, system } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { expectPlanWhole, planner } from './planner.ts'
import { world } from '../world.ts'
import { socketClient, subscribe, subscribeEvents } from '../live/client.ts'

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const [api, other] = [await serve(w), await serve(w)]

const PLAN = `
  subscription WatchPlan($id: ID!, $after: Cursor) {
    planUpdates(planId: $id, after: $after) {
      __typename
      ... on PlanSnapshot { reason cursor version plan { id version title } workouts { ...Shown } }
      ... on PlanChange {
        kind cursor version occurredAt actorId
        plan { id version title } workouts { ...Shown } removedWorkoutIds
      }
      ... on SubscriberTooSlow { cursor message }
    }
  }
  fragment Shown on Workout { id position title details selection { currentPlanDay timeOfDay } }`

interface Update {
  readonly __typename: string
  readonly cursor: string
  readonly version: number
  readonly why?: string
  readonly kind?: string
  readonly actorId?: string | null
  readonly plan: { readonly id: string; readonly version: number }
  readonly workouts: readonly {
    readonly id: string
    readonly title: string
    readonly details: string
    readonly selection: { readonly currentPlanDay: string | null; readonly timeOfDay: string | null } | null
  }[]
  readonly removedWorkoutIds?: readonly string[]
}

/** Watches a plan; `items` resolves with the first `count` items. */
function watch(url: string, token: string, id: string, after?: string, transport = 'WebSocket') {
  const client = socketClient(url, token)
  const variables = { id, after }
  const stream =
    transport === 'WebSocket'
      ? subscribe<{ planUpdates: Update }>(client, PLAN, variables)
      : subscribeEvents<{ planUpdates: Update }>(url, PLAN, variables, token)
  return {
    stream,
    items: (count: number) => stream.until(count).then((items) => items.map(({ planUpdates }) => planUpdates)),
    async stop() {
      stream.stop()
      await client.dispose()
    },
  }
}

test.each(['WebSocket', 'server-sent events'])(
  'over %s: first the whole plan, then each change with its workouts, as committed and in order',
  async (transport) => {
    const someone = await person()
    const plan = await planner(api, someone, [{ title: 'Run', details: '5 km' }, { title: 'Swim' }])
    payload(await plan.select(2, { timeOfDay: 'EVENING' }))
    const watching = watch(api.url, someone.token, plan.planId, undefined, transport)
    await watching.items(1)

    payload(await plan.select(1, { currentPlanDay: '2027-03-29', timeOfDay: 'MORNING' }))
    payload(await plan.select(1, { timeOfDay: null }, {}, other))
    payload(await plan.selectAll([2, 1].map((n) => ({ workoutId: plan.workout(n), currentPlanDay: '2027-04-01' }))))
    payload(await plan.rename(2, 'Swim far'))
    payload(await plan.clear(1))
    payload(await plan.remove(1))
    const { workouts } = payload(await plan.add([{ title: 'Row', details: '20 min' }]))
    await commit(fillPlan, {
      actor: system,
      input: {
        planId: plan.planLocalId,
        ownerId: someone.id,
        title: '',
        workouts: [{ id: plan.local(2), title: 'Swim', details: 'in a lake' }],
      },
    })

    const [first, ...changes] = await watching.items(9)
    expect(first).toMatchObject({
      ...{
        __typename: 'PlanSnapshot',
        reason: 'INITIAL',
        version: 3,
        plan: { id: plan.planId, version: 3, title: 'Off-season' },
      },
      workouts: [
        { id: plan.workout(1), position: 1, title: 'Run', details: '5 km', selection: null },
        {
          id: plan.workout(2),
          position: 2,
          title: 'Swim',
          details: '',
          selection: { currentPlanDay: null, timeOfDay: 'EVENING' },
        },
      ],
    })
    expect(changes.map(({ version, plan }) => [version, plan.version])).toEqual(
      [4, 5, 6, 7, 8, 9, 10, 11].map((version) => [version, version]),
    )
    const me = globalId('User', someone.id)
    expect(changes.map(({ kind, actorId }) => [kind, actorId])).toEqual([
      ['SELECTIONS_UPDATED', me],
      ['SELECTIONS_UPDATED', me],
      ['SELECTIONS_UPDATED', me],
      ['WORKOUT_RENAMED', me],
      ['SELECTION_CLEARED', me],
      ['WORKOUT_REMOVED', me],
      ['WORKOUTS_ADDED', me],
      ['WORKOUTS_REVISED', null],
    ])
    const touched = changes.map(({ workouts, removedWorkoutIds }) => [
      ...workouts.map(({ title, selection }) => [
        title,
        selection?.currentPlanDay ?? null,
        selection?.timeOfDay ?? null,
      ]),
      ...removedWorkoutIds!,
    ])
    expect(touched).toEqual([
      [['Run', '2027-03-29', 'MORNING']],
      [['Run', '2027-03-29', null]],
      [
        ['Run', '2027-04-01', null],
        ['Swim', '2027-04-01', 'EVENING'],
      ],
      [['Swim far', '2027-04-01', 'EVENING']],
      [['Run', null, null]],
      [plan.workout(1)],
      [['Row', null, null]],
      [['Swim', '2027-04-01', 'EVENING']],
    ])
    expect(changes[6]!.workouts).toMatchObject([{ id: workouts[0]!.id, details: '20 min' }])
    expect(changes[7]!.workouts).toMatchObject([{ details: 'in a lake' }])
    await watching.stop()
    await expectPlanWhole(w, plan.planLocalId)
  },
)

test(
  'after a cursor, also a mutation’s and at the other process, come the changes since and then ' + 'live ones',
  async () => {
    const someone = await person()
    const plan = await planner(api, someone, 2)
    const { cursor } = payload(await plan.select(1, { currentPlanDay: '2027-03-29' }))
    for (const day of ['2027-03-30', '2027-03-31']) payload(await plan.select(1, { currentPlanDay: day }))
    payload(await plan.remove(2))
    const watching = watch(other.url, someone.token, plan.planId, cursor as string)
    const missed = await watching.items(3)
    expect(missed.map(({ __typename, version }) => [__typename, version])).toEqual(
      [4, 5, 6].map((version) => ['PlanChange', version]),
    )
    expect(missed.slice(0, 2).map(({ workouts }) => workouts[0]!.selection!.currentPlanDay)).toEqual([
      '2027-03-30',
      '2027-03-31',
    ])
    payload(await plan.select(1, { timeOfDay: 'EVENING' }))
    expect((await watching.items(4))[3]).toMatchObject({
      version: 7,
      workouts: [{ selection: { currentPlanDay: '2027-03-31', timeOfDay: 'EVENING' } }],
    })
    await watching.stop()

    const again = watch(api.url, someone.token, plan.planId, missed[2]!.cursor)
    expect((await again.items(1)).map(({ version }) => version)).toEqual([7])
    await again.stop()
  },
)

test('two subscribers receive each of many concurrent changes once, and end up with what is stored', async () => {
  const someone = await person()
  const plan = await planner(api, someone, 5)
  const watching = [watch(api.url, someone.token, plan.planId), watch(other.url, someone.token, plan.planId)]
  for (const { items } of watching) await items(1)
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      plan.select(
        (i % 5) + 1,
        i % 2
          ? { timeOfDay: (['MORNING', 'EVENING'] as const)[(i >> 1) % 2] }
          : { currentPlanDay: `2027-03-${10 + (i % 20)}` },
        {},
        i % 3 ? api : other,
      ),
    ),
  )
  const { length } = await expectPlanWhole(w, plan.planLocalId)
  const stored = await w.query(
    `select w.id, "currentPlanDay"::text as day, "timeOfDay"::text as time
     from "Workout" w join "WorkoutSelection" s on s."workoutId" = w.id where w."planId" = $1 order by position`,
    [plan.planLocalId],
  )
  for (const { items, stop } of watching) {
    const all = await items(length - 1)
    expect(all.map(({ version }) => version)).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 2))
    const now = new Map(all.flatMap(({ workouts }) => workouts.map(({ id, selection }) => [id, selection])))
    expect(
      plan.ids.map((id, i) => ({
        id: plan.local(i + 1),
        day: now.get(id)!.currentPlanDay,
        time: now.get(id)!.timeOfDay,
      })),
    ).toEqual(stored)
    await stop()
  }
})

test('an admin can follow a plan; deleting its owner ends the owner’s and the admin’s streams', async () => {
  const [someone, admin] = [await person(), await person('ADMIN')]
  const plan = await planner(api, someone, 1)
  const [own, theirs] = [watch(api.url, someone.token, plan.planId), watch(api.url, admin.token, plan.planId)]
  await Promise.all([own.items(1), theirs.items(1)])
  payload(await plan.select(1, { timeOfDay: 'MORNING' }))
  await Promise.all([own.items(2), theirs.items(2)])
  await w.query('delete from "User" where id = $1', [someone.id])
  await Promise.all([own.stream.end(20_000), theirs.stream.end(20_000)])
  expect(own.stream.items).toHaveLength(2)
  await Promise.all([own.stop(), theirs.stop()])
}, 30_000)

test('a cursor of another plan is refused with a message', async () => {
  const someone = await person()
  const [plan, another] = [await planner(api, someone, 1), await planner(api, someone, 1)]
  const { cursor } = payload(await another.select(1, { timeOfDay: 'MORNING' }))
  const watching = watch(api.url, someone.token, plan.planId, cursor as string)
  await watching.stream.end()
  expect(watching.stream.errors).toMatchObject([
    [{ message: expect.stringMatching(/after is a cursor of something else/), extensions: { code: 'INVALID_INPUT' } }],
  ])
  await watching.stop()
})
