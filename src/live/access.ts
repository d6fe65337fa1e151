import { createContext, type Surroundings, type Viewer } from '../api/context.ts'
import type { Stream } from '../api/stream.ts'
import { DomainError, Forbidden, Unauthenticated } from '../commit/errors.ts'
import { rootChannel } from '../journal/listeners.ts'
import type { Tail } from '../journal/tail.ts'

/** The longest delay that a timer takes, in ms. */
export const LONGEST_DELAY = 2 ** 31

export interface AccessOptions {
  readonly surroundings: Surroundings
  readonly tail: Pick<Tail, 'guard'>
  /** The viewer of the session with this id, now; null: it has ended. */
  readonly sessionOf: (id: string) => Promise<Viewer | null>
}

/** What a subscriber does when its access was looked at. */
export interface AccessReader {
  /** The viewer may see the stream, as of the newest question. */
  granted(): void
  /** The viewer may not see it (a DomainError), or nobody could say. */
  fail(error: unknown): void
  /** The session has ended. */
  signedOut(error: Unauthenticated): void
}

/**
 * Whether one viewer may see one stream. It is asked again when a root that guards the stream changes, when the session
 * expires, and whenever `check` is called. Of several questions at a time only the answer to the newest counts.
 */
export class Access {
  viewer: Viewer
  readonly #stream: Stream
  readonly #options: AccessOptions
  readonly #reader: AccessReader
  readonly #undo: (() => void)[] = []
  #checking: Promise<void> | undefined
  #newest = 0
  #isOver = false

  constructor(viewer: Viewer, stream: Stream, options: AccessOptions, reader: AccessReader) {
    this.viewer = viewer
    this.#stream = stream
    this.#options = options
    this.#reader = reader
  }

  /** The question that is being asked, if any; resolves with its answer given to the reader. */
  get checking(): Promise<void> | undefined {
    return this.#checking
  }

  /** Watches what may change the answer; `onDoubt` is called when something has. */
  watch(onDoubt: () => void): void {
    for (const channel of new Set([rootChannel('User', this.viewer.id), ...this.#stream.guards]))
      this.#undo.push(this.#options.tail.guard(channel, onDoubt))
    const left = this.viewer.expiresAt.getTime() - Date.now()
    if (left >= LONGEST_DELAY) return
    const timer = setTimeout(() => this.#signOut(), left)
    this.#undo.push(() => clearTimeout(timer))
  }

  /** Asks. Where nobody can say, a `strict` question is answered with a refusal, and any other not at all. */
  check(strict: boolean): void {
    const checking = this.#ask(strict)
      .catch((error) => this.#reader.fail(error))
      .finally(() => {
        if (this.#checking === checking) this.#checking = undefined
      })
    this.#checking = checking
  }

  /** Asks and watches no more; nothing reaches the reader from now on. */
  stop(): void {
    this.#isOver = true
    for (const undo of this.#undo.splice(0)) undo()
  }

  async #ask(strict: boolean): Promise<void> {
    const question = ++this.#newest
    const { sessionOf, surroundings } = this.#options
    try {
      const viewer = await sessionOf(this.viewer.sessionId)
      if (this.#isOver) return
      if (!viewer) return this.#signOut()
      this.viewer = viewer
      await this.#stream.authorize(createContext(surroundings, viewer, 'recheck'))
    } catch (error) {
      if (this.#isOver) return
      if (error instanceof DomainError) return this.#reader.fail(new Forbidden('You may no longer see this.'))
      if (strict) this.#reader.fail(error)
      return
    }
    if (question === this.#newest && !this.#isOver) this.#reader.granted()
  }

  #signOut(): void {
    if (this.#isOver) return
    this.#reader.signedOut(
      new Unauthenticated(
        'Your session has ended. Sign in again, and subscribe with the cursor of the last item that you have.',
      ),
    )
  }
}
