import type { ClientBase } from 'pg'
import { type Actor, system } from '../commit/aggregate.ts'
import { commits } from '../commit/commit.ts'
import type { Config } from '../operator/config.ts'
import { connect } from '../database/client.ts'
import { inSession } from '../database/session.ts'
import { registerUser } from '../identity/registerUser.ts'
import { startSession } from '../identity/startSession.ts'
import { hashOf } from '../identity/userAggregate.ts'
import { assignInstructor } from '../learning/assignInstructor.ts'
import { completeLesson } from '../learning/completeLesson.ts'
import type { LessonState } from '../learning/courseAggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { enrollmentOf } from '../learning/id.ts'
import { enroll } from '../learning/enroll.ts'
import { reviseCourse } from '../learning/reviseCourse.ts'
import { levelUp } from '../licensing/levelUp.ts'
import { updateLevel } from '../licensing/updateLevel.ts'
import { fillPlan } from '../planning/fillPlan.ts'
import { updateSelections } from '../planning/updateSelections.ts'

const people = [
  ...['Ada', 'Bao', 'Chidi', 'Dana', 'Emil'].map((name, i) => ({
    token: `demo-learner-${i + 1}`,
    name,
    role: 'LEARNER' as const,
  })),
  { token: 'demo-instructor', name: 'Inés', role: 'INSTRUCTOR' as const },
  { token: 'demo-admin', name: 'Ama', role: 'ADMIN' as const },
]

/** Everybody knows these; they exist in the demo only. */
export const demoTokens: readonly string[] = people.map(({ token }) => token)

/** Whether the demo's users are in the database, and let in by their tokens. */
export const isDemo = (url: string): Promise<boolean> =>
  inSession(url, async (client) => {
    const { rows } = await client.query<{ found: boolean }>(
      'select exists (select from "Session" where "tokenHash" = any($1)) as found',
      [demoTokens.map(hashOf)],
    )
    return rows[0]!.found
  })

/**
 * Whether the demo is to be made: nobody is there, or it was begun and a crash ended it. A demo that was finished stays
 * as people have left it.
 */
export async function lacksDemo(client: Pick<ClientBase, 'query'>): Promise<boolean> {
  const { courseId } = academy[0]!
  const { rows } = await client.query<{ lacks: boolean }>(
    `select not exists (select from "User" where id <> all($1))
      and not exists (select from "Event" where "rootType" = 'Enrollment' and "rootId" = $2 and kind = 'lessonCompleted') as lacks`,
    [demoTokens, enrollmentOf(beginners.at(-1)!, courseId)],
  )
  return rows[0]!.lacks
}

/** The learners who have begun, one after the other: what the last of them has done is made last. */
const beginners = ['demo-learner-2', 'demo-learner-3']

/**
 * A small academy: two courses, an instructor, an admin and five learners, two of whom have begun and one of whom has a
 * training plan; a player and a coach. Safe to repeat.
 */
export async function seedDemo(
  url: string,
  { pool }: Pick<Config, 'pool'>,
  failed: (error: unknown) => void = () => {},
): Promise<void> {
  const db = connect(url, pool)
  const { commit } = commits(db, { watch: { failed } })
  try {
    await Promise.all(
      people.map(({ token, name, role }) =>
        commit(registerUser, { actor: system, input: { userId: token, name, role } }),
      ),
    )
    const expiresAt = new Date(Date.now() + 10 * 365 * 86_400_000).toISOString()
    await Promise.all(
      people.map(({ token }) =>
        commit(startSession, { actor: system, input: { userId: token, tokenHash: hashOf(token), expiresAt } }),
      ),
    )
    for (const course of academy) {
      await commit(reviseCourse, { actor: system, input: course })
      await commit(assignInstructor, { actor: system, input: { courseId: course.courseId, userId: 'demo-instructor' } })
    }
    await commit(fillPlan, { actor: system, input: training })
    const week = training.workouts
      .slice(0, 2)
      .map(({ id }, i) => ({ workoutId: id, currentPlanDay: `2027-03-${29 + i}`, timeOfDay: 'MORNING' as const }))
    // with a key, so that a demo that is begun again leaves alone what somebody has dragged elsewhere
    await commit(updateSelections, {
      actor: { id: training.ownerId, role: 'LEARNER' },
      input: { selections: week },
      key: 'demo',
    })
    const gain = {
      userId: 'demo-learner-2',
      specialization: 'PLAYER',
      xpGained: 320,
      sessionsCompleted: 4,
      reason: 'Spring training',
    }
    await commit(levelUp, { actor: system, key: 'demo-player', input: gain })
    const hired = {
      userId: 'demo-instructor',
      specialization: 'COACH',
      newLevel: 4,
      reason: 'Came with a license of another academy',
    }
    const brought = { xpChange: 1_000, sessionsChange: 12, theoryHoursChange: 40, practiceHoursChange: 62.5 }
    await commit(updateLevel, { actor: system, key: 'demo-coach', input: { ...hired, ...brought } })

    const [sketching] = academy
    const { courseId } = sketching!
    const first = Object.keys(sketching!.lessons)[0]!
    for (const learnerId of beginners) {
      const actor: Actor = { id: learnerId, role: 'LEARNER' }
      await commit(enroll, { actor, input: { learnerId, courseId } })
      await commit(completeLesson, { actor, input: { learnerId, lessonId: first } })
    }
  } finally {
    await db.$disconnect()
  }
}

/** A course of lessons, each with what it requires among those before it. */
function course(
  slug: string,
  title: string,
  description: string,
  lessons: readonly (readonly [slug: string, title: string, requires: readonly string[], exercise: string])[],
) {
  const courseId = idOf(`demo/${slug}`)
  const lessonId = (lesson: string) => `${courseId}.${idOf(lesson)}`
  const states = lessons.map(([lesson, title, requires, exercise], i): [string, LessonState] => {
    const id = lessonId(lesson)
    const contents = {
      [`${id}.${idOf('read')}`]: { position: 1, title: `Read: ${title}`, kind: 'TEXT', active: true },
      [`${id}.${idOf('do')}`]: { position: 2, title: exercise, kind: 'EXERCISE', active: true },
    } as const
    return [id, { slug: lesson, position: i + 1, title, active: true, requires: requires.map(lessonId), contents }]
  })
  return { courseId, slug, title, description, lessons: Object.fromEntries(states) }
}

const academy = [
  course('sketching-with-code', 'Sketching with code', 'Draw, move and react: a first course in creative coding.', [
    ['first-marks', 'First marks', [], 'Draw a house out of four shapes'],
    ['color', 'Color', ['first-marks'], 'Paint a sunset with three colors'],
    ['motion', 'Motion', ['first-marks'], 'Let a ball cross the canvas'],
    ['loops', 'Loops', ['color', 'motion'], 'Fill the sky with a hundred stars'],
    ['input', 'Reacting to people', ['motion'], 'Let a shape follow the pointer'],
    ['portfolio', 'Your portfolio piece', ['loops', 'input'], 'Make something that you would hang on a wall'],
  ]),
  course('goalkeeping', 'Goalkeeping', 'Stance, footwork and handling, for academies.', [
    ['stance', 'The ready stance', [], 'Hold the stance through ten feints'],
    ['footwork', 'Footwork', ['stance'], 'Ladder drill, three rounds'],
    ['handling', 'Handling', ['stance'], 'Forty catches, chest and above'],
    ['diving', 'Diving', ['footwork', 'handling'], 'Ten dives to each side'],
  ]),
]

const planId = idOf('demo/plan')
const training = {
  planId,
  ownerId: 'demo-learner-1',
  title: 'Off-season',
  workouts: [
    ['easy-run', 'Easy run', '20 minutes, so slowly that you could tell a story.'],
    ['ladder', 'Ladder drill', 'Three rounds of two minutes, one minute of rest.'],
    ['strength', 'Strength', '1. Squats, 3 × 12\n2. Rows, 3 × 10\n3. Plank, 3 × 40 seconds'],
    ['catches', 'Forty catches', 'Chest and above, from both sides.'],
  ].map(([name, title, details]) => ({ id: `${planId}.${idOf(name!)}`, title: title!, details: details! })),
}
