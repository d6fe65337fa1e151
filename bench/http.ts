import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { createInterface } from 'node:readline'
import type { Variant } from './variants.ts'

const document = `mutation Complete($input: CompleteLessonInput!) { completeLesson(input: $input) { __typename
  ... on CompleteLessonPayload { version alreadyCompleted courseCompleted lessonProgress { status completedAt }
    enrollment { completedLessonCount lessonCount percent } } } }`

/** completeLesson through the front door: a server process of its own, HTTP with keep-alive, a token a learner. */
export async function viaHttp(url: string): Promise<Variant> {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', 'start', '--json'], {
    env: {
      ...process.env,
      DATABASE_URL: url,
      PORT: '0',
      LOG_LEVEL: 'warn',
      DATABASE_POOL_SIZE: '4',
      DATABASE_POOL_MAX: '12',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  }) as ChildProcess & { stdout: NodeJS.ReadableStream }
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string]
  const { hostname, port } = new URL((JSON.parse(line) as { graphql: string }).graphql)
  const agent = new http.Agent({ keepAlive: true })

  const post = (token: string, body: string) =>
    new Promise<string>((resolve, reject) => {
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        authorization: `Bearer ${token}`,
      }
      const request = http.request({ agent, hostname, port, path: '/graphql', method: 'POST', headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part) => (text += part))
        response.on('end', () => resolve(text))
      })
      request.on('error', reject)
      request.end(body)
    })

  return {
    async call(key, learner, lesson) {
      const input = { lessonId: Buffer.from(`Lesson:${lesson}`).toString('base64'), idempotencyKey: key }
      const answer = await post(`token-${learner}`, JSON.stringify({ query: document, variables: { input } }))
      if (!answer.includes('"alreadyCompleted":false')) throw new Error(answer)
    },
    async close() {
      agent.destroy()
      server.kill('SIGTERM')
      await once(server, 'exit')
    },
  }
}
