import { complain } from './print.ts'

/** How far some work is, for people. */
export interface ProgressBar {
  /** So many are done, of so many. */
  update(done: number, total?: number): void
  /** Removes the bar. */
  stop(): void
}

const width = 40
/** How often the bar is drawn, at most. */
const drawEveryMs = 100
/** How often a line is written where no bar can be drawn. */
const lineEveryMs = 5_000

/**
 * In a terminal: a bar on standard error, unless there is only one thing to do. Elsewhere: every few seconds a line
 * that begins with `lines`, if that is given.
 */
export function progressBar(what: string, initialTotal = 0, lines?: string, output = process.stderr): ProgressBar {
  const begun = performance.now()
  let [total, shownAt, isShown] = [initialTotal, -Infinity, false]

  function draw(done: number, now: number) {
    const seconds = (((now - begun) / 1_000) * (total - done)) / done
    const filled = Math.round((width * done) / total)
    const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
    const text = `${bar} ${number(done)} of ${number(total)} ${what}${done ? `, ${duration(seconds)} left` : ''}`
    output.write(`\r\x1b[K${text.slice(0, output.columns - 1)}`) // a line that wraps could not be removed
    isShown = true
  }

  return {
    update(done, newTotal = total) {
      total = newTotal
      const now = performance.now()
      if (output.isTTY) {
        if (total < 2 || now - shownAt < drawEveryMs) return
        draw(Math.min(done, total), now)
        shownAt = now
      } else if (lines !== undefined && now - Math.max(shownAt, begun) > lineEveryMs) {
        complain(`${lines}: ${number(done)} of ${number(total)}`)
        shownAt = now
      }
    },
    stop: () => void (isShown && output.write('\r\x1b[K')),
  }
}

const number = (count: number) => count.toLocaleString('en-US')

function duration(seconds: number): string {
  const [s, m, h] = [Math.round(seconds) % 60, Math.floor(Math.round(seconds) / 60) % 60, Math.floor(seconds / 3_600)]
  return h ? `${h}h${m}m` : m ? `${m}m${s}s` : `${s}s`
}
