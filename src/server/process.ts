import type { Surroundings } from '../api/context.ts'
import type { Module, Reaction } from '../api/module.ts'
import { shownError } from '../api/shownError.ts'
import type { Workplace } from '../api/workplace.ts'
import { type Commit, commits } from '../commit/commit.ts'
import { connect, type Db } from '../database/client.ts'
import { sessions, viewers } from '../identity/viewer.ts'
import { rootCursor } from '../journal/cursor.ts'
import { following } from '../journal/follow.ts'
import { Newest } from '../journal/newest.ts'
import { Tail } from '../journal/tail.ts'
import { Origins } from '../live/origins.ts'
import { Sockets } from '../live/sockets.ts'
import { Subscriptions } from '../live/subscriptions.ts'
import type { Config } from '../operator/config.ts'
import type { Log } from '../operator/log.ts'
import type { Repeated } from '../operator/repeat.ts'
import { BODY_LIMIT } from './graphqlRoute.ts'
import type { Metrics } from './metrics.ts'
import { Operations } from './operation.ts'
import { choresOf, Upkeep } from './upkeep.ts'

export interface ServerProcessOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly modules: readonly Module[]
  readonly databaseUrl: string
  readonly demo: boolean
}

/**
 * The parts of one server process that need the database, put together: the way in (commits), the memory (the journal's
 * tail), the way out (subscriptions and sockets), reactions and chores.
 */
export class ServerProcess {
  readonly commit: Commit
  readonly operations: Operations
  readonly origins: Origins
  readonly sockets: Sockets
  readonly #db: Db
  readonly #tail: Tail
  readonly #committed: () => Promise<void>
  readonly #reactions: Reactions
  readonly #upkeep: Upkeep
  readonly #subscriptions: Subscriptions

  constructor({ config, log, metrics, modules, databaseUrl, demo }: ServerProcessOptions) {
    this.#db = connect(databaseUrl, config.pool)
    this.#tail = new Tail({ url: databaseUrl, log, watch: metrics.journal })
    this.#tail.epoch().catch(() => {}) // known from the beginning, if it can be
    const { commit, drained } = commits(this.#db, { watch: metrics.commit, onCommit: (root) => this.#ring(root) })
    this.commit = commit
    this.#committed = drained
    const at = { db: this.#db, commit, log }
    this.#reactions = new Reactions(
      modules.flatMap(({ reactions }) => reactions ?? []),
      at,
    )
    const aggregates = modules.flatMap(({ aggregates }) => aggregates)
    this.#upkeep = new Upkeep(choresOf({ ...config, aggregates, modules }), at)

    const viewerOf = viewers(this.#db)
    const surroundings: Surroundings = { ...at, cursorOf: this.#cursorOf, newest: new Newest() }
    this.#subscriptions = this.#subscribing(surroundings, config, metrics)
    const { subscribe } = this.#subscriptions
    const { corsOrigins } = config
    this.operations = new Operations({ surroundings, viewerOf, subscribe, corsOrigins, demo })
    this.origins = new Origins(corsOrigins, log)
    this.sockets = new Sockets({
      prepare: (...operation) => this.operations.prepare(...operation),
      room: () => this.#hasRoom(config.liveConnections),
      viewerOf,
      log,
      origins: this.origins,
      maxPayload: BODY_LIMIT,
      perConnection: config.liveSubscriptionsPerConnection,
    })
    metrics.live.count(this.sockets, this.#subscriptions)
  }

  /** Ends what would go on for ever: sockets and subscriptions. */
  hangUp(): void {
    this.sockets.close()
    this.#subscriptions.close()
  }

  /** Ends the work that no request waits for, then finishes what was committed, and disconnects. */
  async close(): Promise<void> {
    await Promise.all([this.#reactions.stop(), this.#upkeep.stop()])
    await this.#committed()
    await this.#tail.stop()
    await this.#db.$disconnect()
  }

  #subscribing(surroundings: Surroundings, config: Config, metrics: Metrics): Subscriptions {
    return new Subscriptions({
      surroundings,
      tail: this.#tail,
      follow: following({ db: this.#db, tail: this.#tail, newest: surroundings.newest }).follow,
      sessionOf: sessions(this.#db),
      room: () => this.#hasRoom(config.liveConnections),
      shown: (error) => shownError(error, surroundings.log),
      bufferBytes: config.liveBufferBytes,
      perUser: config.liveSubscriptionsPerUser,
      watch: metrics.live,
    })
  }

  #hasRoom(most: number): boolean {
    return this.sockets.count + this.#subscriptions.streams < most
  }

  readonly #cursorOf = async (rootType: string, rootId: string, version: number) =>
    rootCursor({ epoch: await this.#tail.epoch(), rootType, rootId, version })

  #ring(rootType: string): void {
    this.#tail.ring()
    this.#reactions.ring(rootType)
  }
}

/** The reactions of all modules, running. */
class Reactions {
  readonly #running: readonly { readonly root: string; readonly reaction: Repeated }[]

  constructor(reactions: readonly Reaction[], at: Workplace & { readonly log: Log }) {
    this.#running = reactions.map(({ root, start }) => ({ root, reaction: start(at) }))
  }

  /** A root of this type was committed. */
  ring(rootType: string): void {
    for (const { root, reaction } of this.#running) if (root === rootType) reaction.ring()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(({ reaction }) => reaction.stop()))
  }
}
