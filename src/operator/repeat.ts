/** Work that this process does again and again. */
export interface Repeated {
  /** There may be something to do: start a pass now, or another one after the one under way. */
  ring(): void
  /** Starts no more passes; resolves when the one under way has finished. */
  stop(): Promise<void>
}

/**
 * Runs `pass` at once, when it is rung, and `everyMs` after it has ended; one pass at a time. A pass handles its own
 * errors.
 */
export function repeat(everyMs: number, pass: (signal: AbortSignal) => Promise<void>): Repeated {
  const ended = new AbortController()
  const { signal } = ended
  let rung = false
  let wake = () => {}

  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, everyMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  async function run() {
    while (!signal.aborted) {
      rung = false // this pass may miss what it is rung for from now on
      await pass(signal)
      if (!rung && !signal.aborted) await pause()
    }
  }

  const running = run()
  return {
    ring() {
      rung = true
      wake()
    },
    stop() {
      ended.abort()
      wake()
      return running
    },
  }
}
