import type { Log } from '../operator/log.ts'
import { EPOCH, epochOf } from './epoch.ts'
import type { JournalEvent } from './event.ts'
import { type Listeners, rootChannel, type Window } from './listeners.ts'
import { CHANGED, eventsOf, MORE, NAME, NEWS, NOW, type NowRow } from './news.ts'
import { lasting } from './snapshot.ts'
import type { Ask } from './tailConnection.ts'

export interface PositionOptions {
  readonly listeners: Listeners
  /** The most events of a page. */
  readonly page: number
  readonly log?: Pick<Log, 'warn'> | undefined
  /** A page was read: how many events, in how many ms. */
  onPage?(events: number, ms: number): void
}

/**
 * How far the journal has been read, and handed out to the listeners.
 *
 *   nowhere ──▶ at a snapshot ──a full page──▶ within a window ──its last page──▶ at its end: a snapshot
 *      ▲              │                              │
 *      └──────────────┴── no listeners, or another epoch
 *
 * A step that fails leaves the position as it was, so the next attempt misses nothing and hands out no page twice.
 */
export class Position {
  readonly #options: PositionOptions
  /** Everything that this snapshot sees has been handed out. */
  #last: string | undefined
  /** The window whose pages are being handed out, and the last event so far. */
  #within: { readonly window: Window; readonly behind: JournalEvent } | undefined
  #name = ''
  #epoch: string | undefined

  constructor(options: PositionOptions) {
    this.#options = options
  }

  /** Whether everything that is committed from now on will be handed out. */
  get isKnown(): boolean {
    return this.#last !== undefined
  }

  /** The epoch as it was read last; undefined before the first reading. */
  get epoch(): string | undefined {
    return this.#epoch
  }

  /** Reads the epoch. If it is another one than before, everything known is from another history. */
  async enterEpoch(ask: Ask): Promise<void> {
    const [row] = await ask<{ name: string; system: string; timeline: string }>({ text: EPOCH })
    const [before, epoch] = [this.#epoch, epochOf(row!)]
    this.#epoch = epoch
    this.#name = row!.name
    if (before === undefined || before === epoch) return
    this.#last = this.#within = undefined
    this.#options.log?.warn({ before, epoch }, 'Another epoch of the database has begun: every stream begins anew.')
    this.#options.listeners.reset()
  }

  /** Hands out everything that is new. Returns whether that took more than a page, so that more may be new by now. */
  async advance(ask: Ask): Promise<boolean> {
    if (!this.#options.listeners.channels) return this.#rest(ask)
    return this.#within ? this.#finish(ask, this.#within.window, this.#within.behind) : this.#next(ask)
  }

  /** While nobody listens, only the epoch's name is read. The next listener begins with a snapshot of its own. */
  async #rest(ask: Ask): Promise<boolean> {
    this.#last = this.#within = undefined
    const [row] = await ask<{ name: string }>(NAME)
    if (row!.name !== this.#name) await this.enterEpoch(ask)
    return false
  }

  async #next(ask: Ask): Promise<boolean> {
    const { page, listeners } = this.#options
    const [from, start] = [this.#last, performance.now()]
    const [row] = await ask<NowRow>(from === undefined ? NOW : { ...NEWS, values: [from, page] })
    const { snapshot, name, newest, events } = row!
    if (name !== this.#name) {
      await this.enterEpoch(ask)
      return this.advance(ask) // a listener is attached only once there is a position in the new epoch
    }
    const to = lasting(snapshot, newest)
    if (from !== undefined && events) {
      const [news, window] = [eventsOf(events), { from, to }]
      const isFull = news.length === page
      if (isFull && listeners.hasGuards) await this.#callGuards(ask, window)
      else if (listeners.hasGuards)
        for (const { rootType, rootId } of news) listeners.change(rootChannel(rootType, rootId))
      this.#handOut(news, window, start)
      if (isFull) return this.#finish(ask, window, news.at(-1)!)
    }
    this.#last = to
    return false
  }

  /** Of a window of many pages, a guarded root may have changed on a later page: guards are called before the first. */
  async #callGuards(ask: Ask, { from, to }: Window): Promise<void> {
    const { listeners } = this.#options
    const changed = await ask<{ channel: string }>({ ...CHANGED, values: [from, to, listeners.guarded] })
    for (const { channel } of changed) listeners.change(channel)
  }

  /** Hands out the further pages of a window. */
  async #finish(ask: Ask, window: Window, first: JournalEvent): Promise<boolean> {
    const { page } = this.#options
    for (let behind = first; ; ) {
      this.#within = { window, behind }
      const start = performance.now()
      const place = [behind.rootType, behind.rootId, behind.version]
      const [row] = await ask<{ events: string | null }>({ ...MORE, values: [window.from, page, window.to, ...place] })
      const news = eventsOf(row!.events)
      this.#handOut(news, window, start)
      if (news.length < page) break
      behind = news.at(-1)!
    }
    this.#within = undefined
    this.#last = window.to
    return true
  }

  #handOut(news: readonly JournalEvent[], window: Window, start: number): void {
    this.#options.listeners.handOut(news, window)
    this.#options.onPage?.(news.length, performance.now() - start)
  }
}
