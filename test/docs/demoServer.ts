import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { vi } from 'vitest'
import { program } from '../program.ts'
import { root } from './markdown.ts'

/** A program that was started, and what it has printed so far. */
export interface Run {
  readonly child: ChildProcess
  readonly printed: string
  /** Resolves when it has ended. */
  readonly ended: Promise<unknown>
}

/** Starts a program in the project's folder. Standard error is part of what it prints. */
export function run(command: string, parameters: readonly string[], environment: Record<string, string> = {}): Run {
  // a group of its own, so that what it starts can be ended with it
  const child = spawn(command, parameters, {
    cwd: root,
    detached: true,
    env: { PATH: process.env.PATH, ...environment },
  })
  let printed = ''
  const take = (text: string) => (printed += text)
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  return {
    child,
    get printed() {
      return printed
    },
    ended: once(child, 'close'),
  }
}

/** Ends a program and all that it has started. */
export async function end({ child, ended }: Run): Promise<void> {
  try {
    process.kill(-child.pid!, 'SIGTERM')
  } catch {
    // it has ended already
  }
  await ended
}

/** `lockstep start --demo` on a free port, as a process of its own. */
export async function demoServer(databaseUrl: string): Promise<Run & { readonly url: string }> {
  const parameters = [...program, 'start', '--json', '--demo']
  const server = run(process.execPath, parameters, { DATABASE_URL: databaseUrl, PORT: '0', LOG_LEVEL: 'error' })
  const line = () => /^\{.*"graphql".*\}$/m.exec(server.printed)?.[0]
  await Promise.race([server.ended, vi.waitUntil(line, { timeout: 40_000, interval: 20 })])
  const ready = line()
  if (!ready) throw new Error(`The server ended before it was ready:\n${server.printed}`)
  return Object.assign(server, { url: (JSON.parse(ready) as { graphql: string }).graphql })
}
