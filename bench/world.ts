import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { startEmbedded } from '../src/embedded/embedded.ts'
import { migrate } from '../src/database/migrate.ts'

/**
 * A durable database of the bench's own (fsync and synchronous_commit are on), with one large course and many
 * enrollments.
 */
export interface World {
  readonly url: string
  readonly admin: pg.Client
  /** As it was before anything was completed. */
  reset(): Promise<void>
  /** Whether counters, rows, journal and keys agree. */
  consistent(): Promise<boolean>
  /** CPU that its processes have used so far, in µs; 0 where there is no /proc. */
  cpu(): number
  close(): Promise<void>
}

export const LESSONS = 200_000
export const ENROLLMENTS = 20_000

export async function createWorld(): Promise<World> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'))
  fs.chmodSync(folder, 0o755)
  const embedded = await startEmbedded({ folder, maxConnections: 150 })
  const { url } = embedded
  await migrate(url)
  const admin = new pg.Client({ connectionString: url })
  admin.on('error', () => {})
  await admin.connect()
  await admin.query(`
    insert into "User" (id, version, name, role, "createdAt")
      select 'u' || n, 1, 'Learner ' || n, 'LEARNER', now() from generate_series(0, ${ENROLLMENTS}) n;
    insert into "Session" (id, "userId", "tokenHash", "createdAt", "expiresAt")
      select 's' || n, 'u' || n, translate(encode(sha256(('token-u' || n)::bytea), 'base64'), '+/=', '-_'),
        now(), now() + interval '1 day' from generate_series(0, ${ENROLLMENTS}) n;
    insert into "Course" (id, version, "lessonsVersion", slug, title, description, "createdAt")
      values ('c', 1, 1, 'bench', 'Bench', '', now());
    insert into "Lesson" (id, "courseId", slug, position, title, active)
      select 'c.l' || n, 'c', 'l' || n, n, 'Lesson ' || n, true from generate_series(0, ${LESSONS}) n;
    insert into "LessonPrerequisite" select 'c.l' || n, 'c.l0' from generate_series(1, ${LESSONS}) n;
    insert into "Enrollment"
        (id, version, "learnerId", "courseId", "lessonsVersion", completed, total, attempt, "enrolledAt",
          "lastActivityAt")
      select 'u' || n || '.c', 1, 'u' || n, 'c', 1, 1, ${LESSONS + 1}, 1, now(), now()
        from generate_series(0, ${ENROLLMENTS}) n`)
  await admin.query(fs.readFileSync(new URL('complete_lesson.sql', import.meta.url), 'utf8'))

  const reset = async () => {
    await admin.query(`truncate "LessonProgress", "Event", "IdempotencyKey";
      update "Enrollment" set version = 1, completed = 1 where version <> 1;
      insert into "LessonProgress" select 'u' || n || '.c', 'c.l0', 'COMPLETED', now(), now(), 0
        from generate_series(0, ${ENROLLMENTS}) n`)
    await admin.query(
      `vacuum analyze "Enrollment", "LessonProgress", "Event", "IdempotencyKey", "Lesson", "LessonPrerequisite",
        "Course"`,
    )
    await admin.query('checkpoint')
  }
  const consistent = async () => {
    const { rows } = await admin.query<{
      ok: boolean
    }>(`select (select sum(completed) from "Enrollment") = (select count(*) from "LessonProgress")
      and (select count(*) from "Event") = (select count(*) from "IdempotencyKey")
      and (select sum(version - 1) from "Enrollment") = (select count(*) from "Event") as ok`)
    return rows[0]!.ok
  }
  /** Ticks of 10 ms, of the postmaster and of its children, those that have ended included. */
  const cpu = () => {
    let ticks = 0
    for (const pid of fs.existsSync('/proc') ? fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : []) {
      let stat = ''
      try {
        stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
      } catch {} // it has ended meanwhile
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const [parent, used, ofChildren] = [
        Number(fields[1]),
        Number(fields[11]) + Number(fields[12]),
        Number(fields[13]) + Number(fields[14]),
      ]
      if (Number(pid) === embedded.pid) ticks += used + ofChildren
      else if (parent === embedded.pid) ticks += used
    }
    return ticks * 10_000
  }
  const close = async () => {
    await admin.end()
    await embedded.stop()
    fs.rmSync(folder, { recursive: true, force: true })
  }
  return { url, admin, reset, consistent, cpu, close }
}
