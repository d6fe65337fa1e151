import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { print } from 'graphql'
import pino from 'pino'
import { parseConfig } from '../src/operator/config.ts'
import { startServer } from '../src/server/server.ts'
import { graphql } from './generated/gql.ts'

/** What came back of one operation. */
export interface Answered<Data> {
  readonly data: Data
  readonly errors?: readonly {
    readonly message: string
    readonly path?: readonly (string | number)[]
    readonly extensions: { readonly code: string }
  }[]
  readonly status: number
}

/** A server of a test's own, in this process, on a free port. */
export async function serve(
  w: { url: string; onClose(close: () => unknown): unknown },
  environment: Record<string, string> = {},
) {
  const server = await startServer({
    config: parseConfig({ PORT: '0', DATABASE_POOL_SIZE: '2', DATABASE_POOL_MAX: '20', ...environment }),
    log: pino({ level: process.env.LOG_LEVEL ?? 'silent' }),
  })
  await server.open({ databaseUrl: w.url, demo: false })
  w.onClose(() => server.drain())
  const url = `http://127.0.0.1:${server.address.port}`
  return { server, url, ...client(`${url}/graphql`) }
}

/** A client of a server that runs anywhere. */
export function client(endpoint: string) {
  /** Speaks GraphQL over HTTP, and tells all that came back. */
  async function ask<Data, Variables>(
    document: TypedDocumentNode<Data, Variables> | string,
    variables: Variables,
    token?: string,
    init: RequestInit = {},
  ): Promise<Answered<Data>> {
    const query = typeof document === 'string' ? document : print(document)
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const response = await fetch(endpoint, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query, variables }),
      ...init,
    })
    return { ...((await response.json()) as Omit<Answered<Data>, 'status'>), status: response.status }
  }

  /** The same, where nothing but data is expected. */
  async function get<Data, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    token?: string,
  ): Promise<Data> {
    const { data, errors } = await ask(document, variables, token)
    if (errors) throw new Error(JSON.stringify(errors))
    return data
  }

  const mutate = {
    enroll: (token: string, courseId: string, more: More = {}) =>
      get(Enroll, { input: { courseId: globalId('Course', courseId), ...more } }, token).then(({ enroll }) => enroll),
    open: (token: string, lessonId: string, more: More = {}) =>
      get(Open, { input: { lessonId: globalId('Lesson', lessonId), ...more } }, token).then(
        ({ openLesson }) => openLesson,
      ),
    content: (token: string, contentItemId: string, more: More = {}) =>
      get(CompleteContent, { input: { contentItemId: globalId('ContentItem', contentItemId), ...more } }, token).then(
        ({ completeContent }) => completeContent,
      ),
    complete: (token: string, lessonId: string, more: More = {}) =>
      get(Complete, { input: { lessonId: globalId('Lesson', lessonId), ...more } }, token).then(
        ({ completeLesson }) => completeLesson,
      ),
    resetLesson: (token: string, lessonId: string, more: More = {}) =>
      get(Reset, { input: { target: { lessonId: globalId('Lesson', lessonId) }, ...more } }, token).then(
        ({ resetProgress }) => resetProgress,
      ),
    reset: (token: string, enrollmentId: string, more: More = {}) =>
      get(Reset, { input: { target: { enrollmentId: globalId('Enrollment', enrollmentId) }, ...more } }, token).then(
        ({ resetProgress }) => resetProgress,
      ),
  }
  return { ask, get, ...mutate }
}

interface More {
  readonly idempotencyKey?: string
  readonly expectedVersion?: number
}

/** The text for each number from 0 on, so many, one after the other. */
export const numbered = (count: number, text: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ')

export const globalId = (typename: string, id: string) => Buffer.from(`${typename}:${id}`).toString('base64')
export const localIdOf = (globalId: string) => Buffer.from(globalId, 'base64').toString().split(':')[1]!

/** The answer, if it is the payload; otherwise it fails, telling what came instead. */
export function payload<Result extends { readonly __typename: string }>(
  result: Result,
): Extract<Result, { readonly version: number }> {
  if (!result.__typename.endsWith('Payload')) throw new Error(`Not the payload: ${JSON.stringify(result)}`)
  return result as Extract<Result, { readonly version: number }>
}

/** What the request made: the payload without the things that are shown as they are now. */
export function made<Payload extends { readonly enrollment: unknown; readonly lessonProgress?: unknown }>(
  payload: Payload,
): Omit<Payload, 'enrollment' | 'lessonProgress'> {
  const { enrollment: _, lessonProgress: __, ...own } = payload
  return own
}

export const Enroll = graphql(`
  mutation Enroll($input: EnrollInput!) {
    enroll(input: $input) {
      __typename
      ... on EnrollPayload {
        version replayed
        enrollment { id version completedLessonCount lessonCount percent attempt completedAt }
      }
      ... on DomainError { code message }
      ... on VersionConflict { currentVersion current { __typename id } }
    }
  }
`)

export const Open = graphql(`
  mutation Open($input: OpenLessonInput!) {
    openLesson(input: $input) {
      __typename
      ... on OpenLessonPayload { version replayed tracked lesson { id title } lessonProgress { status openedAt
      completedAt resets } enrollment { id version } }
      ... on DomainError { code message }
      ... on PrerequisiteNotMet { lessons { id title } }
    }
  }
`)

export const CompleteContent = graphql(`
  mutation CompleteContent($input: CompleteContentInput!) {
    completeContent(input: $input) {
      __typename
      ... on CompleteContentPayload { version replayed alreadyCompleted completedAt contentItem { id } lessonProgress
      { status openedAt } enrollment { id version } }
      ... on DomainError { code message }
    }
  }
`)

export const Complete = graphql(`
  mutation Complete($input: CompleteLessonInput!) {
    completeLesson(input: $input) {
      __typename
      ... on CompleteLessonPayload {
        version replayed alreadyCompleted courseCompleted
        committed { version kind percent completedLessonCount }
        lessonProgress { id status openedAt completedAt resets }
        enrollment { id version completedLessonCount lessonCount percent attempt completedAt }
      }
      ... on DomainError { code message }
      ... on PrerequisiteNotMet { lessons { id title } }
      ... on VersionConflict { expectedVersion currentVersion current { __typename id ... on Enrollment { version
      completedLessonCount percent } } }
      ... on Busy { retryAfterMs }
      ... on Unavailable { retryAfterMs }
      ... on OperationFailed { requestId }
    }
  }
`)

export const Reset = graphql(`
  mutation Reset($input: ResetProgressInput!) {
    resetProgress(input: $input) {
      __typename
      ... on ResetProgressPayload { version replayed reset message lessonProgress { status openedAt completedAt resets
      } enrollment { id version completedLessonCount percent attempt completedAt } }
      ... on DomainError { code message }
    }
  }
`)
