import { expect, test } from 'vitest'
import { academy, type Person } from '../academy.ts'
import { globalId, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { socketClient, subscribe } from '../live/client.ts'
import { world } from '../world.ts'
import {
  AddWorkouts,
  ClearSelection,
  expectPlanWhole,
  planner,
  RemoveWorkout,
  RenameWorkout,
  UpdateSelection,
  UpdateSelections,
} from './planner.ts'

const w = await world()
const { commit } = w.process()
const { person, course, teach } = academy(commit)
const api = await serve(w)

const PlanById = graphql(`query PlanById($id: ID!) { plan(id: $id) { id title workouts { totalCount } } }`)
const PlanNodes = graphql(`query PlanNodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`)
const PlansOf = graphql(
  `query PlansOf($id: ID!) { node(id: $id) { ... on User { name plans { totalCount edges { node { id } } } } } }`,
)

const [owner, stranger, teacher, admin] = await Promise.all([person(), person(), person('INSTRUCTOR'), person('ADMIN')])
const taken = await course(1)
await teach(taken.id, teacher)
payload(await api.enroll(owner.token, taken.id))
const plan = await planner(api, owner, 2)
payload(await plan.select(1, { currentPlanDay: '2027-03-29' }))
const selectionId = globalId('WorkoutSelection', plan.local(1))

/** The ids that a person sees of the plan, by each query that could return them. */
async function seen({ token }: Person) {
  const { plan: found } = await api.get(PlanById, { id: plan.planId }, token)
  const { nodes } = await api.get(PlanNodes, { ids: [plan.planId, plan.workout(1), selectionId] }, token)
  return [found?.id, ...nodes!.map((node) => node?.id)].map((id) => id ?? null)
}

test('only the owner and admins see a plan, its workouts and their selections', async () => {
  for (const viewer of [owner, admin])
    expect(await seen(viewer)).toEqual([plan.planId, plan.planId, plan.workout(1), selectionId])
  for (const viewer of [stranger, teacher]) expect(await seen(viewer)).toEqual([null, null, null, null])
})

test('only the user and admins may list a user’s plans; a teacher who sees the user gets an error', async () => {
  const id = globalId('User', owner.id)
  for (const { token } of [owner, admin])
    expect((await api.get(PlansOf, { id }, token)).node).toMatchObject({
      plans: { totalCount: 1, edges: [{ node: { id: plan.planId } }] },
    })
  const { data, errors } = await api.ask(PlansOf, { id }, teacher.token)
  expect(data.node).toEqual({ name: 'learner', plans: null })
  expect(errors).toMatchObject([{ path: ['node', 'plans'], extensions: { code: 'FORBIDDEN' } }])
})

test('only the owner changes a plan; to others, admins too, the answer is as if it did not exist', async () => {
  const before = await expectPlanWhole(w, plan.planLocalId)
  const none = { plan: globalId('Plan', 'none'), workout: globalId('Workout', 'none.none') }
  for (const { token } of [stranger, teacher, admin]) {
    const ask = async (planId: string, workoutId: string, more: { expectedVersion?: number } = {}) => [
      (
        await api.get(
          AddWorkouts,
          { input: { planId, workouts: [{ title: 'x' }], idempotencyKey: 'k', ...more } },
          token,
        )
      ).addWorkouts,
      (await api.get(UpdateSelection, { input: { workoutId, timeOfDay: 'MORNING', ...more } }, token)).updateSelection,
      (
        await api.get(
          UpdateSelections,
          { input: { selections: [{ workoutId, timeOfDay: 'MORNING' }], ...more } },
          token,
        )
      ).updateSelections,
      (await api.get(ClearSelection, { input: { workoutId, ...more } }, token)).clearSelection,
      (await api.get(RenameWorkout, { input: { workoutId, title: 'x', ...more } }, token)).renameWorkout,
      (await api.get(RemoveWorkout, { input: { workoutId, ...more } }, token)).removeWorkout,
    ]
    const refused = await ask(plan.planId, plan.workout(1))
    expect(refused.map(({ __typename }) => __typename)).toEqual(['PlanNotFound', ...Array(5).fill('WorkoutNotFound')])
    const sameAs = (answers: readonly object[]) => answers.map((answer) => ({ ...answer, workoutId: undefined }))
    expect(sameAs(await ask(none.plan, none.workout))).toEqual(sameAs(refused))
    expect(sameAs(await ask(plan.planId, plan.workout(1), { expectedVersion: 1 }))).toEqual(sameAs(refused))
  }
  expect(await expectPlanWhole(w, plan.planLocalId)).toHaveLength(before.length)
})

test('a key of the owner’s does not give others the owner’s answer', async () => {
  payload(await plan.select(2, { timeOfDay: 'EVENING' }, { idempotencyKey: 'owner' }))
  const { updateSelection } = await api.get(
    UpdateSelection,
    { input: { workoutId: plan.workout(2), timeOfDay: 'EVENING', idempotencyKey: 'owner' } },
    stranger.token,
  )
  expect(updateSelection.__typename).toBe('WorkoutNotFound')
})

test('nobody else can follow a plan; the error is the same as for a plan that does not exist', async () => {
  const errors: unknown[] = []
  for (const [{ token }, id] of [
    [stranger, plan.planId],
    [teacher, plan.planId],
    [stranger, globalId('Plan', 'none')],
    [admin, globalId('Plan', 'none')],
  ] as const) {
    const client = socketClient(api.url, token)
    const stream = subscribe(client, 'subscription ($id: ID!) { planUpdates(planId: $id) { __typename } }', { id })
    await stream.end()
    expect(stream.items).toEqual([])
    errors.push(stream.errors)
    await client.dispose()
  }
  expect(errors[0]).toMatchObject([
    [{ message: 'There is no such plan, or you may not see it.', extensions: { code: 'NOT_FOUND' } }],
  ])
  for (const one of errors) expect(JSON.stringify(one)).toBe(JSON.stringify(errors[0]))
})

test('without a token, every request is refused', async () => {
  const { errors } = await api.ask(PlanById, { id: plan.planId })
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
  const { updateSelection } = await api.get(UpdateSelection, { input: { workoutId: plan.workout(1) } }, undefined)
  expect(updateSelection.__typename).toBe('Unauthenticated')
})
