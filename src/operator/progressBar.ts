import { SingleBar } from 'cli-progress'

/** A progress bar on standard error, for people; where nobody looks, or there is little to do, nothing. */
export function progressBar(of: string, total: number): { update(done: number): void; stop(): void } {
  if (!process.stderr.isTTY || total < 2) return { update() {}, stop() {} }
  const bar = new SingleBar({
    format: `{bar} {value} of {total} ${of}, {eta_formatted} left`,
    stream: process.stderr,
    clearOnComplete: true,
  })
  bar.start(total, 0)
  return { update: (done) => bar.update(Math.min(done, total)), stop: () => bar.stop() }
}
