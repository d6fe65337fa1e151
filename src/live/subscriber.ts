import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionArgs } from 'graphql'
import { type Context, createContext, type Sink, type Viewer } from '../api/context.ts'
import { problem } from '../api/shownError.ts'
import type { OpenedStream } from '../api/stream.ts'
import type { TooSlowItem } from '../api/streamItem.ts'
import { DomainError, type Unauthenticated } from '../commit/errors.ts'
import { cursorText } from '../journal/cursor.ts'
import type { Follow, Item, Reader } from '../journal/follow.ts'
import { Access, type AccessOptions, type AccessReader } from './access.ts'
import type { Arrivals } from './arrivals.ts'
import type { Rendering } from './render.ts'
import { Turns } from './turns.ts'

/** Why a subscription ended: by the client or this server, too slow a reader, access withdrawn, an error. */
export type End = 'left' | 'too_slow' | 'refused' | 'failed'

export interface SubscriberOptions extends AccessOptions {
  readonly follow: Follow
  readonly rendering: Rendering
  /** An error as a client is shown it. */
  readonly shown: (error: unknown) => Error
  /** The most bytes that wait for one subscriber. */
  readonly bufferBytes: number
  /** It has ended. */
  readonly onEnd: (subscriber: Subscriber, why: End) => void
  /** It was sent so many characters. */
  readonly onDelivered?: ((length: number) => void) | undefined
}

/** The most items that wait for one subscriber's rendering or access check; more than a follower keeps. */
const MOST_PENDING = 4_000

/** What a subscriber asked for, and where its items go. */
export interface Subscription {
  readonly args: ExecutionArgs
  readonly opened: OpenedStream
  readonly viewer: Viewer
  readonly sink: Sink
  readonly arrivals: Arrivals
}

/**
 * One subscription: items come from its follower, are rendered, and go to its sink, in order.
 *
 *                    ┌── a guard rang, or a page begins ──┐
 *                    ▼                                    │
 *   created ───▶ holding ── the viewer may see this ─▶ sending
 *              (items wait)                        (items are sent)
 *                    │                                    │
 *                    └─ may not see this, too much waits, ┴─▶ over
 *                       an error, the client left
 */
export class Subscriber implements Reader, AccessReader {
  readonly access: Access
  readonly arrivals: Arrivals
  readonly #options: SubscriberOptions
  readonly #args: ExecutionArgs
  readonly #opened: OpenedStream
  readonly #sink: Sink
  readonly #asked: string
  /** Items that wait for the access check; at first, too: something may have changed before the guards were set. */
  #held: (readonly [item: Item, isLive: boolean])[] | undefined = []
  /** The access was asked for since the last page. */
  #isChecked = false
  /** Items that are being rendered, in order. */
  readonly #rendering = new Turns(MOST_PENDING)
  #cursor: string | undefined
  #stop: (() => void) | undefined
  #isOver = false

  constructor(options: SubscriberOptions, { args, opened, viewer, sink, arrivals }: Subscription) {
    this.#options = options
    this.#args = args
    this.#opened = opened
    this.access = new Access(viewer, opened.stream, options, this)
    this.#sink = sink
    this.arrivals = arrivals
    this.#asked = options.rendering.nameOf(args)
    this.#cursor = opened.after && cursorText(opened.after)
  }

  /** It has a connection to itself. */
  get isStream(): boolean {
    return this.#sink === this.arrivals
  }

  begin(): void {
    this.access.watch(() => this.recheck(true))
    const stop = this.#options.follow(this.#opened.stream.source, this.#opened.after, this)
    if (this.#isOver) stop()
    else this.#stop = stop
  }

  /** Asks whether the viewer may still see this; with `hold`, items wait for the answer. */
  recheck(hold: boolean): void {
    if (this.#isOver || (!hold && this.#held)) return
    if (hold) this.#held ??= []
    this.access.check(hold)
  }

  hear(item: Item, isLive: boolean): void {
    if (this.#isOver) return
    if (!this.#isChecked) {
      this.#isChecked = true
      this.recheck(true)
    }
    if (!this.#held) this.#process(item, isLive)
    else if (this.#held.length < MOST_PENDING) this.#held.push([item, isLive])
    else this.#lag()
  }

  async ready(): Promise<void> {
    while (this.#isBusy) {
      await (this.access.checking ?? this.#rendering.last ?? this.#sink.drained())
      // a network that has taken some but not enough, or is closing, would be asked for ever in one turn
      if (this.#isBusy) await sleep(5)
    }
    this.#isChecked = false // what is read next may be newer than what the guards have seen
  }

  fail(error: unknown): void {
    const why = error instanceof DomainError ? 'refused' : 'failed'
    if (this.#finish(why)) this.arrivals.end(this.#options.shown(error))
  }

  granted(): void {
    const held = this.#held
    this.#held = undefined
    for (const [item, isLive] of held ?? []) this.hear(item, isLive)
  }

  signedOut(error: Unauthenticated): void {
    this.fail(error)
    this.#sink.signedOut?.()
  }

  /** Ends it; nothing more is sent. */
  leave(): void {
    if (this.#finish('left')) this.arrivals.end()
  }

  get #isBusy(): boolean {
    const isFull = this.#sink.waiting > this.#options.bufferBytes / 2
    return !this.#isOver && (this.access.checking !== undefined || this.#rendering.count > 0 || isFull)
  }

  #process(item: Item, isLive: boolean) {
    const rendered = this.#render(item)
    if (typeof rendered === 'string' && !this.#rendering.last) return this.#send(item, rendered, isLive)
    const send = (json: string) => this.#send(item, json, isLive)
    if (!this.#rendering.add(rendered, send, (error) => this.fail(error))) this.#lag()
  }

  #render(item: Item | TooSlowItem): string | Promise<string> {
    const shared = this.#options.rendering.shared(item, this.#asked, this.#args)
    if (typeof shared === 'string') return shared
    return shared instanceof Promise ? shared.then((json) => json ?? this.#apart(item)) : this.#apart(item)
  }

  #apart(item: object): string | Promise<string> {
    const { surroundings, rendering } = this.#options
    const { requestId } = this.#args.contextValue as Context // GraphQL knows it as unknown
    return rendering.apart(item, this.#args, createContext(surroundings, this.access.viewer, requestId))
  }

  #send(item: Item, json: string, isLive: boolean): void {
    if (this.#isOver) return
    this.#sink.send(json)
    this.#cursor = item.cursor
    this.#options.onDelivered?.(json.length)
    // what is not live comes in pages, and only when the network has taken the last
    if (isLive && this.#sink.waiting > this.#options.bufferBytes) this.#lag()
  }

  /** Too much waits: sends the cursor to resume from, and ends. */
  #lag() {
    if (!this.#finish('too_slow')) return
    if (this.#cursor === undefined) return this.arrivals.end(tooSlowAtOnce())
    const last = (json: string) => {
      this.#sink.send(json)
      this.arrivals.end()
    }
    const rendered = this.#render({ is: 'tooSlow', cursor: this.#cursor })
    if (typeof rendered === 'string') last(rendered)
    else rendered.then(last, () => this.arrivals.end())
  }

  /** Follows and watches no more. Returns false if it was over already. */
  #finish(why: End): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.access.stop()
    this.#stop?.()
    this.#held = undefined
    this.#options.onEnd(this, why)
    return true
  }
}

const tooSlowAtOnce = () =>
  problem('SUBSCRIBER_TOO_SLOW', 'Too much changed before the first item could be sent. Subscribe again.')
