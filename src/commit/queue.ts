import { Busy, type DomainError } from './errors.ts'
import type { LockMode } from './lockAndRead.ts'
import type { OpenRequests, PendingRequest } from './request.ts'

/** The limits of the queues. */
export interface QueueLimits {
  /** The most requests in a batch. */
  readonly maxBatch: number
  /** Roots are divided among parallel batches of at least so many roots each. */
  readonly minRoots: number
  /** The most batches in flight for one kind of root, not counting those that wait for a lock. */
  readonly maxInFlight: number
  /** The most batches that wait for a lock, over all kinds of roots. Each has a connection of its own. */
  readonly maxLockWaits: number
  /** A request for a held root that was queued for so many milliseconds is Busy. */
  readonly queueMs: number
}

/** Tries a batch until its requests are settled; returns those whose root is held by another session. */
type RunBatch = (batch: readonly PendingRequest[], lock: LockMode, queue: Queue) => Promise<readonly PendingRequest[]>

/** The queues of all kinds of roots, and what they share. */
export class Queues {
  readonly limits: QueueLimits
  readonly open: OpenRequests
  readonly run: RunBatch
  /** How many batches wait for a lock. */
  lockWaits = 0
  readonly #queues = new Map<string, Queue>()
  #isScheduled = false

  constructor(limits: QueueLimits, open: OpenRequests, run: RunBatch) {
    this.limits = limits
    this.open = open
    this.run = run
  }

  add(request: PendingRequest) {
    const kind = request.verb.aggregate.root
    let queue = this.#queues.get(kind)
    if (!queue) this.#queues.set(kind, (queue = new Queue(this)))
    this.open.add()
    queue.add(request)
    this.schedule()
  }

  /** Starts batches in the next turn of the event loop, so that requests that arrive in the same turn share one. */
  schedule() {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#start)
  }

  readonly #start = () => {
    this.#isScheduled = false
    for (const queue of this.#queues.values()) queue.start()
  }
}

/** The requests for one kind of root that are not in flight, and which of its roots are. */
export class Queue {
  readonly #queues: Queues
  /** In order of arrival. */
  #waiting: PendingRequest[] = []
  /** Roots in flight. A root is in one batch at most, so its requests are decided in order. */
  readonly #busy = new Set<string>()
  /** Roots that another session has locked. Each waits for its lock in a batch of its own. */
  readonly #held = new Set<string>()
  #inFlight = 0

  constructor(queues: Queues) {
    this.#queues = queues
  }

  add(request: PendingRequest) {
    this.#waiting.push(request)
  }

  /** Starts as many batches as the limits allow. */
  start() {
    if (this.#held.size) {
      this.#giveUpLate()
      this.#startHeld()
    }
    this.#startFree()
  }

  /** Rejects the waiting requests that `isGivenUp` picks, without trying them. */
  giveUp(isGivenUp: (request: PendingRequest) => boolean, error: DomainError) {
    const givenUp = this.#waiting.filter(isGivenUp)
    if (!givenUp.length) return
    this.#waiting = this.#waiting.filter((request) => !isGivenUp(request))
    for (const request of givenUp) this.#queues.open.giveUp(request, error)
    const wanted = new Set(this.#waiting.map(({ root }) => root))
    for (const root of this.#held) if (!wanted.has(root)) this.#held.delete(root)
  }

  #giveUpLate() {
    const late = performance.now() - this.#queues.limits.queueMs
    const isLate = ({ root, since }: PendingRequest) => since < late && this.#held.has(root)
    if (this.#waiting.some(isLate)) this.giveUp(isLate, new Busy())
  }

  #startHeld() {
    for (const root of this.#held)
      if (this.#queues.lockWaits < this.#queues.limits.maxLockWaits && !this.#busy.has(root))
        void this.#run((request) => request.root === root, 'wait')
  }

  /** The free roots share the places in flight: one batch is decided while PostgreSQL works on another. */
  #startFree() {
    const { maxInFlight, minRoots } = this.#queues.limits
    while (this.#inFlight < maxInFlight) {
      const roots = new Set<string>()
      for (const { root } of this.#waiting) if (!this.#busy.has(root) && !this.#held.has(root)) roots.add(root)
      if (!roots.size) return
      const places = maxInFlight - this.#inFlight
      const share = roots.size < 2 * minRoots ? roots.size : Math.max(minRoots, Math.ceil(roots.size / places))
      const chosen = new Set([...roots].slice(0, share))
      void this.#run(({ root }) => chosen.has(root), 'skip')
    }
  }

  async #run(isChosen: (request: PendingRequest) => boolean, lock: LockMode) {
    const batch = this.#take(isChosen)
    if (!batch.length) return
    const roots = new Set(batch.map(({ root }) => root))
    for (const root of roots) this.#busy.add(root)
    this.#count(lock, 1)
    const held = await this.#queues.run(batch, lock, this)
    this.#count(lock, -1)
    for (const root of roots) {
      this.#busy.delete(root)
      this.#held.delete(root)
    }
    for (const { root } of held) this.#held.add(root)
    if (held.length) this.#waiting = [...held, ...this.#waiting]
    this.#queues.schedule()
  }

  #take(isChosen: (request: PendingRequest) => boolean): PendingRequest[] {
    const { maxBatch } = this.#queues.limits
    const batch: PendingRequest[] = []
    this.#waiting = this.#waiting.filter(
      (request) => !(batch.length < maxBatch && isChosen(request) && batch.push(request)),
    )
    return batch
  }

  #count(lock: LockMode, by: 1 | -1) {
    if (lock === 'wait') this.#queues.lockWaits += by
    else this.#inFlight += by
  }
}
