import type { Interruption } from '../api/command.ts'
import { OperatorError } from '../operator/operatorError.ts'

/** 128 and the signal's number, as a shell reports a process that was ended by it. */
const interrupted = { SIGINT: 130, SIGTERM: 143 }

/** Runs work that ends in order on the first Ctrl-C or SIGTERM. A second one ends the process at once. */
export async function interruptible<T>(work: (interruption: Interruption) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const { signal } = controller
  const interrupt = (name: NodeJS.Signals) => controller.abort(name)
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  try {
    return await work({
      signal,
      stopIfInterrupted(sentence) {
        if (signal.aborted) throw new OperatorError(sentence, interrupted[signal.reason as keyof typeof interrupted])
      },
    })
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}
