import { setTimeout as sleep } from 'node:timers/promises'
import {
  createSourceEventStream,
  execute,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  Kind,
} from 'graphql'
import { type Context, createContext, type Sink, type Surroundings } from '../api/context.ts'
import { Forbidden, Unauthenticated, DomainError } from '../commit/errors.ts'
import type { Viewer } from '../api/context.ts'
import { cursorText } from '../journal/cursor.ts'
import type { Follow, Item } from '../journal/follow.ts'
import { rootChannel } from '../journal/listeners.ts'
import type { Tail } from '../journal/tail.ts'
import { Arrivals } from './arrivals.ts'
import { type LaggingItem, OpenedStream, type Stream } from '../api/stream.ts'

export interface SubscriptionsOptions {
  readonly surroundings: Surroundings
  readonly tail: Tail
  readonly follow: Follow
  /** Who the sessions with these ids belong to, now; null: to nobody any more. */
  readonly sessionOf: (id: string) => Promise<Viewer | null>
  /** What a client is told of an error. */
  readonly shown: (error: unknown) => Error
  /** Whether there is room for one more connection. */
  readonly room: () => boolean
  /** The most bytes that wait for one subscriber. */
  readonly bufferBytes: number
  /** The most subscriptions of one user. */
  readonly perUser: number
  /** How often it is looked whether everybody may still see what they watch, whatever the journal tells, in ms. */
  readonly recheckMs?: number
  readonly watch?: {
    opened?(): void
    closed?(why: 'left' | 'lagging' | 'refused' | 'failed'): void
    delivered?(bytes: number): void
    executed?(how: 'shared' | 'apart' | 'in vain'): void
  }
}

/**
 * The most items that wait to be rendered for one subscriber, or until it is known whether they may still see them;
 * more than a follower keeps.
 */
const MOST_PENDING = 4_000

/**
 * Subscribers with the same document and variables are told the same, as long as nothing of the viewer's own is looked
 * at while it is rendered. Hence each item is rendered once for all of them, blindfolded: the context knows no viewer,
 * and if the viewer is asked for all the same, what was rendered is thrown away, and each is told apart. Who may see a
 * stream at all is decided for each subscriber before.
 */
export class Subscriptions {
  readonly options: SubscriptionsOptions
  readonly #subscribers = new Set<Subscriber>()
  readonly #ofUser = new Map<string, number>()
  readonly #recheck: NodeJS.Timeout
  /** By item, then by what was asked of it. */
  readonly #rendered = new WeakMap<object, Map<string, Rendered | Promise<Rendered>>>()
  readonly #documents = new WeakMap<object, number>()
  #documentCount = 0
  #isClosed = false

  constructor(options: SubscriptionsOptions) {
    this.options = options
    this.#recheck = setInterval(() => {
      for (const subscriber of this.#subscribers) subscriber.recheck(false)
    }, options.recheckMs ?? 10_000)
  }

  /** How many there are. */
  get count(): number {
    return this.#subscribers.size
  }

  /** How many of them have a connection to themselves. */
  streams = 0

  /**
   * Carries out a subscription. With a sink in the context, results go there and only the end comes of the iterable;
   * without, they come of it.
   */
  readonly subscribe = async (args: ExecutionArgs): Promise<AsyncIterable<ExecutionResult> | ExecutionResult> => {
    const opened = (await createSourceEventStream(args)) as OpenedStream | ExecutionResult
    if (!(opened instanceof OpenedStream)) return opened
    const context = args.contextValue as Context
    const arrivals = new Arrivals(context.sink !== undefined)
    const sink = context.sink ?? arrivals
    const subscriber = new Subscriber(this, args, opened, context.viewer!, sink, arrivals)
    arrivals.onBegin = () => this.#enter(subscriber)
    arrivals.onReturn = () => subscriber.leave('left')
    return arrivals
  }

  #enter(subscriber: Subscriber): void {
    const { perUser, watch, room } = this.options
    if (this.#isClosed) {
      subscriber.arrivals.end()
      return
    }
    if (subscriber.isStream && !room()) {
      subscriber.arrivals.end(
        new GraphQLError('No more connections can be taken just now. Try again later.', {
          extensions: { code: 'TOO_MANY_CONNECTIONS' },
        }),
      )
      return
    }
    const { id } = subscriber.viewer
    const count = (this.#ofUser.get(id) ?? 0) + 1
    if (count > perUser) {
      subscriber.arrivals.end(
        new GraphQLError(`You have ${perUser} subscriptions, which is the most for one user. End some of them first.`, {
          extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' },
        }),
      )
      return
    }
    this.#ofUser.set(id, count)
    this.#subscribers.add(subscriber)
    if (subscriber.isStream) this.streams++
    watch?.opened?.()
    subscriber.begin()
  }

  left(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return
    if (subscriber.isStream) this.streams--
    const { id } = subscriber.viewer
    const count = this.#ofUser.get(id)! - 1
    if (count) this.#ofUser.set(id, count)
    else this.#ofUser.delete(id)
  }

  /** Ends all; their clients come back with their cursors. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#recheck)
    for (const subscriber of [...this.#subscribers]) subscriber.leave('left')
  }

  /** What an item is to all who asked for the same; undefined: it is another thing to each. */
  shared(item: object, asked: string, args: ExecutionArgs): Rendered | Promise<Rendered> {
    let byAsked = this.#rendered.get(item)
    if (!byAsked) this.#rendered.set(item, (byAsked = new Map()))
    if (byAsked.has(asked)) return byAsked.get(asked) // also that it can't be shared, which is found out once and not for each
    let looked = false
    // the context itself and no copy of it, since what it loads is loaded with it
    const context = Object.defineProperty(createContext(this.options.surroundings, null, 'shared'), 'viewer', {
      get: () => {
        looked = true
        return null
      },
    })
    const done = (result: ExecutionResult): Rendered => {
      const rendered = looked ? undefined : this.#json(result) // what is thrown away is shown to nobody, nor logged
      byAsked.set(asked, rendered)
      this.options.watch?.executed?.(looked ? 'in vain' : 'shared')
      return rendered
    }
    const result = execute({ ...args, rootValue: item, contextValue: context })
    if (!('then' in result)) return done(result as ExecutionResult)
    const promise = (result as Promise<ExecutionResult>).then(done)
    byAsked.set(asked, promise)
    return promise
  }

  /** What an item is to a viewer, as JSON. */
  render(item: object, args: ExecutionArgs, contextValue: object): string | Promise<string> {
    const result = execute({ ...args, rootValue: item, contextValue })
    return 'then' in result
      ? (result as Promise<ExecutionResult>).then(this.#json)
      : this.#json(result as ExecutionResult)
  }

  readonly #json = ({ errors, data }: ExecutionResult) =>
    JSON.stringify(errors ? { errors: errors.map((error) => this.options.shown(error)), data } : { data })

  /**
   * A name for what is asked: the document, which operation of it, and its variables but for the cursor to go on from.
   */
  nameOf({ document, operationName, variableValues }: ExecutionArgs): string {
    let number = this.#documents.get(document)
    if (number === undefined) this.#documents.set(document, (number = ++this.#documentCount))
    const operation = getOperationAST(document, operationName)
    const [field] = operation?.selectionSet.selections ?? []
    const after =
      field?.kind === Kind.FIELD ? field.arguments?.find(({ name }) => name.value === 'after')?.value : undefined
    const without = after?.kind === Kind.VARIABLE ? after.name.value : undefined
    const names = (operation?.variableDefinitions ?? [])
      .map(({ variable }) => variable.name.value)
      .filter((name) => name !== without)
    return `${number} ${operationName ?? ''} ${JSON.stringify(names.map((name) => (Object.hasOwn(variableValues ?? {}, name) ? [variableValues![name]] : 0)))}`
  }
}

/** JSON; undefined: it can't be shared. */
type Rendered = string | undefined

/** One who is told. */
class Subscriber {
  viewer: Viewer
  readonly arrivals: Arrivals
  readonly #all: Subscriptions
  readonly #args: ExecutionArgs
  readonly #opened: OpenedStream
  readonly #sink: Sink
  readonly #asked: string
  readonly #undo: (() => void)[] = []
  /**
   * What comes while it is being looked whether they may still see it; at first, too, since something may have changed
   * before the guards stood.
   */
  #held: (readonly [item: Item, isLive: boolean])[] | undefined = []
  #isChecked = false
  #checking: Promise<void> | undefined
  #looking = 0
  #rendering: Promise<void> | undefined
  #pending = 0
  #cursor: string | undefined
  #over = false

  constructor(
    all: Subscriptions,
    args: ExecutionArgs,
    opened: OpenedStream,
    viewer: Viewer,
    sink: Sink,
    arrivals: Arrivals,
  ) {
    this.#all = all
    this.#args = args
    this.#opened = opened
    this.viewer = viewer
    this.#sink = sink
    this.arrivals = arrivals
    this.#asked = all.nameOf(args)
    this.#cursor = opened.after && cursorText(opened.after)
  }

  /** It has a connection to itself. */
  get isStream(): boolean {
    return this.#sink === this.arrivals
  }

  get #stream(): Stream {
    return this.#opened.stream
  }

  begin(): void {
    const { tail, follow, bufferBytes } = this.#all.options
    for (const channel of new Set([rootChannel('User', this.viewer.id), ...this.#stream.guards]))
      this.#undo.push(tail.guard(channel, () => this.recheck(true)))
    const left = this.viewer.expiresAt.getTime() - Date.now()
    if (left < 2 ** 31) {
      const timer = setTimeout(() => this.#signOut(), left)
      this.#undo.push(() => clearTimeout(timer))
    }
    const stop = follow(this.#stream.source, this.#opened.after, {
      hear: (item, isLive) => this.#hear(item, isLive),
      fail: (error) => this.#end(error),
      ready: async () => {
        const isBusy = () =>
          !this.#over && (this.#checking || this.#pending > 0 || this.#sink.waiting > bufferBytes / 2)
        while (isBusy()) {
          await (this.#checking ?? this.#rendering ?? this.#sink.drained())
          // a network that has taken some but not enough, or is closing, must not be asked for ever in one turn
          if (isBusy()) await sleep(5)
        }
        this.#isChecked = false // what is read next may be newer than what the guards have seen
      },
    })
    if (this.#over) stop()
    else this.#undo.push(stop)
  }

  #hear(item: Item, isLive: boolean): void {
    if (this.#over) return
    if (!this.#isChecked) {
      this.#isChecked = true
      this.recheck(true)
    }
    if (this.#held) {
      if (this.#held.length < MOST_PENDING) this.#held.push([item, isLive])
      else this.#lag()
      return
    }
    const rendered = this.#render(item)
    if (typeof rendered !== 'string') rendered.catch(() => {}) // its turn is when it is dealt with
    if (typeof rendered === 'string' && !this.#rendering) this.#tell(item, rendered, isLive)
    else if (++this.#pending > MOST_PENDING) this.#lag()
    else {
      const turn = (this.#rendering ?? Promise.resolve())
        .then(() => rendered)
        .then((json) => this.#tell(item, json, isLive))
        .catch((error) => this.#end(error))
        .then(() => {
          this.#pending--
          if (this.#rendering === turn) this.#rendering = undefined
        })
      this.#rendering = turn
    }
  }

  #render(item: Item | LaggingItem): string | Promise<string> {
    const shared = this.#all.shared(item, this.#asked, this.#args)
    if (typeof shared === 'string') return shared
    if (shared instanceof Promise) return shared.then((json) => json ?? this.#apart(item))
    return this.#apart(item)
  }

  /** As this viewer, and nobody else, is told it. */
  #apart(item: object): string | Promise<string> {
    const { surroundings, watch } = this.#all.options
    watch?.executed?.('apart')
    return this.#all.render(
      item,
      this.#args,
      createContext(surroundings, this.viewer, (this.#args.contextValue as Context).requestId),
    )
  }

  #tell(item: Item, json: string, isLive: boolean): void {
    if (this.#over) return
    const { watch, bufferBytes } = this.#all.options
    this.#sink.send(json)
    this.#cursor = item.cursor
    watch?.delivered?.(json.length)
    // what is not live comes in pages, and only when the network has taken the last
    if (isLive && this.#sink.waiting > bufferBytes) this.#lag()
  }

  /** Too much is waiting: they are told from where to go on, and let go. */
  #lag(): void {
    if (this.#over) return
    this.leave('lagging', false)
    if (this.#cursor === undefined) {
      this.arrivals.end(
        new GraphQLError('Too much changed before you could be told how things are. Subscribe again.', {
          extensions: { code: 'LAGGING' },
        }),
      )
      return
    }
    const item: LaggingItem = { is: 'lagging', cursor: this.#cursor }
    const rendered = this.#render(item)
    const last = (json: string) => {
      this.#sink.send(json)
      this.arrivals.end()
    }
    if (typeof rendered === 'string') last(rendered)
    else rendered.then(last, () => this.arrivals.end())
  }

  /** Looks whether they may still see this. What is `held` meanwhile is told if they may. */
  recheck(hold: boolean): void {
    if (this.#over || (!hold && this.#held)) return
    if (hold) this.#held ??= []
    const checking = this.#check(hold)
      .catch((error) => this.#end(error))
      .finally(() => {
        if (this.#checking === checking) this.#checking = undefined
      })
    this.#checking = checking
  }

  async #check(hold: boolean): Promise<void> {
    const turn = ++this.#looking
    const { sessionOf, surroundings } = this.#all.options
    try {
      const viewer = await sessionOf(this.viewer.sessionId)
      if (this.#over) return
      if (!viewer) return this.#signOut()
      this.viewer = viewer
      await this.#stream.authorize(createContext(surroundings, viewer, 'recheck'))
    } catch (error) {
      if (error instanceof DomainError && !this.#over) return this.#end(new Forbidden('You may no longer see this.'))
      if (hold) return this.#end(error) // the database could not say, so that nothing more may be told
      return
    }
    if (turn !== this.#looking || this.#over) return // something changed again meanwhile: that decides
    const held = this.#held
    this.#held = undefined
    for (const [item, isLive] of held ?? []) this.#hear(item, isLive)
  }

  #signOut(): void {
    if (this.#over) return
    this.#end(
      new Unauthenticated(
        'Your session has ended. Sign in again, and subscribe with the cursor of the last item that you have.',
      ),
    )
    this.#sink.signedOut?.()
  }

  #end(error: unknown): void {
    if (this.#over) return
    this.leave(error instanceof DomainError ? 'refused' : 'failed', false)
    this.arrivals.end(this.#all.options.shown(error))
  }

  /** They are told nothing any more. */
  leave(why: 'left' | 'lagging' | 'refused' | 'failed', end = true): void {
    if (this.#over) return
    this.#over = true
    for (const undo of this.#undo.splice(0)) undo()
    this.#held = undefined
    this.#all.left(this)
    this.#all.options.watch?.closed?.(why)
    if (end) this.arrivals.end()
  }
}
