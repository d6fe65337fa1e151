import type { Logger } from 'pino'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Watcher } from '../commit/commit.ts'

/** What a process counts, for Prometheus, and what it logs of its commits. */
export function metrics(log: Logger) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const requests = new Counter({
    registers,
    name: 'lockstep_commit_requests_total',
    help: 'Mutations by operation and outcome: changed, unchanged, replayed, or the code of the error.',
    labelNames: ['operation', 'outcome'],
  })
  const batches = new Histogram({
    registers,
    name: 'lockstep_commit_batch_size',
    help: 'Requests that shared a transaction.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
  })
  const seconds = new Histogram({
    registers,
    name: 'lockstep_commit_seconds',
    help: 'From BEGIN to COMMIT.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10],
  })
  const races = new Counter({
    registers,
    name: 'lockstep_commit_races_total',
    help: 'Races that were met and mended: a transaction done again (retry), a batch split, a root read again (reread), a lock that somebody else held (lock-wait), a lost connection whose outcome was asked (outcome-asked); or one that was given up, its callers told to ask again (gave-up).',
    labelNames: ['race'],
  })
  const failures = new Counter({
    registers,
    name: 'lockstep_commit_failures_total',
    help: 'Transactions that failed through a database or integrity error that nothing could mend; should be 0.',
  })
  const http = new Histogram({
    registers,
    name: 'lockstep_http_seconds',
    help: 'HTTP requests by path and status.',
    labelNames: ['path', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10],
  })

  const reads = new Histogram({
    registers,
    name: 'lockstep_journal_read_seconds',
    help: 'Reading what is new in the journal, once for all subscribers of this process.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10],
  })
  const events = new Counter({
    registers,
    name: 'lockstep_journal_events_total',
    help: 'Events that were read from the journal.',
  })
  const lost = new Counter({
    registers,
    name: 'lockstep_journal_lost_total',
    help: 'How often the journal could not be read; it is then read again from where it was.',
  })
  let deliveries = 0 // many at a time: an addition, and no more
  new Counter({
    registers,
    name: 'lockstep_live_delivered_total',
    help: 'Items that subscribers were sent.',
    collect() {
      this.reset()
      this.inc(deliveries)
    },
  })
  const executed = new Counter({
    registers,
    name: 'lockstep_live_executed_total',
    help: 'How often an item was rendered: once for many subscribers (shared), or for one (apart), after it was found out, once an item, that it cannot be shared (in vain).',
    labelNames: ['how'],
  })
  const closed = new Counter({
    registers,
    name: 'lockstep_live_closed_total',
    help: 'Subscriptions that ended: by the client or the server leaving (left), too slow a reader (lagging), access or session withdrawn (refused), an error (failed).',
    labelNames: ['why'],
  })
  const live = {
    tail: {
      read(count: number, ms: number) {
        events.inc(count)
        reads.observe(ms / 1_000)
      },
      lost: () => lost.inc(),
    },
    subscriptions: {
      delivered: () => void deliveries++,
      executed: (how: 'shared' | 'apart' | 'in vain') => executed.inc({ how }),
      closed: (why: 'left' | 'lagging' | 'refused' | 'failed') => closed.inc({ why }),
    },
    /** From when on these say how many there are. */
    count(connections: () => number, subscriptions: () => number) {
      const gauge = (name: string, help: string, count: () => number) =>
        new Gauge({
          registers,
          name,
          help,
          collect() {
            this.set(count())
          },
        })
      gauge('lockstep_live_connections', 'WebSockets that are open.', connections)
      gauge(
        'lockstep_live_subscriptions',
        'Subscriptions that are open, over WebSocket and server-sent events.',
        subscriptions,
      )
    },
  }

  const watch: Watcher = {
    batch(size, ms) {
      batches.observe(size)
      seconds.observe(ms / 1_000)
    },
    settled: (operation, outcome) => requests.inc({ operation, outcome }),
    met(race, detail) {
      races.inc({ race })
      if (race === 'gave-up') log.warn(detail, 'Requests were given up in bounded time, and told so.')
      else log.info({ race, ...detail }, 'A race was met and mended.')
    },
    failed(error, operations) {
      failures.inc()
      log.error({ err: error, operations }, 'A transaction failed; nothing of it was changed.')
    },
  }
  return { registry, watch, http, live }
}
