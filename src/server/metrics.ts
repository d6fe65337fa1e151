import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Watcher } from '../commit/commit.ts'
import type { TailOptions } from '../journal/tail.ts'
import type { SubscriptionsOptions } from '../live/subscriptions.ts'
import type { Log } from '../operator/log.ts'
import type { Handle, HttpOptions } from './http.ts'

/** What a process counts, for Prometheus: one watcher for each of its parts. */
export interface Metrics {
  /** Answers a scrape. */
  readonly expose: Handle
  /** Logs what is unusual, too. */
  readonly commit: Watcher
  readonly http: { readonly request: HttpOptions['onRequest'] }
  readonly journal: NonNullable<TailOptions['watch']>
  readonly live: NonNullable<SubscriptionsOptions['watch']> & {
    /** From now on the gauges say how many there are. */
    count(connections: Counted, subscriptions: Counted): void
  }
}
interface Counted {
  readonly count: number
}

/** Upper bounds, in seconds. */
const DATABASE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10]
const HTTP_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10]

/** The metrics of one process, all at zero. */
export function metricsOf(log: Log): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    expose: async (_, response) =>
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics()),
    commit: commitMetrics(registers, log),
    http: httpMetrics(registers),
    journal: journalMetrics(registers),
    live: liveMetrics(registers),
  }
}

function commitMetrics(registers: Registry[], log: Log): Watcher {
  const requests = new Counter({
    registers,
    name: 'lockstep_commit_requests_total',
    help: 'Mutations, by operation and outcome: changed, unchanged, replayed, or the code of the error.',
    labelNames: ['operation', 'outcome'],
  })
  const batches = new Histogram({
    registers,
    name: 'lockstep_commit_batch_size',
    help: 'How many requests shared a transaction.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
  })
  const seconds = new Histogram({
    registers,
    name: 'lockstep_commit_seconds',
    help: 'How long transactions take, from BEGIN to COMMIT.',
    buckets: DATABASE_SECONDS,
  })
  const races = new Counter({
    registers,
    name: 'lockstep_commit_races_total',
    help:
      'Races between transactions, by what was done: the transaction was repeated (retry), its batch split (split), ' +
      'a root read again (reread), a lock waited for (lock-wait), the database asked for the outcome because the ' +
      'connection was lost (outcome-asked), or its requests ended with an error (gave-up).',
    labelNames: ['race'],
  })
  const failures = new Counter({
    registers,
    name: 'lockstep_commit_failures_total',
    help: 'Transactions that failed by a database or integrity error for good. Should be 0.',
  })
  return {
    batch(size, ms) {
      batches.observe(size)
      seconds.observe(ms / 1_000)
    },
    settled: (operation, outcome) => requests.inc({ operation, outcome }),
    met(race, detail) {
      races.inc({ race })
      if (race === 'gave-up') log.warn(detail, 'Requests were given up in bounded time, with a typed error.')
      else log.info({ race, ...detail }, 'A race was met and resolved.')
    },
    failed(error, operations) {
      failures.inc()
      log.error({ err: error, operations }, 'A transaction failed; nothing of it was changed.')
    },
  }
}

function httpMetrics(registers: Registry[]): Metrics['http'] {
  const seconds = new Histogram({
    registers,
    name: 'lockstep_http_seconds',
    help: 'How long HTTP requests take, by path and status.',
    labelNames: ['path', 'status'],
    buckets: HTTP_SECONDS,
  })
  return {
    request(path) {
      const stop = seconds.startTimer()
      return (status) => stop({ path, status: String(status) })
    },
  }
}

function journalMetrics(registers: Registry[]): Metrics['journal'] {
  const reads = new Histogram({
    registers,
    name: 'lockstep_journal_read_seconds',
    help: 'How long it takes to read what is new in the journal, once for all subscribers of this process.',
    buckets: DATABASE_SECONDS,
  })
  const events = new Counter({
    registers,
    name: 'lockstep_journal_events_total',
    help: 'Events that were read from the journal.',
  })
  const lost = new Counter({
    registers,
    name: 'lockstep_journal_lost_total',
    help: 'How often the journal could not be read. Reading then resumes where it was; nothing is missed.',
  })
  return {
    read(count, ms) {
      events.inc(count)
      reads.observe(ms / 1_000)
    },
    lost: () => lost.inc(),
  }
}

function liveMetrics(registers: Registry[]): Metrics['live'] {
  let deliveries = 0 // of many at a time: only an addition each
  new Counter({
    registers,
    name: 'lockstep_live_delivered_total',
    help: 'Items that were sent to subscribers.',
    collect() {
      this.reset()
      this.inc(deliveries)
    },
  })
  const executed = new Counter({
    registers,
    name: 'lockstep_live_executed_total',
    help:
      'How often an item was rendered: once for many subscribers (shared), for one of them (apart), or for many ' +
      'until it turned out that it differs by viewer (in vain: at most once for each item and document).',
    labelNames: ['how'],
  })
  const closed = new Counter({
    registers,
    name: 'lockstep_live_closed_total',
    help:
      'Subscriptions that ended, by reason: the client or the server left (left), too slow a reader (too_slow), ' +
      'access or session was withdrawn (refused), an error (failed).',
    labelNames: ['why'],
  })
  const gauge = (name: string, help: string, of: Counted) =>
    new Gauge({
      registers,
      name,
      help,
      collect() {
        this.set(of.count)
      },
    })
  return {
    delivered: () => void deliveries++,
    executed: (how) => executed.inc({ how }),
    closed: (why) => closed.inc({ why }),
    count(connections, subscriptions) {
      gauge('lockstep_live_connections', 'WebSockets that are open.', connections)
      gauge('lockstep_live_subscriptions', 'Open subscriptions, over WebSocket and server-sent events.', subscriptions)
    },
  }
}
