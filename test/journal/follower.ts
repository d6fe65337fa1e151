import { expect, onTestFinished } from 'vitest'
import { sql } from '../../src/database/client.ts'
import { parseCursor } from '../../src/journal/cursor.ts'
import {
  type ChangeItem,
  type Follow,
  type FollowOptions,
  following,
  type Item,
  type SnapshotItem,
  type Source,
} from '../../src/journal/follow.ts'
import { Newest } from '../../src/journal/newest.ts'
import { Tail, type TailOptions } from '../../src/journal/tail.ts'
import type { World } from '../classroom.ts'

/** What is followed in these tests, counted: the version of each root. */
export interface Present {
  readonly version: number
  readonly versions: Readonly<Record<string, number>>
}

const load = ([row]: readonly (Present | undefined)[]) => row
const missing = () => new Error('There is nothing to follow.')

/** One root of any kind. */
export const rootOf = (rootType: 'Thing' | 'Enrollment', rootId: string): Source<object> => ({
  subject: { rootType, rootId },
  read:
    rootType === 'Thing'
      ? sql`select json_build_object('version', version, 'versions', json_build_object(id, version)) as row
          from "Thing" where id = ${rootId}`
      : sql`select json_build_object('version', version, 'versions', json_build_object(id, version)) as row
          from "Enrollment" where id = ${rootId}`,
  load,
  missing,
})
/** All things of a topic. */
export const feedOf = (topic: string): Source<object> => ({
  subject: { topic, rootType: 'Thing' },
  read: sql`select json_build_object('version', 1, 'versions', coalesce(json_object_agg(id, version), '{}')) as row
    from "Thing" where topic = ${topic}`,
  load,
  missing,
})
/** All enrollments of a course. */
export const classOf = (courseId: string): Source<object> => ({
  subject: { topic: `Course:${courseId}`, rootType: 'Enrollment' },
  read: sql`select json_build_object('version', 1, 'versions', coalesce(json_object_agg(id, version), '{}')) as row
    from "Enrollment" where "courseId" = ${courseId}`,
  load,
  missing,
})

/**
 * Things are roots without more to them than a version, for writers who ask nobody: `change(thing, topic, token)` is
 * what a commit does to the journal. A number from a sequence is drawn for each event, too, as a reader would that
 * trusts those.
 */
export async function things(w: World): Promise<void> {
  await w.query(`create table "Thing" (id text primary key, version integer not null, topic text not null)`)
  await w.query(
    `create trigger forget_history after delete on "Thing" referencing old table as gone
      for each statement execute function lockstep_forget_history()`,
  )
  await w.query(`alter table "Event" add column number bigserial`)
  await w.query(`create function change(thing text, topic text, token text default '')
    returns integer language sql as $$
    with root as (
      insert into "Thing" values (thing, 1, topic)
      on conflict (id) do update set version = "Thing".version + 1 returning version
    )
    insert into "Event" ("rootType", "rootId", version, topic, kind, data, view, actor, at)
      select 'Thing', thing, version, topic, 'changed', jsonb_build_object('token', token), '{}', 'somebody', now()
      from root returning version $$`)
}

/** What one process has to read the journal with. */
export function process(w: World, tailOptions: Partial<TailOptions> = {}, options: Partial<FollowOptions> = {}) {
  const { db, commit } = w.process({}, { onCommit: () => tail.ring() })
  const tail = new Tail({ url: w.url, everyMs: 25, ...tailOptions })
  w.onClose(() => tail.stop())
  const out = following({ db, tail, newest: new Newest(), ...options })
  const follow = (source: Source<object>, after?: string, ready?: () => Promise<void>) =>
    follower(out.follow, source, after, ready)
  return { db, commit, tail, follow, out }
}

export type Follower = ReturnType<typeof follower>

/** Somebody who follows, and keeps what they are told; stopped with the test at the latest. */
export function follower(follow: Follow, source: Source<object>, after?: string, ready?: () => Promise<void>) {
  const items: Item<Present>[] = []
  const failures: unknown[] = []
  let changed = () => {}
  const stop = follow(source, after === undefined ? undefined : parseCursor(after), {
    hear(item) {
      items.push(item as Item<Present>)
      changed()
    },
    fail(error) {
      failures.push(error)
      changed()
    },
    ...(ready && { ready }),
  })
  onTestFinished(stop)
  return {
    items,
    failures,
    stop,
    get changes() {
      return items.filter((item): item is ChangeItem => item.is === 'change')
    },
    get snapshots() {
      return items.filter((item): item is SnapshotItem<Present> => item.is === 'snapshot')
    },
    /** Where to go on. */
    get cursor() {
      return items.at(-1)?.cursor
    },
    /** The versions that were told of a root, or of all that were told. */
    versions: (rootId?: string) =>
      items.flatMap((item) =>
        item.is === 'change' && (rootId === undefined || item.event.rootId === rootId) ? [item.version] : [],
      ),
    /** Resolves when so many items have come, or what has come satisfies. */
    until: (enough: number | (() => boolean), ms = 10_000) =>
      until(
        typeof enough === 'number' ? () => items.length >= enough : enough,
        (wake) => (changed = wake),
        ms,
        () =>
          JSON.stringify({ count: items.length, last: items.slice(-3), failures: failures.map(String) }, (_, value) =>
            typeof value === 'bigint' ? String(value) : value,
          ),
      ),
  }
}

/** Resolves when it is so; looks whenever it is woken. */
export async function until(
  done: () => boolean,
  onChange: (wake: () => void) => void,
  ms: number,
  found: () => string,
): Promise<void> {
  const late = performance.now() + ms
  while (!done()) {
    const left = late - performance.now()
    if (left <= 0) throw new Error(`Not in ${ms} ms: ${found()}`)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(left, 500))
      onChange(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/**
 * Fails unless each snapshot is followed by each root's next versions, one by one: nothing missed, nothing twice,
 * nothing out of order. Answers the versions at the end.
 */
export function expectExact(
  items: readonly Item<Present>[],
  known: Record<string, number> = {},
): Record<string, number> {
  const wrong: string[] = []
  let versions = new Map(Object.entries(known))
  for (const item of items) {
    if (item.is === 'snapshot') versions = new Map(Object.entries(item.present.versions))
    else {
      const { rootId } = item.event
      const before = versions.get(rootId) ?? 0
      if (item.version !== before + 1) wrong.push(`${rootId}: ${item.version} after ${before}`)
      versions.set(rootId, item.version)
    }
  }
  expect(wrong).toEqual([])
  return Object.fromEntries(versions)
}
