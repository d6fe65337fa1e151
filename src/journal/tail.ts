import type { Log } from '../operator/log.ts'
import { type Listener, Listeners } from './listeners.ts'
import { Position } from './position.ts'
import { TailConnection } from './tailConnection.ts'

export interface TailOptions {
  readonly url: string
  /** How often the journal is read without being rung for, in ms. */
  readonly everyMs?: number
  /** For how long commits are gathered before other processes are notified, in ms. */
  readonly quietMs?: number
  /** The most events of a page. */
  readonly page?: number
  /** How long an answer of the database is waited for, in ms. */
  readonly answerMs?: number
  readonly log?: Pick<Log, 'info' | 'warn' | 'error'>
  readonly watch?: {
    /** A page was read: how many events, in how many ms. */
    read?(events: number, ms: number): void
    /** The journal could not be read. */
    lost?(): void
  }
}

/**
 * The one reader of the journal in this process. It reads what is new once for all listeners, and hands it out by root
 * and by topic. PostgreSQL's own snapshots decide what is new: everything that the last one did not see. A number from
 * a sequence would not do (it is drawn before the commit, in another order), nor a horizon (any long transaction holds
 * it up).
 *
 *          rung, notified, polled, attached
 *   idle ─────────────────────────────────────▶ reading ──▶ idle, or reading again if rung meanwhile
 *    ▲                                            │ failed
 *    └── down: waits for the next poll ◀──────────┴──▶ the first time, or if somebody waits: reads again at once
 *
 * `stop` ends it in any state. Being rung is only a hint: the poll alone is enough to miss nothing. A reading that
 * failed continues where it was. While nobody listens, no events are read.
 */
export class Tail {
  readonly #quietMs: number
  readonly #observers: Pick<TailOptions, 'log' | 'watch'>
  readonly #listeners: Listeners
  readonly #position: Position
  readonly #connection: TailConnection
  readonly #poll: NodeJS.Timeout
  /** Callers of `#pass`. */
  #waiting: { resolve(): void; reject(error: unknown): void }[] = []
  #rung = false
  #isReading = false
  #notifyTimer: NodeJS.Timeout | undefined
  /** Other processes are to be notified. */
  #notify = false
  /** Readings in a row that failed. */
  #failures = 0
  #stopped = false

  constructor({ url, everyMs = 1_000, quietMs = 20, page = 1_000, answerMs = 5_000, log, watch }: TailOptions) {
    this.#quietMs = quietMs
    this.#observers = { log, watch }
    this.#listeners = new Listeners(log)
    this.#position = new Position({
      ...{ listeners: this.#listeners, page, log },
      onPage: (events, ms) => watch?.read?.(events, ms),
    })
    this.#connection = new TailConnection({
      ...{ url, answerMs },
      onNotification: () => {
        if (this.channels) this.#wake()
      },
      onLost: () => this.#wake(), // to listen again before another process commits
    })
    this.#poll = setInterval(() => this.#wake(), everyMs)
  }

  /** How many channels are listened to. */
  get channels(): number {
    return this.#listeners.channels
  }

  /**
   * To be called after each commit of this process. Its own listeners hear the events at once, other processes soon:
   * many commits share one NOTIFY.
   */
  ring(): void {
    if (this.channels) this.#wake()
    this.#notifyTimer ??= setTimeout(() => {
      this.#notifyTimer = undefined
      this.#notify = true
      this.#wake()
    }, this.#quietMs)
  }

  /**
   * Once this resolves, `listener` hears each event of the channel that is committed. Rejects if the journal cannot be
   * read; the listener then stays attached, and hears events as soon as it can be.
   */
  async attach(channel: string, listener: Listener): Promise<void> {
    this.#listeners.attach(channel, listener)
    if (!this.#position.isKnown) await this.#pass()
  }

  /** Ends `attach`. */
  detach(channel: string, listener: Listener): void {
    this.#listeners.detach(channel, listener)
  }

  /**
   * Calls `changed` for each change of the root, before any listener hears an event that was committed together with
   * the change or later. Returns a function that ends this.
   */
  guard(channel: string, changed: () => void): () => void {
    return this.#listeners.guard(channel, changed)
  }

  /** The epoch, which is part of each cursor. Rejects if it has not been read before and cannot be read now. */
  async epoch(): Promise<string> {
    if (this.#position.epoch === undefined) await this.#pass()
    return this.#position.epoch!
  }

  /** The epoch as it was read last; empty before the first reading. */
  get currentEpoch(): string {
    return this.#position.epoch ?? ''
  }

  /** Ends it: listeners hear nothing more, and those who wait for a reading are rejected. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#poll)
    clearTimeout(this.#notifyTimer)
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('Connection ended'))
    await this.#connection.end()
  }

  /** Resolves when the journal has been read from now on; rejects if it cannot be. */
  #pass(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#wake()
    })
  }

  #wake(): void {
    this.#rung = true
    if (!this.#isReading) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isReading = true
    try {
      while (this.#rung && !this.#stopped) {
        this.#rung = false
        const waiting = this.#waiting.splice(0)
        try {
          await this.#read()
          for (const { resolve } of waiting) resolve()
          if (this.#failures) this.#observers.log?.info({}, 'The journal is read again; nothing was missed.')
          this.#failures = 0
          this.#connection.relax()
        } catch (error) {
          for (const { reject } of waiting) reject(error)
          this.#fail(error)
        }
      }
    } finally {
      this.#isReading = false
    }
  }

  async #read(): Promise<void> {
    const ask = await this.#connection.open((ask) => this.#position.enterEpoch(ask))
    if (await this.#position.advance(ask)) this.#rung = true
    if (!this.#notify) return
    await ask({ text: 'notify lockstep' })
    this.#notify = false
  }

  #fail(error: unknown): void {
    void this.#connection.close()
    // First failure: the connection may have been lost, so retry at once. Later ones: the database may be gone.
    this.#rung = this.#waiting.length > 0 || !this.#failures
    if (this.#stopped) return
    this.#observers.watch?.lost?.()
    if (!this.#failures)
      this.#observers.log?.warn({ err: error }, 'The journal cannot be read; trying again every second until it can.')
    this.#failures++
  }
}
