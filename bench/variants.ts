import pg from 'pg'
import { commits } from '../src/commit/commit.ts'
import { connect } from '../src/database/client.ts'
import { defaultPool, PLANS } from '../src/database/pool.ts'
import { completeLesson } from '../src/learning/completeLesson.ts'

/** One way to complete a lesson. */
export interface Variant {
  call(key: string, learner: string, lesson: string): Promise<unknown>
  close(): Promise<unknown>
  /** Requests a transaction, where several can share one. */
  batch?(): number
}

export const viaCommit = (url: string, options: { width?: number; few?: number } = {}): Variant => {
  const db = connect(url, { ...defaultPool, size: 4, max: 12 })
  let batches = 0
  let requests = 0
  const { commit } = commits(db, {
    ...options,
    watch: {
      batch: (size) => {
        batches++
        requests += size
      },
    },
  })
  return {
    close: () => db.$disconnect(),
    call: (key, learnerId, lessonId) =>
      commit(completeLesson, { actor: { id: learnerId, role: 'LEARNER' }, key, input: { learnerId, lessonId } }),
    batch: () => requests / batches,
  }
}

/** An interactive Prisma transaction a call: lock, read, write, as few statements as there can be. */
export const viaPrisma = (url: string): Variant => {
  const db = connect(url, { ...defaultPool, size: 4, max: 16 })
  return {
    close: () => db.$disconnect(),
    call: (key, learner, lesson) =>
      db.$transaction(async (tx) => {
        const id = `${learner}.c`
        await tx.$queryRaw`select id from "Enrollment" where id = ${id} for no key update`
        const now = new Date().toISOString()
        const [s] = await tx.$queryRaw<Seen[]>`select e.*, c."lessonsVersion" as "lessonsNow",
          (select k.answer from "IdempotencyKey" k where k.actor = ${learner} and k.key = ${key}) as used,
          (select count(*)::int from "LessonPrerequisite" q join "Lesson" r on r.id = q."requiresId"
            where q."lessonId" = l.id and r.active and not exists (
              select from "LessonProgress" p
              where p."enrollmentId" = e.id and p."lessonId" = q."requiresId" and p.status = 'COMPLETED'
            )) as open,
          exists (select from "LessonProgress" p where p."enrollmentId" = e.id and p."lessonId" = l.id) as done
          from "Enrollment" e join "Course" c on c.id = e."courseId"
            join "Lesson" l on l.id = ${lesson} and l.active where e.id = ${id}`
        if (!s || s.open || s.done || s.used || s.lessonsNow !== s.lessonsVersion || s.completed + 1 === s.total)
          throw new Error('not in this bench')
        const { version, courseId, lessonsVersion, completed, total, attempt, enrolledAt, completedAt } = s
        const enrollment = {
          id,
          version: version + 1,
          lessonsVersion,
          completed: completed + 1,
          total,
          attempt,
          enrolledAt,
          completedAt,
          lastActivityAt: now,
        }
        const lessonProgress = { lessonId: lesson, status: 'COMPLETED', openedAt: now, completedAt: now, resets: 0 }
        const answer = { lessonProgress, alreadyCompleted: false, courseCompleted: false }
        const view = JSON.stringify({ ...enrollment, lesson: lessonProgress })
        await tx.$executeRaw`with p as (
            insert into "LessonProgress"
            values (${id}, ${lesson}, 'COMPLETED', ${now}::timestamptz, ${now}::timestamptz, 0)
          ),
          u as (
            update "Enrollment"
            set version = ${version + 1}, completed = ${completed + 1}, "lastActivityAt" = ${now}::timestamptz
            where id = ${id}
          ),
          j as (
            insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
            values ('Enrollment', ${id}, ${version + 1}, ${`Course:${courseId}`}, 'lessonCompleted',
              jsonb_build_object('lessonId', ${lesson}::text), ${view}::jsonb, ${learner}, ${now}::timestamptz)
          )
          insert into "IdempotencyKey"
          values (${learner}, ${key}, 'h', ${version + 1}, ${JSON.stringify(answer)}::jsonb, ${now}::timestamptz)`
        return { enrollment, ...answer }
      }),
  }
}
interface Seen {
  version: number
  courseId: string
  lessonsVersion: number
  lessonsNow: number
  completed: number
  total: number
  attempt: number
  enrolledAt: Date
  completedAt: Date | null
  used: unknown
  open: number
  done: boolean
}

/** A plpgsql function a call, through pg's own pool: see complete_lesson.sql. */
export const viaFunction = (url: string): Variant => {
  const pool = new pg.Pool({ connectionString: url, max: 16, options: `-c TimeZone=UTC ${PLANS}` })
  pool.on('error', () => {})
  return {
    close: () => pool.end(),
    call: async (key, learner, lesson) =>
      (
        await pool.query({
          name: 'f',
          text: `select complete_lesson($1, $2, 'h', $3, $4) as answer`,
          values: [learner, key, `${learner}.c`, lesson],
        })
      ).rows[0].answer,
  }
}
