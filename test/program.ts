import { execFile } from 'node:child_process'
import { inject } from 'vitest'

/** Node's parameters that run the compiled program; what follows them are the program's own. */
export const program: readonly string[] = ['--enable-source-maps', inject('program')]

/** Runs one command as an operator does, with nothing of our own environment but PATH, and waits for its end. */
export function run(parameters: readonly string[], environment: Record<string, string | undefined>) {
  return new Promise<{ code: number; output: string; errors: string }>((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...environment } }
    execFile(process.execPath, [...program, ...parameters], options, (error, output, errors) =>
      resolve({ code: error ? Number(error.code) : 0, output, errors }),
    )
  })
}
