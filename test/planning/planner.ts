import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { plans } from '../../src/planning/planAggregate.ts'
import type { PlanEvent } from '../../src/planning/planState.ts'
import type { Person } from '../academy.ts'
import { type client, localIdOf, payload } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import type { SelectionInput, WorkoutInput } from '../generated/graphql.ts'
import { type Journaled, sorted, stored, type world } from '../world.ts'

type World = Pick<Awaited<ReturnType<typeof world>>, 'query' | 'history'>
type Api = Pick<ReturnType<typeof client>, 'get' | 'ask'>

export const CreatePlan = graphql(`
  mutation CreatePlan($input: CreatePlanInput!) {
    createPlan(input: $input) {
      __typename
      ... on CreatePlanPayload { version cursor replayed plan { id version title createdAt owner { id } } }
      ... on DomainError { code message }
      ... on InvalidInput { field }
    }
  }
`)
export const AddWorkouts = graphql(`
  mutation AddWorkouts($input: AddWorkoutsInput!) {
    addWorkouts(input: $input) {
      __typename
      ... on AddWorkoutsPayload { version cursor replayed plan { id version } workouts { id position title details
      selection { id } } }
      ... on DomainError { code message }
      ... on InvalidInput { field }
    }
  }
`)
export const RenameWorkout = graphql(`
  mutation RenameWorkout($input: RenameWorkoutInput!) {
    renameWorkout(input: $input) {
      __typename
      ... on RenameWorkoutPayload { version cursor replayed plan { id version } workout { id title details } }
      ... on DomainError { code message }
      ... on InvalidInput { field }
    }
  }
`)
export const RemoveWorkout = graphql(`
  mutation RemoveWorkout($input: RemoveWorkoutInput!) {
    removeWorkout(input: $input) {
      __typename
      ... on RemoveWorkoutPayload { version cursor replayed removedWorkoutId plan { id version workouts { totalCount }
      } }
      ... on DomainError { code message }
    }
  }
`)
export const UpdateSelection = graphql(`
  mutation UpdateSelection($input: UpdateSelectionInput!) {
    updateSelection(input: $input) {
      __typename
      ... on UpdateSelectionPayload {
        version cursor replayed
        plan { id version title }
        workout { id title selection { currentPlanDay timeOfDay } }
        selection { id currentPlanDay timeOfDay updatedAt workout { id } }
      }
      ... on DomainError { code message }
      ... on InvalidInput { field }
      ... on WorkoutNotFound { workoutId }
      ... on VersionConflict { expectedVersion currentVersion current { __typename id ... on Plan { version title } } }
    }
  }
`)
export const UpdateSelections = graphql(`
  mutation UpdateSelections($input: UpdateSelectionsInput!) {
    updateSelections(input: $input) {
      __typename
      ... on UpdateSelectionsPayload { version cursor replayed plan { id version } workouts { id selection {
      currentPlanDay timeOfDay } } }
      ... on DomainError { code message }
      ... on InvalidInput { field }
      ... on WorkoutNotFound { workoutId }
    }
  }
`)
export const ClearSelection = graphql(`
  mutation ClearSelection($input: ClearSelectionInput!) {
    clearSelection(input: $input) {
      __typename
      ... on ClearSelectionPayload { version cursor replayed cleared plan { id version } workout { id selection { id }
      } }
      ... on DomainError { code message }
    }
  }
`)
export const Days = graphql(`
  query Days($id: ID!, $from: LocalDate!, $to: LocalDate!) {
    plan(id: $id) { days(from: $from, to: $to) { day ...Slots } }
  }
  fragment Slots on PlanDay {
    morning { ...Slot } afternoon { ...Slot } evening { ...Slot } anytime { ...Slot }
  }
  fragment Slot on WorkoutSelection { timeOfDay currentPlanDay workout { title details selection { currentPlanDay } } }
`)

/** What every input may have. */
interface More {
  readonly idempotencyKey?: string
  readonly expectedVersion?: number
}

/** Creates a person's plan with workouts (a number of them, or these), and returns its requests. Ids are global ids. */
export async function planner(api: Api, { token, id }: Person, workouts: number | WorkoutInput[] = 1) {
  const made = payload(
    (await api.get(CreatePlan, { input: { title: 'Off-season', idempotencyKey: randomUUID() } }, token)).createPlan,
  )
  const planId = made.plan.id
  const wanted =
    typeof workouts === 'number'
      ? Array.from({ length: workouts }, (_, i) => ({ title: `Workout ${i + 1}` }))
      : workouts
  const ids = wanted.length
    ? payload(
        (await api.get(AddWorkouts, { input: { planId, workouts: wanted, idempotencyKey: randomUUID() } }, token))
          .addWorkouts,
      ).workouts.map(({ id }) => id)
    : []
  return {
    ...{ ownerId: id, token, planId, planLocalId: localIdOf(planId), ids },
    workout: (n: number) => ids[n - 1]!,
    local: (n: number) => localIdOf(ids[n - 1]!),
    select: (n: number, wanted: Omit<SelectionInput, 'workoutId'>, more: More = {}, by: Api = api) =>
      by
        .get(UpdateSelection, { input: { workoutId: ids[n - 1]!, ...wanted, ...more } }, token)
        .then(({ updateSelection }) => updateSelection),
    selectAll: (selections: SelectionInput[], more: More = {}, by: Api = api) =>
      by
        .get(UpdateSelections, { input: { selections, ...more } }, token)
        .then(({ updateSelections }) => updateSelections),
    clear: (n: number, more: More = {}) =>
      api
        .get(ClearSelection, { input: { workoutId: ids[n - 1]!, ...more } }, token)
        .then(({ clearSelection }) => clearSelection),
    remove: (n: number, more: More = {}) =>
      api
        .get(RemoveWorkout, { input: { workoutId: ids[n - 1]!, ...more } }, token)
        .then(({ removeWorkout }) => removeWorkout),
    rename: (n: number, title: string, more: More = {}) =>
      api
        .get(RenameWorkout, { input: { workoutId: ids[n - 1]!, title, ...more } }, token)
        .then(({ renameWorkout }) => renameWorkout),
    add: (workouts: WorkoutInput[], more: More = {}) =>
      api
        .get(AddWorkouts, { input: { planId, workouts, idempotencyKey: randomUUID(), ...more } }, token)
        .then(({ addWorkouts }) => addWorkouts),
  }
}

/** The stored selections of a workout, by its local id. */
export const selections = ({ query }: World, workoutId: string) =>
  query<{ id: string; currentPlanDay: string | null; timeOfDay: string | null }>(
    `select id, "currentPlanDay"::text as "currentPlanDay", "timeOfDay"::text as "timeOfDay"
     from "WorkoutSelection" where "workoutId" = $1`,
    [workoutId],
  )

/**
 * Expects of a plan (by its local id) that its versions are dense, that its history folds to its rows, and that each
 * event's view is the state after it. Returns the history.
 */
export async function expectPlanWhole(w: World, id: string): Promise<Journaled[]> {
  const history = await w.history('Plan', id)
  expect(
    history.map(({ version }) => version),
    'versions are dense',
  ).toEqual(history.map((_, i) => i + 1))
  let state = plans.blank(id)
  for (const { version, kind, data, view, at, topic } of history) {
    const event = { kind, ...data } as PlanEvent
    state = { ...plans.evolve(state, event, at.toISOString()), version }
    expect(JSON.parse(JSON.stringify(plans.view(state, event))), `the view of version ${version}`).toEqual(view)
    expect(topic).toBe(`Plan:${id}`)
  }
  const rows = plans.rows(state)
  const { aggregate: _, ...above } = await stored(
    (text, values) => w.query(text, values),
    plans,
    { Plan: [], Workout: [] },
    { Plan: ['id', id], Workout: ['planId', id] },
  )
  const below = await w.query<{ row: object }>(
    `select to_jsonb(s) as row from "WorkoutSelection" s join "Workout" w on w.id = s."workoutId"
     where w."planId" = $1`,
    [id],
  )
  const now = { ...above, ...sorted({ WorkoutSelection: below.map(({ row }) => row as never) }) }
  expect(now, 'history folds to the rows').toEqual(
    history.length ? sorted(rows) : { Plan: [], Workout: [], WorkoutSelection: [] },
  )
  return history
}

/** The kinds of the events, in order. */
export const kinds = (history: readonly Journaled[]) => history.map(({ kind }) => kind)
