import { command, json } from '../api/command.ts'
import { system } from '../commit/aggregate.ts'
import type { Db } from '../database/client.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { printAnswer } from '../operator/print.ts'
import { assignInstructor } from './assignInstructor.ts'
import { dismissInstructor } from './dismissInstructor.ts'

const args = {
  id: { type: 'positional', required: true, description: 'The id of the user' },
  course: { type: 'positional', required: true, description: 'The slug of the course' },
  json,
} as const

/** `lockstep user teach`: the user, an instructor, sees the learners of a course. */
export const teach = command({
  description: 'Let an instructor see the learners of a course',
  examples: ['user teach ada kitchen'],
  args,
  run: ({ id, course: slug, json }, { work }) =>
    work(async ({ db, commit }) => {
      const { course, user } = await find(db, slug, id)
      if (user.role !== 'INSTRUCTOR')
        throw new OperatorError(
          `The user ${id} is no INSTRUCTOR, but a ${user.role}: what teaching lets one see, they would not.`,
          exitCode.data,
        )
      const { changed } = await commit(assignInstructor, { actor: system, input: { courseId: course.id, userId: id } })
      printAnswer({ id, course: slug, changed }, json)
    }),
})

/** `lockstep user unteach`: the reverse. Their subscriptions to the course end. */
export const unteach = command({
  description: 'No longer let them: what they watch of the course ends',
  examples: ['user unteach ada kitchen'],
  args,
  run: ({ id, course: slug, json }, { work }) =>
    work(async ({ db, commit }) => {
      const { course } = await find(db, slug, id)
      const { changed } = await commit(dismissInstructor, { actor: system, input: { courseId: course.id, userId: id } })
      printAnswer({ id, course: slug, changed }, json)
    }),
})

async function find(db: Db, slug: string, userId: string) {
  const course = await db.course.findUnique({ where: { slug } })
  if (!course) throw new OperatorError(`There is no course ${JSON.stringify(slug)}.`, exitCode.data)
  const user = await db.user.findUnique({ where: { id: userId } })
  if (!user) throw new OperatorError(`There is no user ${userId}.`, exitCode.data)
  return { course, user }
}
