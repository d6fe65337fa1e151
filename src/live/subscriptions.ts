import { createSourceEventStream, type ExecutionArgs, type ExecutionResult } from 'graphql'
import type { Context } from '../api/context.ts'
import { problem } from '../api/shownError.ts'
import { OpenedStream } from '../api/stream.ts'
import { Arrivals } from './arrivals.ts'
import { Rendering } from './render.ts'
import { type End, Subscriber, type SubscriberOptions } from './subscriber.ts'

export interface SubscriptionsOptions extends Omit<SubscriberOptions, 'rendering' | 'onEnd' | 'onDelivered'> {
  /** Whether there is room for one more connection. */
  readonly room: () => boolean
  /** The most subscriptions of one user. */
  readonly perUser: number
  /** How often all access is checked again, whatever the journal says, in ms. */
  readonly recheckMs?: number
  readonly watch?: {
    closed?(why: End): void
    delivered?(length: number): void
    executed?(how: 'shared' | 'apart' | 'in vain'): void
  }
}

/** All subscriptions of this process: the places that they take, and what they share. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #ofSubscribers: SubscriberOptions
  readonly #subscribers = new Set<Subscriber>()
  readonly #ofUser = new Map<string, number>()
  readonly #recheck: NodeJS.Timeout
  #streams = 0
  #isClosed = false

  constructor(options: SubscriptionsOptions) {
    this.#options = options
    const { watch } = options
    this.#ofSubscribers = {
      ...options,
      rendering: new Rendering(options),
      onEnd: (subscriber, why) => {
        this.#leave(subscriber)
        watch?.closed?.(why)
      },
      onDelivered: watch?.delivered && ((length) => watch.delivered?.(length)),
    }
    this.#recheck = setInterval(() => {
      for (const subscriber of this.#subscribers) subscriber.recheck(false)
    }, options.recheckMs ?? 10_000)
  }

  /** How many there are. */
  get count(): number {
    return this.#subscribers.size
  }

  /** How many of them have a connection to themselves. */
  get streams(): number {
    return this.#streams
  }

  /**
   * Executes a subscription. With a sink in the context, results go there and the iterable has only the end; without,
   * it has the results.
   */
  readonly subscribe = async (args: ExecutionArgs): Promise<AsyncIterable<ExecutionResult> | ExecutionResult> => {
    const opened = await createSourceEventStream(args)
    // each of our subscription fields returns OpenedStream
    if (!(opened instanceof OpenedStream)) return opened as ExecutionResult
    const context = args.contextValue as Context // GraphQL knows it as unknown
    const { viewer, sink } = context
    if (!viewer) throw new Error('A stream was opened for nobody.')
    const arrivals = new Arrivals(sink !== undefined)
    const asked = { args, opened, viewer, sink: sink ?? arrivals, arrivals }
    const subscriber = new Subscriber(this.#ofSubscribers, asked)
    arrivals.onBegin = () => this.#enter(subscriber)
    arrivals.onReturn = () => subscriber.leave()
    return arrivals
  }

  /** Ends all; their clients connect again and resume with their cursors. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#recheck)
    for (const subscriber of [...this.#subscribers]) subscriber.leave()
  }

  #enter(subscriber: Subscriber) {
    if (this.#isClosed) return subscriber.arrivals.end()
    const { perUser, room } = this.#options
    const { id } = subscriber.access.viewer
    const count = (this.#ofUser.get(id) ?? 0) + 1
    if (subscriber.isStream && !room()) return subscriber.arrivals.end(noRoom())
    if (count > perUser) return subscriber.arrivals.end(tooMany(perUser))
    this.#ofUser.set(id, count)
    this.#subscribers.add(subscriber)
    if (subscriber.isStream) this.#streams++
    subscriber.begin()
  }

  #leave(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return
    if (subscriber.isStream) this.#streams--
    const { id } = subscriber.access.viewer
    const count = this.#ofUser.get(id)! - 1
    if (count) this.#ofUser.set(id, count)
    else this.#ofUser.delete(id)
  }
}

const noRoom = () => problem('TOO_MANY_CONNECTIONS', 'The server has no room for more connections. Try again later.')

const tooMany = (most: number) =>
  problem(
    'TOO_MANY_SUBSCRIPTIONS',
    `You have ${most} subscriptions, which is the most for one user. End some of them first.`,
  )
