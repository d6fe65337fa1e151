import { builder } from '../api/builder.ts'
import type { Context, Load } from '../api/context.ts'
import { InvalidInput } from '../commit/errors.ts'
import { sql } from '../database/client.ts'
import type { WorkoutSelection as SelectionRow, Workout as WorkoutRow } from '../generated/prisma/client.ts'
import { midnight, type ShownSelection, WorkoutSelection } from './selection.ts'

/** The most days in one calendar: a leap year. */
const MOST_DAYS = 366
const DAY = 86_400_000

/** A day of a plan's calendar, with the selections of that day. */
interface Day {
  readonly day: string
  readonly selections: readonly ShownSelection[]
}

/** A day of a plan's calendar, by time of day. */
export const PlanDay = builder.objectRef<Day>('PlanDay').implement({
  description: 'A day of a plan’s calendar. Within a time of day, workouts are in the order of the plan.',
  fields: (t) => {
    const at = (time: SelectionRow['timeOfDay'], when: string) =>
      t.field({
        type: [WorkoutSelection],
        description: `The workouts scheduled for ${when}.`,
        resolve: ({ selections }) => selections.filter(({ timeOfDay }) => timeOfDay === time),
      })
    return {
      day: t.expose('day', { type: 'LocalDate', description: 'The date of this day.' }),
      morning: at('MORNING', 'the morning'),
      afternoon: at('AFTERNOON', 'the afternoon'),
      evening: at('EVENING', 'the evening'),
      anytime: at(null, 'this day without a time of day'),
    }
  },
})

/** Returns each day of a plan from `from` to `to`, days without workouts included. Throws InvalidInput. */
export async function calendar(planId: string, from: string, to: string, context: Context): Promise<Day[]> {
  const [first, last] = [midnight(from).getTime(), midnight(to).getTime()]
  const count = (last - first) / DAY + 1
  if (count < 1)
    throw new InvalidInput('to', `to (${to}) is before from (${from}). Wanted is the same day or a later one.`)
  if (count > MOST_DAYS)
    throw new InvalidInput(
      'to',
      `From ${from} to ${to}, the calendar has ${count.toLocaleString('en')} days. Wanted are ${MOST_DAYS} at most.`,
    )
  const byDay = new Map<number, ShownSelection[]>()
  for (const selection of await context.load(selectedBetween, { planId, from, to })) {
    const day = selection.currentPlanDay!.getTime()
    byDay.set(day, [...(byDay.get(day) ?? []), selection])
  }
  return Array.from({ length: count }, (_, i) => {
    const day = first + i * DAY
    return { day: new Date(day).toISOString().slice(0, 10), selections: byDay.get(day) ?? [] }
  })
}

interface Range {
  readonly planId: string
  readonly from: string
  readonly to: string
}

/** The selections of plans in ranges of days, with their workouts: one query, however many plans and days. */
const selectedBetween: Load<Range, ShownSelection[]> = async (ranges, { db }) => {
  const found = await db.$queryRaw<
    (WorkoutRow & Omit<SelectionRow, 'id'> & { range: number; selectionId: string })[]
  >(sql`
    select x.i::int as range, w.*,
      s.id as "selectionId", s."workoutId", s."currentPlanDay", s."timeOfDay"::text as "timeOfDay", s."updatedAt"
    from unnest(
      ${ranges.map(({ planId }) => planId)}::text[],
      ${ranges.map(({ from }) => from)}::date[],
      ${ranges.map(({ to }) => to)}::date[]) with ordinality as x (p, a, b, i)
    join "Workout" w on w."planId" = x.p
    join "WorkoutSelection" s on s."workoutId" = w.id and s."currentPlanDay" between x.a and x.b
    order by w.position, w.id`)
  const shown: ShownSelection[][] = ranges.map(() => [])
  for (const { range, selectionId, workoutId, currentPlanDay, timeOfDay, updatedAt, ...row } of found) {
    const selection = { id: selectionId, workoutId, currentPlanDay, timeOfDay, updatedAt }
    const workout = Object.assign(row, { selection })
    shown[range - 1]!.push({ ...selection, workout })
  }
  return shown
}
