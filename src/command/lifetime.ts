import { existsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../operator/config.ts'
import { exitCode } from '../operator/operatorError.ts'
import { report } from '../operator/print.ts'
import type { Server } from '../server/server.ts'
import type { OpenDatabase } from './openDatabase.ts'

/** Each ends the process in order; a second one at once. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/** npm passes on a Ctrl-C that the terminal has already sent, so that one press arrives twice. */
const onePressMs = 500

/** How long the end may take, beyond the grace for requests under way. */
const patienceMs = 30_000

/**
 * The life of a process that serves.
 *
 *     starting ──▶ serving ──▶ ending ──▶ exit
 *        │                       ▲ ▲
 *        ├── signal, or an error ┘ │ that nobody caught; serving: also PostgreSQL lost for good
 *        └── start failed: what was begun is ended, and the error thrown
 */
export class Lifetime {
  /** To be drained at the end, once it is there. */
  server?: Server
  /** To be closed at the end, also if it is still being opened by then. */
  database?: Promise<OpenDatabase>
  readonly #config: Config
  readonly #log: Logger
  #starting: Promise<void> = Promise.resolve()
  #endingSince?: number

  constructor(config: Config, log: Logger) {
    this.#config = config
    this.#log = log
  }

  /** A start looks at this between its steps, and goes no further. */
  get isEnding(): boolean {
    return this.#endingSince !== undefined
  }

  /** Rejects if the start fails, after what was begun is ended; not if a signal has ended it. */
  async begin(start: () => Promise<void>): Promise<void> {
    for (const signal of signals) process.on(signal, this.#onSignal)
    process.on('uncaughtException', this.#onError).on('unhandledRejection', this.#onError)
    this.#starting = start()
    try {
      await this.#starting
    } catch (error) {
      if (this.isEnding) return
      for (const signal of signals) process.off(signal, this.#onSignal)
      process.off('uncaughtException', this.#onError).off('unhandledRejection', this.#onError)
      await this.#end()
      throw error
    }
    void this.database?.then(({ embedded }) => embedded?.lost.then(() => this.#onLost()))
  }

  readonly #onSignal = (signal: NodeJS.Signals) => {
    if (this.#endingSince === undefined) void this.#exit(0)
    else if (performance.now() - this.#endingSince > onePressMs) process.exit(128 + os.constants.signals[signal])
  }

  readonly #onError = (error: unknown) => {
    this.#log.fatal(error, 'An error that nobody caught.')
    if (this.isEnding) process.exit(exitCode.software)
    void this.#exit(exitCode.software)
  }

  #onLost() {
    const { data } = this.#config
    if (!existsSync(path.join(data, 'postgres')))
      this.#log.fatal(
        `The data folder ${data} is gone: it was removed or renamed while it was in use. Put it back, then ` +
          'start again.',
      )
    if (!this.isEnding) void this.#exit(exitCode.unavailable)
  }

  async #exit(code: number) {
    this.#endingSince = performance.now()
    this.#log.info('Ending: what is under way is finished first.')
    const { shutdownGraceMs } = this.#config
    setTimeout(() => this.#giveUp(), shutdownGraceMs + patienceMs).unref()
    // what is begun is finished first, unless it takes too long, such as waiting for another process that migrates
    await Promise.race([this.#starting.catch(() => {}), sleep(shutdownGraceMs)])
    await this.#end()
    await report.flush()
    process.exit(code)
  }

  #giveUp() {
    this.#log.error(
      'Not everything could be ended in time. A PostgreSQL that is left running is taken over by the next start.',
    )
    process.exit(1)
  }

  /** First what uses the database, for as long as it may take, then the database. */
  async #end() {
    const { shutdownGraceMs } = this.#config
    const drained = this.server?.drain().then(
      () => true,
      (error: unknown) => void this.#log.error(error, 'Draining failed.'),
    )
    const inTime = await Promise.race([drained, sleep(shutdownGraceMs, 'late' as const, { ref: false })])
    if (inTime === 'late')
      this.#log.warn(`Requests were still under way after ${shutdownGraceMs} ms; ending all the same.`)
    // a PostgreSQL that is being started would stay behind
    const database = await this.database?.catch(() => undefined)
    await database?.close()
  }
}
