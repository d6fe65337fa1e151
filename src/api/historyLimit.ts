import type { FoldCost } from '../journal/fold.ts'
import type { Context } from './context.ts'
import { problem } from './shownError.ts'

/** The most events that are folded for one operation. */
const MOST_FOLDED = 50_000
/** The most MiB of events that are folded for one operation: what two folds hold in memory is some times as much. */
const MOST_MIB = 32
/** The most seconds that folding for one operation may hold the event loop, summed over all its turns. */
const MOST_SECONDS = 2
/** The most MiB, as stored, of what versions show that are read for one operation. */
const MOST_SHOWN_MIB = 8
/** How many fold at a time in this process. Two: one is folded while the database reads for another. */
const MOST_AT_A_TIME = 2
/** How many wait for that, for one viewer and altogether. */
const [MOST_WAITING_OF_ONE, MOST_WAITING] = [20, 500]

/** What the histories that one operation asks for have cost so far. Throws when it is too much. */
class Spending {
  #shown = 0
  #events = 0
  #characters = 0
  #ms = 0

  readonly shown = (bytes: number) => {
    this.#shown += bytes
    if (this.#shown > MOST_SHOWN_MIB * 2 ** 20) throw problem('QUERY_TOO_EXPENSIVE', TOO_LARGE)
  }

  readonly folded = ({ events, characters, ms }: FoldCost) => {
    this.#events += events
    this.#characters += characters
    this.#ms += ms
    if (this.#events > MOST_FOLDED || this.#characters > MOST_MIB * 2 ** 20 || this.#ms > MOST_SECONDS * 1_000)
      throw problem('QUERY_TOO_EXPENSIVE', TOO_LONG)
  }
}

const TOO_LARGE = `What this shows of versions takes more than ${MOST_SHOWN_MIB} MiB, as stored. Ask for smaller pages.`
const TOO_LONG =
  'What hung below a version follows from all changes before it. Here these take too much to replay: more than ' +
  `${MOST_FOLDED.toLocaleString('en')} changes, ${MOST_MIB} MiB or ${MOST_SECONDS} seconds for one operation. ` +
  'Ask for one version at a time. If one alone is refused, it is not available; `history` says what each change was ' +
  'about.'

const spendings = new WeakMap<Context, Spending>()

/** What an operation has spent. */
export function spendingOf(context: Context): Spending {
  const known = spendings.get(context)
  if (known) return known
  const spending = new Spending()
  spendings.set(context, spending)
  return spending
}

interface Waiting {
  readonly turn: unknown
  begin(): void
}
const folding = new Set<unknown>()
const waiting: Waiting[] = []

/**
 * Folds in turn: two at a time, and one of the same viewer, so that nobody's long histories delay those of others.
 * Refuses when too many wait.
 */
export async function inTurn<T>({ turn }: Pick<Context, 'turn'>, work: () => Promise<T>): Promise<T> {
  if (folding.size < MOST_AT_A_TIME && !folding.has(turn)) folding.add(turn)
  else {
    const ofOne = waiting.filter((other) => other.turn === turn).length
    if (waiting.length >= MOST_WAITING || ofOne >= MOST_WAITING_OF_ONE) throw problem('TRY_AGAIN_LATER', TOO_MANY)
    await new Promise<void>((begin) => waiting.push({ turn, begin }))
  }
  try {
    return await work()
  } finally {
    folding.delete(turn)
    const next = waiting.findIndex((other) => !folding.has(other.turn))
    if (next >= 0) {
      const [{ turn, begin }] = waiting.splice(next, 1) as [Waiting]
      folding.add(turn)
      begin()
    }
  }
}

const TOO_MANY = 'Too many histories are being replayed at the moment. Ask for fewer at the same time, or again later.'
