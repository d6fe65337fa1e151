import type { GraphiQLOptions } from 'graphql-yoga'
import { idOf } from '../commit/derivedId.ts'
import { enrollmentOf } from '../learning/id.ts'

const globalId = (typename: string, id: string) => Buffer.from(`${typename}:${id}`).toString('base64')
const course = idOf('demo/sketching-with-code')
const firstMarks = `${course}.${idOf('first-marks')}`
const plan = idOf('demo/plan')
const strength = `${plan}.${idOf('strength')}`

const tab = (token: string, query: string, variables?: object) => ({
  headers: JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2),
  query: query.trim(),
  variables: variables ? JSON.stringify(variables, null, 2) : null,
})

/** Examples that run as they stand, from top to bottom, with the demo's tokens. */
export const examples = [
  tab(
    'demo-learner-1',
    `
# Welcome to Lockstep. Each tab is an example that runs
# as it stands (▶ or Ctrl-Enter), with one of the demo's
# tokens among the headers below.
# This one: who am I, and which courses are there?
query Catalog {
  viewer {
    name
    role
    enrollments { edges { node { percent course { title } } } }
  }
  courses {
    totalCount
    edges { node { id slug title description lessons { totalCount } } }
  }
}`,
  ),
  tab(
    'demo-learner-1',
    `
# Enroll. A second time it is a success that changes nothing.
mutation Enroll($input: EnrollInput!) {
  enroll(input: $input) {
    __typename
    ... on EnrollPayload { version replayed enrollment { id percent availableLessons { id title } } }
    ... on DomainError { code message }
  }
}`,
    { input: { courseId: globalId('Course', course), idempotencyKey: 'tour-enroll' } },
  ),
  tab(
    'demo-learner-1',
    `
# Complete a lesson. Run it twice: the second answer is
# the first one's, replayed. Change the key among the
# variables: alreadyCompleted.
mutation Complete($input: CompleteLessonInput!) {
  completeLesson(input: $input) {
    __typename
    ... on CompleteLessonPayload {
      version replayed alreadyCompleted courseCompleted
      lessonProgress { status completedAt }
      enrollment { completed total percent availableLessons { title } }
    }
    ... on PrerequisiteNotMet { message lessons { title } }
    ... on DomainError { code message }
  }
}`,
    { input: { lessonId: globalId('Lesson', firstMarks), idempotencyKey: 'tour-complete-1' } },
  ),
  tab(
    'demo-learner-1',
    `
# Begin again. What was completed stays in the history;
# a late retry of the tab before does not undo this.
mutation Reset($input: ResetProgressInput!) {
  resetProgress(input: $input) {
    __typename
    ... on ResetProgressPayload { message reset version lessonProgress { status resets } enrollment { percent } }
    ... on DomainError { code message }
  }
}`,
    { input: { target: { lessonId: globalId('Lesson', firstMarks) } } },
  ),
  tab(
    'demo-learner-2',
    `
# Live: run this and leave it running; run the next tab
# in another window. Each change arrives here as it is
# committed. Whoever loses the connection comes back with
# the last cursor as $after, and misses none.
subscription Watch($enrollmentId: ID!, $after: Cursor) {
  enrollmentUpdates(enrollmentId: $enrollmentId, after: $after) {
    __typename
    ... on EnrollmentSnapshot {
      why cursor version
      enrollment { completed total percent }
      lessons { id status }
    }
    ... on EnrollmentChange {
      kind cursor version occurredAt
      enrollment { completed total percent }
      lesson { id status }
    }
    ... on StreamLagging { cursor message }
  }
}`,
    { enrollmentId: globalId('Enrollment', enrollmentOf('demo-learner-2', course)) },
  ),
  tab(
    'demo-learner-2',
    `
# Something to watch: completes a lesson, and resets it.
mutation MoveOn($lessonId: ID!) {
  completeLesson(input: { lessonId: $lessonId }) {
    __typename
    ... on CompleteLessonPayload { version cursor enrollment { percent } }
    ... on DomainError { code message }
  }
  resetProgress(input: { target: { lessonId: $lessonId } }) {
    __typename
    ... on ResetProgressPayload { version cursor enrollment { percent } }
    ... on DomainError { code message }
  }
}`,
    { lessonId: globalId('Lesson', `${course}.${idOf('color')}`) },
  ),
  tab(
    'demo-learner-1',
    `
# A training plan. One drop in a calendar sets the day and
# the time of day. Leave one of them out among the
# variables: it stays as it is. Make it null: it is taken
# back. Two at once, one with the day and one with the
# time, are one selection with both.
mutation Select($input: UpdateSelectionInput!) {
  updateSelection(input: $input) {
    __typename
    ... on UpdateSelectionPayload {
      version cursor
      selection { currentPlanDay timeOfDay updatedAt }
      plan {
        title
        days(from: "2027-03-29", to: "2027-04-04") {
          day
          morning { workout { title } } afternoon { workout { title } } evening { workout { title } } anytime { workout { title } }
        }
      }
    }
    ... on DomainError { code message }
  }
}`,
    { input: { workoutId: globalId('Workout', strength), currentPlanDay: '2027-03-31', timeOfDay: 'EVENING' } },
  ),
  tab(
    'demo-learner-1',
    `
# Live: the plan on another screen. Run this, leave it
# running, and drag with the tab before in another window.
subscription Plan($planId: ID!, $after: Cursor) {
  planUpdates(planId: $planId, after: $after) {
    __typename
    ... on PlanSnapshot { why cursor version plan { title } workouts { id title selection { currentPlanDay timeOfDay } } }
    ... on PlanChange { kind cursor version occurredAt workouts { id title selection { currentPlanDay timeOfDay } } removedWorkoutIds }
    ... on StreamLagging { cursor message }
  }
}`,
    { planId: globalId('Plan', plan) },
  ),
  tab(
    'demo-instructor',
    `
# An instructor sees the learners of the courses that
# they teach; a learner's token is refused here.
query Learners {
  course(slug: "sketching-with-code") {
    title
    enrollments {
      totalCount
      edges { node { learner { name } completed total percent } }
    }
    lessons {
      edges { node { title requires { title } requiredBy { title } } }
    }
  }
}`,
  ),
  tab(
    'demo-instructor',
    `
# Live: the whole class. No refresh: every learner's
# changes arrive here, for those who teach the course.
subscription Class($courseId: ID!, $after: Cursor) {
  courseUpdates(courseId: $courseId, after: $after) {
    __typename
    ... on CourseSnapshot { why cursor learners completed percent }
    ... on CourseChange { kind cursor version occurredAt actorId enrollment { id completed total percent } }
    ... on StreamLagging { cursor message }
  }
}`,
    { courseId: globalId('Course', course) },
  ),
  tab(
    'demo-instructor',
    `
# Level up: XP adds up, and where it passes a threshold,
# progress and license get the level, both or neither.
# Run it twice: the second answer is the first one's.
mutation LevelUp($input: LevelUpInput!) {
  levelUp(input: $input) {
    __typename
    ... on LevelUpPayload {
      version replayed leveledUp
      progress { currentLevel totalXp completedSessions specialization { levels { level xp } } }
      license { currentLevel maxAchievedLevel }
      progressions { from to reason at }
    }
    ... on RecordsDisagree { message recommendedAction }
    ... on DomainError { code message }
  }
}`,
    {
      input: {
        ...{
          userId: globalId('User', 'demo-learner-2'),
          specialization: 'PLAYER',
          xpGained: 250,
          sessionsCompleted: 1,
        },
        ...{ reason: 'Summer camp', idempotencyKey: 'tour-level-up' },
      },
    },
  ),
  tab(
    'demo-learner-2',
    `
# Live: how one stands. Leave it running, and run the tab
# before in another window with another key.
subscription Standing($userId: ID!, $specialization: String!, $after: Cursor) {
  standingUpdates(userId: $userId, specialization: $specialization, after: $after) {
    __typename
    ... on StandingSnapshot { why cursor version progress { currentLevel totalXp } license { currentLevel maxAchievedLevel } }
    ... on StandingChange {
      kind cursor version occurredAt
      progress { currentLevel totalXp }
      license { currentLevel maxAchievedLevel }
      progressions { from to reason }
    }
    ... on StreamLagging { cursor message }
  }
}`,
    { userId: globalId('User', 'demo-learner-2'), specialization: 'PLAYER' },
  ),
]

const welcome = [
  tab(
    '',
    `
# Welcome to Lockstep. Put your token among the headers below.
query Me {
  viewer { name role }
}`,
  ),
]

/** GraphiQL, from this server alone; with examples where there is a demo. */
export const graphiqlOptions = (demo: boolean): GraphiQLOptions => ({
  title: 'Lockstep',
  defaultTabs: demo ? examples : welcome,
  headers: (demo ? examples : welcome)[0]!.headers, // of the tab that is open first, which GraphiQL doesn't take from the tabs
  defaultHeaders: (demo ? examples : welcome)[0]!.headers,
  defaultEditorToolsVisibility: 'headers',
  subscriptionsProtocol: 'WS',
  schemaDescription: true,
  inputValueDeprecation: true,
})
