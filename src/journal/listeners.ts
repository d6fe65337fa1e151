import type { Log } from '../operator/log.ts'
import type { JournalEvent } from './event.ts'

/** What was read together: all that `to` sees and `from` did not. Both are PostgreSQL's snapshots. */
export interface Window {
  readonly from: string
  readonly to: string
}

/** Receives the events of a channel: one root's or one topic's. */
export interface Listener {
  /**
   * An event was committed; `window` says which events were new together. A listener may already know an event that was
   * committed around the time that it attached.
   */
  hear(event: JournalEvent, window: Window): void
  /** Another epoch has begun: everything known is from another history. */
  reset(): void
}

/** The channel of one root's events. A topic is a channel of its own name. */
export const rootChannel = (rootType: string, rootId: string): string => `${rootType} ${rootId}`

/** Sets of values by channel. A channel without values is forgotten. */
class Channels<Value> {
  readonly #sets = new Map<string, Set<Value>>()

  get size(): number {
    return this.#sets.size
  }
  get names(): string[] {
    return [...this.#sets.keys()]
  }
  of(channel: string): ReadonlySet<Value> | undefined {
    return this.#sets.get(channel)
  }
  add(channel: string, value: Value): void {
    const set = this.#sets.get(channel)
    if (set) set.add(value)
    else this.#sets.set(channel, new Set([value]))
  }
  remove(channel: string, value: Value): void {
    const set = this.#sets.get(channel)
    set?.delete(value)
    if (set?.size === 0) this.#sets.delete(channel)
  }
}

/** All who listen to the tail of a process, and its guards. One that throws must not affect the others. */
export class Listeners {
  readonly #listeners = new Channels<Listener>()
  readonly #guards = new Channels<() => void>()
  readonly #log: Pick<Log, 'error'> | undefined

  constructor(log: Pick<Log, 'error'> | undefined) {
    this.#log = log
  }

  /** How many channels are listened to. */
  get channels(): number {
    return this.#listeners.size
  }

  /** The channels that are guarded. */
  get guarded(): string[] {
    return this.#guards.names
  }
  /** Whether any channel is guarded. */
  get hasGuards(): boolean {
    return this.#guards.size > 0
  }

  attach(channel: string, listener: Listener): void {
    this.#listeners.add(channel, listener)
  }
  detach(channel: string, listener: Listener): void {
    this.#listeners.remove(channel, listener)
  }

  /** Adds a guard to a channel. Returns a function that removes it. */
  guard(channel: string, changed: () => void): () => void {
    this.#guards.add(channel, changed)
    return () => this.#guards.remove(channel, changed)
  }

  /** Calls the guards of a channel. */
  change(channel: string): void {
    const guards = this.#guards.of(channel)
    if (guards) for (const changed of [...guards]) this.#call(changed)
  }

  /** Hands events out, each to the listeners of its root and of its topic. */
  handOut(news: readonly JournalEvent[], window: Window): void {
    for (const event of news) {
      this.#hand(rootChannel(event.rootType, event.rootId), event, window)
      this.#hand(event.topic, event, window)
    }
  }

  #hand(channel: string, event: JournalEvent, window: Window): void {
    const listeners = this.#listeners.of(channel)
    if (!listeners) return
    for (const listener of listeners) {
      try {
        listener.hear(event, window) // without a closure: this runs for each event and each channel
      } catch (error) {
        this.#report(error)
      }
    }
  }

  /** Another epoch has begun. Nobody heard what changed meanwhile, so every guard is called, before any listener. */
  reset(): void {
    for (const channel of this.#guards.names) this.change(channel)
    for (const channel of this.#listeners.names)
      for (const listener of [...(this.#listeners.of(channel) ?? [])]) this.#call(() => listener.reset())
  }

  #call(listen: () => void): void {
    try {
      listen()
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    this.#log?.error({ err: error }, 'A listener failed on an event; the others receive it.')
  }
}
