import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { print } from 'graphql'
import { expect, test } from 'vitest'
import { enrollmentOf } from '../../src/learning/id.ts'
import { importCourse } from '../../src/learning/importCourse.ts'
import { readTrack } from '../../src/learning/exercismTrack.ts'
import { academy } from '../academy.ts'
import { globalId, localIdOf, payload, serve } from '../api.ts'
import { graphql } from '../generated/gql.ts'
import { world } from '../world.ts'
import { replays } from './replay.ts'
import { knots } from './track.ts'

const LEARNERS = 100
const file = path.resolve(import.meta.dirname, '../../../shared/data/exercism/elixir.config.json')
const real = existsSync(file)
if (!real) console.log('The real track is not here; a small one of our own serves.')
if (!real && process.env.CI) throw new Error(`${file} is missing; in CI the real track is wanted.`)
const definition = readTrack(real ? readFileSync(file) : Buffer.from(JSON.stringify(knots())))

const w = await world()
const { db, commit } = w.process()
const { person } = academy(commit)
const api = await serve(w, { DATABASE_POOL_MAX: '30' })
await importCourse({ db, commit, definition })

const Graph = graphql(`
  query Graph($slug: String!, $after: String) {
    course(slug: $slug) { lessons(first: 100, after: $after) { totalCount pageInfo { hasNextPage endCursor } edges {
    node { id requires { nodes { id } } } } } }
  }
`)
const Left = graphql(`
  query Left($id: ID!) {
    enrollment(id: $id) {
      completedLessonCount lessonCount percent completedAt availableLessons(first: 100) { nodes { id } }
      completions { nodes { attempt } } }
  }
`)
const Step = graphql(`
  mutation Step($input: CompleteLessonInput!) {
    completeLesson(input: $input) { __typename ... on CompleteLessonPayload { version replayed alreadyCompleted
    courseCompleted } ... on DomainError { code message } }
  }
`)
const step = print(Step as never)

test(`${LEARNERS} learners go through the whole track at once, each request sent twice and some answers ` +
  `dropped: each ` +
  `completes it once`, async () => {
  const learners = await Promise.all(Array.from({ length: LEARNERS }, (_, i) => person('LEARNER', `pupil${i}`)))
  const requires = await graph(learners[0]!.token)
  if (real) expect(requires.size).toBe(168)

  const completions = await Promise.all(
    learners.map(async ({ id, token }, i) => {
      payload(await api.enroll(token, definition.courseId))
      const done = new Set<string>()
      const completing: string[] = []
      while (done.size < requires.size) {
        const open = [...requires]
          .filter(([lesson, needs]) => !done.has(lesson) && needs.every((needed) => done.has(needed)))
          .map(([lesson]) => lesson)
        if (i < 3 && done.size % 40 === 0) {
          const { enrollment } = await api.get(
            Left,
            { id: globalId('Enrollment', enrollmentOf(id, definition.courseId)) },
            token,
          )
          expect(new Set(enrollment!.availableLessons!.nodes.map((lesson) => lesson.id))).toEqual(new Set(open))
        }
        const lesson = open[(i * 31 + done.size * 7) % open.length]! // each learner takes a way of their own
        const key = randomUUID()
        const answers = await Promise.all([
          twiceAtWorst(token, lesson, key, (i + done.size) % 10 === 0),
          twiceAtWorst(token, lesson, key, (i + done.size) % 10 === 5),
        ])
        expect(answers.map(({ version, alreadyCompleted }) => ({ version, alreadyCompleted }))).toEqual(
          Array(2).fill({ version: answers[0]!.version, alreadyCompleted: false }),
        )
        expect(answers.filter(({ replayed }) => !replayed).length).toBeLessThanOrEqual(1)
        if (answers[0]!.courseCompleted) completing.push(key)
        expect(answers[1]!.courseCompleted).toBe(answers[0]!.courseCompleted)
        done.add(lesson)
      }
      return completing.length
    }),
  )
  expect(completions).toEqual(Array(LEARNERS).fill(1))

  for (const { id, token } of learners) {
    const enrollmentId = enrollmentOf(id, definition.courseId)
    const { enrollment } = await api.get(Left, { id: globalId('Enrollment', enrollmentId) }, token)
    expect(enrollment).toMatchObject({
      completedLessonCount: requires.size,
      lessonCount: requires.size,
      percent: 100,
      availableLessons: { nodes: [] },
      completions: { nodes: [{ attempt: 1 }] },
    })
    const history = await replays(w, enrollmentId)
    expect(history.map(({ kind }) => kind)).toEqual([
      'enrolled',
      ...Array(requires.size).fill('lessonCompleted'),
      'courseCompleted',
    ])
  }
}, 240_000)

/** What each lesson requires, by global id. */
async function graph(token: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (let after: string | null = null; ; ) {
    const { course }: { course?: { lessons?: Page | null } | null } = await api.get(
      Graph,
      { slug: definition.slug, after },
      token,
    )
    for (const { node } of course!.lessons!.edges)
      found.set(
        node.id,
        node.requires!.nodes.map(({ id }) => id),
      )
    if (!course!.lessons!.pageInfo.hasNextPage) return found
    after = course!.lessons!.pageInfo.endCursor ?? null
  }
}
interface Page {
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null }
  readonly edges: readonly {
    readonly node: {
      readonly id: string
      readonly requires?: { readonly nodes: readonly { readonly id: string }[] } | null
    }
  }[]
}

interface Stepped {
  readonly version: number
  readonly replayed: boolean
  readonly alreadyCompleted: boolean
  readonly courseCompleted: boolean
}

/** Completes a lesson; where the answer is dropped, the client asks again under the same key. */
async function twiceAtWorst(token: string, lesson: string, key: string, dropped: boolean): Promise<Stepped> {
  const body = JSON.stringify({ query: step, variables: { input: { lessonId: lesson, idempotencyKey: key } } })
  if (dropped) await post(token, body, true)
  const text = (await post(token, body, false))!
  const { data, errors } = JSON.parse(text) as {
    data?: { completeLesson: Stepped & { __typename: string } }
    errors?: unknown
  }
  if (data?.completeLesson.__typename !== 'CompleteLessonPayload')
    throw new Error(`${localIdOf(lesson)}: ${JSON.stringify(data ?? errors)}`)
  return data.completeLesson
}

/**
 * Posts; dropped, the connection is torn as soon as an answer begins to arrive. A kept connection that was closed just
 * then is no answer: it is asked again, under the same key.
 */
function post(token: string, body: string, dropped: boolean): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'content-length': Buffer.byteLength(body),
    }
    const request = http.request(
      `${api.url}/graphql`,
      { method: 'POST', headers, agent: dropped ? false : agent },
      (response) => {
        if (dropped) {
          response.destroy()
          return resolve(undefined)
        }
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part) => (text += part))
        response.on('end', () => resolve(text))
      },
    )
    request.on('error', (error) =>
      dropped ? resolve(undefined) : request.reusedSocket ? resolve(post(token, body, false)) : reject(error),
    )
    request.end(body)
  })
}
const agent = new http.Agent({ keepAlive: true })
w.onClose(() => agent.destroy())
