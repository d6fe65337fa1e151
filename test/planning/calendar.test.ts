import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { academy } from '../academy.ts'
import { payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'
import { Days, planner } from './planner.ts'

/** Every statement that this process sends to a database: recorded where all of them pass through pg. */
const sent: string[] = []
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [asked] = args as [string | { text?: string }]
  sent.push(typeof asked === 'string' ? asked : (asked.text ?? ''))
  return query.apply(this, args)
} as never
afterAll(() => {
  pg.Client.prototype.query = query as never
})

const w = await world()
const { commit } = w.process()
const { person } = academy(commit)
const api = await serve(w)
const someone = await person()

/** Statements that the server sends by itself. */
const own =
  /e\."lessonsVersion" < c\."lessonsVersion"|^select 1$|pg_current_snapshot|listen|notify|^select epoch as name|system_identifier/i

/** A request's answer and the statements that it sent. */
async function statements<T>(request: () => Promise<T>) {
  sent.length = 0
  const answer = await request()
  return { answer, sent: sent.filter((text) => !own.test(text)) }
}

const days = (id: string, from: string, to: string) =>
  api.get(Days, { id, from, to }, someone.token).then(({ plan }) => plan!.days!)

const WorkoutPage = graphql(`
  query WorkoutPage($id: ID!, $first: Int!) {
    plan(id: $id) { workouts(first: $first) { totalCount edges { node { title details selection { currentPlanDay
    workout { title selection { timeOfDay } } } plan { title } } } } }
  }
`)
const Calendars = graphql(`
  query Calendars($first: Int!) {
    viewer { plans(first: $first) { edges { node { title days(from: "2027-01-01", to: "2027-01-02") { day anytime {
    workout { title details } } } } } } }
  }
`)

test('the calendar has each day of the range, with its workouts by time of day, in the order of the plan', async () => {
  const plan = await planner(api, someone, 8)
  const at: [n: number, day: string | null, time: 'MORNING' | 'AFTERNOON' | 'EVENING' | null][] = [
    [5, '2027-03-29', 'MORNING'],
    [2, '2027-03-29', 'MORNING'],
    [1, '2027-03-29', 'EVENING'],
    [3, '2027-03-31', null],
    [4, '2027-03-31', 'AFTERNOON'],
    [6, '2027-03-28', 'MORNING'],
    [7, '2027-04-01', 'MORNING'],
    [8, null, 'MORNING'],
  ]
  for (const [n, currentPlanDay, timeOfDay] of at) payload(await plan.select(n, { currentPlanDay, timeOfDay }))
  const found = await days(plan.planId, '2027-03-29', '2027-03-31')
  const titles = found.map(({ day, ...slots }) => [
    day,
    ...Object.values(slots).map((all) => all.map(({ workout }) => workout!.title)),
  ])
  expect(titles).toEqual([
    ['2027-03-29', ['Workout 2', 'Workout 5'], [], ['Workout 1'], []],
    ['2027-03-30', [], [], [], []],
    ['2027-03-31', [], ['Workout 4'], [], ['Workout 3']],
  ])
  expect(found[0]!.morning[0]).toEqual({
    ...{ timeOfDay: 'MORNING', currentPlanDay: '2027-03-29' },
    workout: { title: 'Workout 2', details: '', selection: { currentPlanDay: '2027-03-29' } },
  })
})

test('the calendar has no workouts of another plan', async () => {
  const [plan, another] = [await planner(api, someone, 1), await planner(api, someone, 1)]
  payload(await another.select(1, { currentPlanDay: '2027-03-29' }))
  expect((await days(plan.planId, '2027-03-29', '2027-03-29'))[0]!.anytime).toEqual([])
  expect((await days(another.planId, '2027-03-29', '2027-03-29'))[0]!.anytime).toHaveLength(1)
})

describe('a range', () => {
  test.each([
    ['2028-01-01', '2028-12-31', 366],
    ['2027-02-27', '2027-03-02', 4],
    ['2027-03-28', '2027-03-29', 2],
    ['0001-01-01', '0001-01-02', 2],
    ['9999-12-31', '9999-12-31', 1],
  ])('from %s to %s has %i days, each once, also where clocks change', async (from, to, count) => {
    const plan = await planner(api, someone, 1)
    payload(await plan.select(1, { currentPlanDay: to }))
    const found = await days(plan.planId, from, to)
    expect(found.map(({ day }) => day)).toEqual([...new Set(found.map(({ day }) => day))].sort())
    expect([found.length, found[0]!.day, found.at(-1)!.day]).toEqual([count, from, to])
    expect(found.at(-1)!.anytime).toHaveLength(1)
  })

  test.each([
    ['backwards', '2027-03-29', '2027-03-28', 'INVALID_INPUT', /to \(2027-03-28\) is before from \(2027-03-29\)/],
    ['of 367 days', '2027-01-01', '2028-01-02', 'INVALID_INPUT', /has 367 days. Wanted are 366 at most/],
    ['of 10,000 years', '0001-01-01', '9999-12-31', 'INVALID_INPUT', /has 3,652,059 days/],
    ['from a day that does not exist', '2027-02-30', '2027-03-01', 'BAD_REQUEST', /"2027-02-30" is no day/],
    ['from a year that does not exist', '-001-01-01', '2027-03-01', 'BAD_REQUEST', /is no day/],
  ])('%s gets an error with a code and a message', async (_, from, to, code, message) => {
    const plan = await planner(api, someone, 1)
    const { errors } = await api.ask(Days, { id: plan.planId, from, to }, someone.token)
    expect(errors).toMatchObject([{ message: expect.stringMatching(message), extensions: { code } }])
  })
})

describe('the number of statements', () => {
  test('is the same for the calendar of a day and of a year with two hundred workouts', async () => {
    const plan = await planner(api, someone, 0)
    const ids: string[] = []
    for (let i = 0; i < 2; i++)
      ids.push(
        ...payload(await plan.add(Array.from({ length: 100 }, (_, n) => ({ title: `${i} ${n}` })))).workouts.map(
          ({ id }) => id,
        ),
      )
    payload(
      await plan.selectAll(
        ids.map((workoutId, i) => ({
          workoutId,
          currentPlanDay: new Date(Date.UTC(2028, 0, 1 + i)).toISOString().slice(0, 10),
          timeOfDay: i % 2 ? 'MORNING' : null,
        })),
      ),
    )
    await days(plan.planId, '2028-01-01', '2028-01-01')
    const day = await statements(() => days(plan.planId, '2028-01-01', '2028-01-01'))
    const year = await statements(() => days(plan.planId, '2028-01-01', '2028-12-31'))
    expect(year.answer.flatMap(({ morning, anytime }) => [...morning, ...anytime])).toHaveLength(200)
    expect(year.sent).toHaveLength(day.sent.length)
    expect(year.sent.filter((text) => /"WorkoutSelection"/.test(text))).toHaveLength(1)
    expect(year.sent).toHaveLength(3) // the session, the plan, its days
  })

  test('is the same for five workouts with their selections and for fifty', async () => {
    const plan = await planner(api, someone, 50)
    payload(await plan.selectAll(plan.ids.map((workoutId) => ({ workoutId, currentPlanDay: '2027-03-29' }))))
    const page = (first: number) => statements(() => api.get(WorkoutPage, { id: plan.planId, first }, someone.token))
    await page(1)
    const [five, fifty] = [await page(5), await page(50)]
    expect(fifty.answer.plan!.workouts!.edges).toHaveLength(50)
    expect(fifty.answer.plan!.workouts!.edges[49]!.node).toMatchObject({
      selection: { workout: { title: 'Workout 50' } },
      plan: { title: 'Off-season' },
    })
    expect(fifty.sent).toHaveLength(five.sent.length)
    expect(fifty.sent.length).toBeLessThanOrEqual(6)
  })

  test('is the same for the calendars of one plan and of ten', async () => {
    for (let i = 0; i < 10; i++) await planner(api, someone, 1)
    const page = (first: number) => statements(() => api.get(Calendars, { first }, someone.token))
    await page(1)
    const [one, ten] = [await page(1), await page(10)]
    expect(ten.answer.viewer!.plans!.edges).toHaveLength(10)
    expect(ten.sent).toHaveLength(one.sent.length)
  })
})
