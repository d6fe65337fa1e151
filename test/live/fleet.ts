import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import type WebSocket from 'ws'
import type { Person, TestCourse } from '../academy.ts'
import { client, globalId, localIdOf } from '../api.ts'
import { program } from '../program.ts'
import { COURSE, ENROLLMENT, socketClient, type Told } from './client.ts'

/** Numbers between 0 and 1 that a seed decides (mulberry32). */
export function random(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return {
    next,
    below,
    one: <T>(all: readonly T[]) => all[below(all.length)]!,
    pause: (least: number, most: number) => sleep(least + next() * (most - least)),
  }
}
export type Random = ReturnType<typeof random>

export type LiveServer = Awaited<ReturnType<typeof launch>>

/** A server process of its own, on a database. */
export async function launch(databaseUrl: string, environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [...program, 'start', '--json'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'warn',
      DATABASE_POOL_SIZE: '2',
      DATABASE_POOL_MAX: '16',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  }) as ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream }
  let [output, errors] = ['', '']
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  const exit = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    errors,
  }))
  await Promise.race([exit, vi.waitUntil(() => output.includes('\n'), { timeout: 40_000, interval: 10 })])
  if (!output.includes('\n')) throw new Error(`it ended before it was ready: ${errors}`)
  const { graphql } = JSON.parse(output) as { graphql: string }
  const url = graphql.replace('/graphql', '')
  return {
    ...client(graphql),
    url,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    exit,
    errors: () => errors,
    /** One of its metrics. */
    async metric(name: string) {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
    },
    /** Ends it in order. */
    async stop() {
      child.kill('SIGTERM')
      return exit
    },
  }
}

type Field = 'enrollmentUpdates' | 'courseUpdates'

/** How a stream may end without its follower being at fault: whoever resumes goes on. */
export const RETRYABLE = ['UNAVAILABLE', 'closed 1001', 'closed 1012', 'closed 1013']

/** One who follows through whatever happens: however it ends, it resumes from the last cursor that it has. */
export class Follower {
  readonly changes: Told[] = []
  readonly snapshots: Told[] = []
  /** How its connections ended, and how often. */
  readonly ends: Record<string, number> = {}
  /** Called for each change. */
  heard: (() => void) | undefined
  /** How often it came with a cursor. */
  resumed = 0
  readonly field: Field
  readonly id: string
  readonly #token: string
  readonly #server: () => string
  #cursor: string | undefined
  #socket: WebSocket | undefined
  #stopped = false
  #dropped = false
  #over: Promise<void>

  constructor(field: Field, id: string, { token }: Person, server: () => string) {
    this.field = field
    this.id = id
    this.#token = token
    this.#server = server
    this.#over = this.#run()
  }

  /** It has a cursor that it could resume from. */
  get isThere() {
    return this.#cursor !== undefined
  }

  async #run() {
    while (!this.#stopped) {
      const how = await this.#session()
      if (this.#stopped) break
      this.ends[how] = (this.ends[how] ?? 0) + 1
      await sleep(20) // as a client backs off; where it goes next may be down
    }
  }

  /** From connecting to the end, however that comes. */
  #session(): Promise<string> {
    const { field } = this
    return new Promise((resolve) => {
      let code = 1006 // as nobody said anything
      this.#dropped = false
      const webSocket = socketClient(this.#server(), this.#token, {
        on: {
          opened: (socket) => (this.#socket = socket as WebSocket),
          closed: (event) => (code = (event as { code: number }).code),
        },
      })
      const end = (how: string) => {
        this.#socket = undefined
        void webSocket.dispose()
        resolve(this.#dropped ? 'dropped' : how)
      }
      if (this.#cursor !== undefined) this.resumed++
      webSocket.subscribe<Record<Field, Told>>(
        {
          query: field === 'courseUpdates' ? COURSE : ENROLLMENT,
          variables: {
            id: globalId(field === 'courseUpdates' ? 'Course' : 'Enrollment', this.id),
            after: this.#cursor ?? null,
          },
        },
        {
          next: ({ data, errors }) => {
            if (errors) return end(String(errors[0]!.extensions?.code))
            const told = data![field]
            this.#cursor = told.cursor
            if (told.__typename === 'SubscriberTooSlow') end('too_slow')
            else if (told.__typename.endsWith('Snapshot')) this.snapshots.push(told)
            else if (told.__typename.endsWith('Change')) {
              this.changes.push(told)
              this.heard?.()
            }
          },
          error: (error) =>
            end(
              Array.isArray(error)
                ? String(error[0].extensions?.code)
                : `closed ${(error as { code?: number }).code ?? code}`,
            ),
          complete: () => end('completed'),
        },
      )
    })
  }

  /** The network is gone, for both sides. */
  drop() {
    this.#dropped = this.#socket !== undefined
    this.#socket?.terminate()
  }

  /** Drops and resumes at random, until it is told to stop. */
  async dropAtRandom(r: Random, until: () => boolean) {
    while (!until()) {
      await r.pause(20, r.next() < 0.3 ? 100 : 1_500)
      this.drop()
    }
  }

  async stop() {
    this.#stopped = true
    this.drop()
    await Promise.race([this.#over, sleep(1_000)])
  }
}

interface Row {
  readonly rootId: string
  readonly version: number
  readonly kind: string
  readonly completed: number
  readonly total: number
}

type Query = <T>(text: string, values?: unknown[]) => Promise<T[]>

const inCapitals = (kind: string) => kind.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** Root by root, in the order in which it came. */
function byRoot(rows: readonly Row[]) {
  const roots = new Map<string, string[]>()
  for (const { rootId, version, kind, completed, total } of rows) {
    const line = `${version} ${kind} ${completed}/${total}`
    const lines = roots.get(rootId)
    if (lines) lines.push(line)
    else roots.set(rootId, [line])
  }
  return roots
}

/**
 * In what two accounts of the same roots differ: what is missing, what is too much, and where only the order is
 * another.
 */
function differences(told: ReturnType<typeof byRoot>, expected: ReturnType<typeof byRoot>): string[] {
  return [...new Set([...told.keys(), ...expected.keys()])].flatMap((root) => {
    const [heard, due] = [told.get(root) ?? [], expected.get(root) ?? []]
    if (heard.join() === due.join()) return []
    const missing = due.filter((line) => !heard.includes(line))
    const tooMuch = heard.filter((line, at) => !due.includes(line) || heard.indexOf(line) < at)
    return [
      `${root}: of ${due.length}, missing [${missing}], too much ` +
        `[${tooMuch}]${missing.length + tooMuch.length ? '' : `, out of order [${heard}]`}`,
    ]
  })
}

const journaled = (query: Query, { field, id }: Follower) =>
  query<Row>(
    `select "rootId", version, kind, (view->>'completed')::int as completed, (view->>'total')::int as total from "Event"
      where "rootType" = 'Enrollment' and ${field === 'courseUpdates' ? 'topic' : '"rootId"'} = $1
      order by "rootId", version`,
    [field === 'courseUpdates' ? `Course:${id}` : id],
  )

/**
 * Fails unless each of them comes to hold each event of what it follows once, in order, and as the journal has it.
 * Answers how many each holds.
 */
export async function expectExactlyOnce(
  query: Query,
  followers: readonly Follower[],
  timeout = 20_000,
): Promise<number[]> {
  return Promise.all(
    followers.map(async (follower) => {
      const { field, id, snapshots, changes } = follower
      const from = field === 'courseUpdates' ? 0 : snapshots[0]!.version
      const rows = (await journaled(query, follower)).map(({ kind, ...row }) => ({ ...row, kind: inCapitals(kind) }))
      const due = rows.filter(({ version }) => version > from)
      const name = `${field} ${id}, which ended by ${JSON.stringify(follower.ends)}`
      // what is missing is told below
      await vi.waitUntil(() => changes.length >= due.length, { timeout, interval: 20 }).catch(() => {})
      const told = changes.map(({ version, kind, enrollment }) => ({
        rootId: localIdOf(enrollment.id),
        completed: enrollment.completedLessonCount,
        total: enrollment.lessonCount,
        version,
        kind: kind!,
      }))
      expect(differences(byRoot(told), byRoot(due)), name).toEqual([])
      expect(
        snapshots.map(({ reason }) => reason),
        `${name}: the present is told once, at the beginning`,
      ).toEqual(['INITIAL'])
      for (const [root, lines] of byRoot(rows))
        expect(
          lines.map((line) => Number.parseInt(line, 10)),
          root,
        ).toEqual(lines.map((_, i) => i + 1))
      for (const { version, enrollment } of changes) expect(enrollment.version).toBe(version)
      return changes.length
    }),
  )
}

/** What the writers were told. */
export interface Tally {
  answered: number
  /** Requests whose connection was lost before they were answered. */
  cut: number
  /** How often which code was told, instead of success. */
  readonly codes: Record<string, number>
  /** What was completed, by its enrollment and version. */
  readonly completed: string[]
}

const RETRIED = ['BUSY', 'UNAVAILABLE', 'OUTCOME_UNKNOWN']

/** One who asks for this and that, with a key each, until it is enough; each request until it is answered. */
export async function write(
  r: Random,
  name: string,
  server: () => LiveServer,
  { token, id }: Person,
  course: TestCourse,
  tally: Tally,
  enough: () => boolean,
) {
  for (let n = 0; !enough(); n++) {
    await r.pause(10, r.next() < 0.2 ? 600 : 250)
    const lesson = 1 + r.below(6)
    const idempotencyKey = `${name}-${n}`
    const dice = r.next()
    const [verb, input] =
      dice < 0.5
        ? [
            'completeLesson',
            { lessonId: globalId('Lesson', course.lesson(lesson)), ...(r.next() < 0.1 && { expectedVersion: 1 }) },
          ]
        : dice < 0.7
          ? ['resetProgress', { target: { lessonId: globalId('Lesson', course.lesson(lesson)) } }]
          : dice < 0.8
            ? ['completeContent', { contentItemId: globalId('ContentItem', course.item(lesson)) }]
            : dice < 0.9
              ? ['openLesson', { lessonId: globalId('Lesson', course.lesson(lesson)) }]
              : ['completeLesson', { lessonId: globalId('Lesson', course.lesson(99)) }]
    const Verb = `${verb[0]!.toUpperCase()}${verb.slice(1)}`
    const document = `mutation ($input: ${Verb}Input!) { ${verb}(input: $input) { __typename ... on DomainError { code
      } ... on ${Verb}Payload { version ${verb === 'completeLesson' ? 'alreadyCompleted' : ''} } } }`
    for (;;) {
      const answer = await server()
        .ask<
          Record<string, { __typename: string; code?: string; version: number; alreadyCompleted?: boolean }>,
          object
        >(document, { input: { ...(input as object), idempotencyKey } }, token)
        .catch(() => undefined)
      const result = answer?.data?.[verb]
      const code = answer ? (result?.code ?? answer.errors?.[0]?.extensions.code) : undefined
      if (code) tally.codes[code] = (tally.codes[code] ?? 0) + 1
      if (!answer) tally.cut++
      else if (result?.__typename.endsWith('Payload')) {
        tally.answered++
        if (result.alreadyCompleted === false) tally.completed.push(`${id}.${course.id} ${result.version}`)
        break
      } else if (!code || !RETRIED.includes(code)) {
        if (!result) throw new Error(`${verb}: ${JSON.stringify(answer)}`)
        break
      }
      await r.pause(20, 120)
    }
  }
}

/**
 * Like a network that forgets connections without telling anybody: those whose first message has `whose` in it and that
 * are used while it is `silent` carry nothing any more, ever.
 */
export async function muffler(target: string, whose: string) {
  const { hostname, port } = new URL(target)
  const sockets = new Set<net.Socket>()
  const m = {
    url: '',
    silent: false,
    /** How many connections have gone silent. */
    silenced: 0,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  const server = net.createServer((client) => {
    const database = net.connect({ host: hostname, port: Number(port) })
    const pair = [client, database] as const
    let isMeant: boolean | undefined
    let isSilent = false
    const goesSilent = () => {
      if (!isMeant || !m.silent || isSilent) return isSilent
      m.silenced++
      return (isSilent = true)
    }
    for (const socket of pair) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        if (!isSilent || socket === client) for (const each of pair) each.destroy()
      })
    }
    client.on('data', (data) => {
      isMeant ??= data.includes(whose)
      if (!goesSilent()) database.write(data)
    })
    database.on('data', (data) => {
      if (!goesSilent()) client.write(data)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  m.url = Object.assign(new URL(target), {
    hostname: '127.0.0.1',
    port: String((server.address() as net.AddressInfo).port),
  }).toString()
  return m
}
