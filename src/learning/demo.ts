import type { Workplace } from '../api/workplace.ts'
import { type Actor, system } from '../commit/aggregate.ts'
import { idOf } from '../commit/derivedId.ts'
import { assignInstructor } from './assignInstructor.ts'
import { completeLesson } from './completeLesson.ts'
import type { LessonState } from './courseAggregate.ts'
import { enroll } from './enroll.ts'
import { type CourseDefinition, reviseCourse } from './reviseCourse.ts'

type Lesson = readonly [slug: string, title: string, requires: readonly string[], exercise: string]

/** A course of lessons, each with the lessons before it that it requires. */
function course(slug: string, title: string, description: string, lessons: readonly Lesson[]): CourseDefinition {
  const courseId = demoCourse(slug)
  const states = lessons.map(([lesson, title, requires, exercise], i): [string, LessonState] => {
    const id = demoLesson(slug, lesson)
    const contents = {
      [`${id}.${idOf('read')}`]: { position: 1, title: `Read: ${title}`, kind: 'TEXT', active: true },
      [`${id}.${idOf('do')}`]: { position: 2, title: exercise, kind: 'EXERCISE', active: true },
    } as const
    const ids = requires.map((required) => demoLesson(slug, required))
    return [id, { slug: lesson, position: i + 1, title, active: true, requires: ids, contents }]
  })
  return { courseId, slug, title, description, lessons: Object.fromEntries(states) }
}

/** The id of a course of the demo. */
export const demoCourse = (slug: string) => idOf(`demo/${slug}`)
/** The id of a lesson of the demo. */
export const demoLesson = (course: string, slug: string) => `${demoCourse(course)}.${idOf(slug)}`

const sketching = course(
  'sketching-with-code',
  'Sketching with code',
  'Draw, move and react: a first course in creative coding.',
  [
    ['first-marks', 'First marks', [], 'Draw a house out of four shapes'],
    ['color', 'Color', ['first-marks'], 'Paint a sunset with three colors'],
    ['motion', 'Motion', ['first-marks'], 'Let a ball cross the canvas'],
    ['loops', 'Loops', ['color', 'motion'], 'Fill the sky with a hundred stars'],
    ['input', 'Reacting to people', ['motion'], 'Let a shape follow the pointer'],
    ['portfolio', 'Your portfolio piece', ['loops', 'input'], 'Make something that you would hang on a wall'],
  ],
)

const goalkeeping = course('goalkeeping', 'Goalkeeping', 'Stance, footwork and handling, for academies.', [
  ['stance', 'The ready stance', [], 'Hold the stance through ten feints'],
  ['footwork', 'Footwork', ['stance'], 'Ladder drill, three rounds'],
  ['handling', 'Handling', ['stance'], 'Forty catches, chest and above'],
  ['diving', 'Diving', ['footwork', 'handling'], 'Ten dives to each side'],
])

/** Two courses with an instructor, and two learners who have completed a first lesson. */
export async function demo({ commit }: Workplace): Promise<void> {
  for (const course of [sketching, goalkeeping]) {
    const { courseId } = course
    await commit(reviseCourse, { actor: system, input: course })
    await commit(assignInstructor, { actor: system, input: { courseId, userId: 'demo-instructor' } })
  }
  for (const learnerId of ['demo-learner-2', 'demo-learner-3']) {
    const actor: Actor = { id: learnerId, role: 'LEARNER' }
    await commit(enroll, { actor, input: { learnerId, courseId: sketching.courseId } })
    const lessonId = demoLesson('sketching-with-code', 'first-marks')
    await commit(completeLesson, { actor, input: { learnerId, lessonId } })
  }
}
