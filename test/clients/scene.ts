import { completeLesson } from '../../src/learning/completeLesson.ts'
import { enroll } from '../../src/learning/enroll.ts'
import { enrollmentOf } from '../../src/learning/id.ts'
import { resetProgress } from '../../src/learning/resetProgress.ts'
import { academy } from '../academy.ts'
import { globalId } from '../api.ts'
import { proxy } from '../proxy.ts'
import { world } from '../world.ts'

export type Scene = Awaited<ReturnType<typeof scene>>
export type Learner = Awaited<ReturnType<Scene['learner']>>

/** A database with a course, and learners whose clients are tried out. */
export async function scene() {
  const w = await world()
  const { commit } = w.process()
  const school = academy(commit)
  const course = await school.course(4)

  /** A learner who is enrolled. Each reaches the server through a network of their own. */
  async function learner(server: string) {
    const { id, token, actor } = await school.person()
    const enrolled = () => commit(enroll, { actor, input: { learnerId: id, courseId: course.id } })
    await enrolled()
    const enrollmentId = enrollmentOf(id, course.id)
    const network = await proxy(server)
    w.onClose(network.close)
    const changeOnce = async (done: boolean) => {
      const input = { learnerId: id, lessonId: course.lesson(1) }
      await (done ? commit(resetProgress, { actor, input }) : commit(completeLesson, { actor, input }))
    }
    let changes = 0
    return {
      id,
      token,
      actor,
      network,
      /** Where the learner's clients find the server, without the path. */
      url: network.url.replace(/\/$/, ''),
      enrollment: globalId('Enrollment', enrollmentId),
      lesson: (n: number) => globalId('Lesson', course.lesson(n)),
      /** Changes the enrollment as another process would: its first lesson is completed, reset, completed … */
      async change(times = 1) {
        for (let i = 0; i < times; i++) await changeOnce(changes++ % 2 === 1)
      },
      /** Deletes the enrollment by hand, and enrolls anew: another history. */
      async beginAgain() {
        await w.query('delete from "Enrollment" where id = $1', [enrollmentId])
        await w.query('delete from "Event" where "rootId" = $1', [enrollmentId])
        await enrolled()
      },
      history: () => w.history('Enrollment', enrollmentId),
    }
  }

  return { ...w, commit, school, course, learner }
}
