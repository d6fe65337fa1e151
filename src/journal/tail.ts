import pg from 'pg'
import { PLANS } from '../database/pool.ts'
import { EPOCH, epochOf } from './epoch.ts'
import { COLUMNS, type EventRow, eventOf, type JournalEvent, NEWEST, ORDER } from './event.ts'
import { lasting } from './snapshot.ts'

/** What is told to those who listen. */
export interface Listener {
  /**
   * An event that was committed. It may have been told before to whom attached in that moment; `window` says which were
   * new together.
   */
  hear(event: JournalEvent, window: Window): void
  /** Another epoch has begun: what is known is of another history. */
  reset(): void
}

/** What was read together: all that `to` sees and `from` did not. Both are PostgreSQL's snapshots. */
export interface Window {
  readonly from: string
  readonly to: string
}

export interface TailOptions {
  readonly url: string
  /** How often it is looked, rung or not, in ms. */
  readonly everyMs?: number
  /** For how long commits are gathered before other processes are woken, in ms. */
  readonly quietMs?: number
  /** The most events of a page. */
  readonly page?: number
  /** An answer that takes longer doesn't come any more, in ms. */
  readonly answerMs?: number
  readonly log?: {
    info(detail: object, message: string): void
    warn(detail: object, message: string): void
    error(detail: object, message: string): void
  }
  readonly watch?: {
    /** A page was read: how many events, in how many ms. */
    read?(events: number, ms: number): void
    lost?(): void
  }
}

interface Named {
  readonly name: string
  readonly system: string
  readonly timeline: string
}
interface Begun {
  readonly window: Window
  readonly behind: JournalEvent
}

const parse = (events: string | null) => (JSON.parse(events ?? '[]') as EventRow[]).map(eventOf)

/** The channel of one root's events. */
export const rootChannel = (rootType: string, rootId: string) => `${rootType} ${rootId}`

const NEW = (more: string) => `(
  select json_agg(${COLUMNS} order by ${ORDER})::text from (
    select e.* from (
      select * from "Event" where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
      union all
      select e.* from pg_snapshot_xip($1::text::pg_snapshot) as x (xid) join "Event" e on e.xid = x.xid
    ) e ${more} order by ${ORDER} limit $2::int) e)`

/** All that `$1` does not see, and the snapshot that it is seen in. */
const NEWS = {
  name: 'news',
  text: `select pg_current_snapshot()::text as snapshot, (select epoch from "Journal") as name, ${NEWEST} as newest, ${NEW('')} as events`,
}
/** The same, up to another snapshot and behind a place. */
const MORE = {
  name: 'more',
  text: `select ${NEW(`where pg_visible_in_snapshot(e.xid, $3::text::pg_snapshot) and (${ORDER}) > ($4::text, $5::text, $6::int)`)} as events`,
}
const NOW = {
  name: 'now',
  text: `select pg_current_snapshot()::text as snapshot, (select epoch from "Journal") as name, ${NEWEST} as newest`,
}
const NAME = { name: 'name', text: 'select epoch as name from "Journal"' }
const GUARDED = {
  name: 'guarded',
  text: `select distinct e."rootType" || ' ' || e."rootId" as channel from "Event" e
    where not pg_visible_in_snapshot(e.xid, $1::text::pg_snapshot) and pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot) and e.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      and e."rootType" || ' ' || e."rootId" = any($3::text[])`,
}

/**
 * The one reader of the journal in this process: it reads what is new, once for all who listen, and hands it out by
 * root and by topic. What is new is decided by PostgreSQL's own snapshots: whatever the last one did not see. A number
 * drawn from a sequence would not do (it is drawn before the commit, in another order), nor a horizon (it stalls behind
 * any long transaction). Being rung is only a hint; it looks by itself every so often. While nobody listens, nothing is
 * read.
 */
export class Tail {
  readonly #options: Required<Pick<TailOptions, 'url' | 'everyMs' | 'quietMs' | 'page' | 'answerMs'>> &
    Pick<TailOptions, 'log' | 'watch'>
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #guards = new Map<string, Set<() => void>>()
  readonly #poll: NodeJS.Timeout
  #waiting: { resolve(): void; reject(error: unknown): void }[] = []
  #client: pg.Client | undefined
  /** What has been handed out: all that this snapshot sees. */
  #last: string | undefined
  /** The window whose pages are being handed out, and how far that has come. */
  #begun: Begun | undefined
  #name = ''
  #epoch: string | undefined
  #rung = false
  #reading = false
  #telling: NodeJS.Timeout | undefined
  #tell = false
  #down = false
  #failures = 0
  /** How many answers in a row did not come in time. */
  #slow = 0
  #stopped = false

  constructor({ everyMs = 1_000, quietMs = 20, page = 1_000, answerMs = 5_000, ...options }: TailOptions) {
    this.#options = { everyMs, quietMs, page, answerMs, ...options }
    this.#poll = setInterval(() => this.#wake(), everyMs)
  }

  /** How many channels are listened to. */
  get channels(): number {
    return this.#listeners.size
  }

  /**
   * After a commit of this process: those who listen here are told at once, other processes soon, with one NOTIFY for
   * many commits.
   */
  ring(): void {
    if (this.#listeners.size) this.#wake()
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined
      this.#tell = true
      this.#wake()
    }, this.#options.quietMs)
  }

  /**
   * From when this resolves on, `listener` is told each event of the channel that is committed. Rejects if the database
   * can't be reached.
   */
  async attach(channel: string, listener: Listener): Promise<void> {
    let here = this.#listeners.get(channel)
    if (!here) this.#listeners.set(channel, (here = new Set()))
    here.add(listener)
    if (this.#last === undefined) await this.#pass()
  }

  /** Tells it nothing any more. */
  detach(channel: string, listener: Listener): void {
    const here = this.#listeners.get(channel)
    here?.delete(listener)
    if (here?.size === 0) this.#listeners.delete(channel)
  }

  /**
   * `changed` is called for each change of the root before anybody is told of any event that was committed together
   * with it or later. Answers how to end that.
   */
  guard(channel: string, changed: () => void): () => void {
    let here = this.#guards.get(channel)
    if (!here) this.#guards.set(channel, (here = new Set()))
    here.add(changed)
    return () => {
      here.delete(changed)
      if (!here.size && this.#guards.get(channel) === here) this.#guards.delete(channel)
    }
  }

  /**
   * The epoch, which is part of each cursor. Rejects if the database can't be reached and it isn't known from before.
   */
  async epoch(): Promise<string> {
    if (this.#epoch === undefined) await this.#pass()
    return this.#epoch!
  }

  /** The same, as it was known last; empty before anything was read. */
  get currentEpoch(): string {
    return this.#epoch ?? ''
  }

  /** Ends it; nobody is told anything any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#poll)
    clearTimeout(this.#telling)
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('Connection ended'))
    await this.#client?.end().catch(() => {})
  }

  /** Resolves when something has been read; rejects if it can't be. */
  #pass(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#wake()
    })
  }

  #wake(): void {
    this.#rung = true
    if (!this.#reading) void this.#run()
  }

  /**
   * Reads until nothing has rung since. Where that fails, the next begins at the same snapshot, so that nothing is
   * missed.
   */
  async #run(): Promise<void> {
    this.#reading = true
    const { log, watch } = this.#options
    try {
      while (this.#rung && !this.#stopped) {
        this.#rung = false
        const waiting = this.#waiting.splice(0)
        try {
          const client = this.#client ?? (await this.#open())
          await this.#read(client)
          if (this.#tell) {
            await this.#ask(client, { text: 'notify lockstep' })
            this.#tell = false
          }
          for (const { resolve } of waiting) resolve()
          if (this.#down) log?.info({}, 'The journal is read again; nothing was missed.')
          this.#down = false
          this.#failures = this.#slow = 0
        } catch (error) {
          for (const { reject } of waiting) reject(error)
          this.#client?.end().catch(() => {})
          this.#client = undefined
          // once at once: a connection that was lost is one thing, a database that is gone another
          this.#rung = this.#waiting.length > 0 || !this.#failures
          if (this.#stopped) break
          watch?.lost?.()
          if (!this.#down)
            log?.warn({ err: error }, 'The journal cannot be read; trying again every second until it can.')
          this.#down = true
          this.#failures++
        }
      }
    } finally {
      this.#reading = false
    }
  }

  async #open(): Promise<pg.Client> {
    const { url, answerMs } = this.#options
    const client = new pg.Client({
      connectionString: url,
      application_name: 'lockstep (reads the journal)',
      connectionTimeoutMillis: answerMs,
      keepAlive: true,
      // what is no longer waited for is no longer worked on
      options: `-c TimeZone=UTC -c client_connection_check_interval=1000 ${PLANS}`,
    })
    client.on('error', () => {}) // 'end' follows
    client.on('end', () => {
      if (this.#client !== client) return
      this.#client = undefined
      if (!this.#stopped) this.#wake() // to be back before the next commit, which may come from elsewhere
    })
    client.on('notification', ({ processId }) => {
      if (processId !== (client as unknown as { processID: number }).processID && this.#listeners.size) this.#wake()
    })
    try {
      await client.connect()
      if (this.#stopped) throw new Error('Connection ended')
      await this.#ask(client, { text: 'listen lockstep' })
      await this.#enterNext(client)
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    this.#client = client
    return client
  }

  /**
   * An answer that does not come in time does not come any more; one that takes long is given more time the next time.
   */
  async #ask<Row extends pg.QueryResultRow>(client: pg.Client, query: pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    try {
      return await client.query<Row>({
        ...query,
        query_timeout: this.#options.answerMs * 2 ** Math.min(this.#slow, 6),
      } as pg.QueryConfig)
    } catch (error) {
      if ((error as Error).message === 'Query read timeout') this.#slow++
      throw error
    }
  }

  async #enterNext(client: pg.Client): Promise<void> {
    const { rows } = await this.#ask<Named>(client, { text: EPOCH })
    this.#enter(epochOf(rows[0]!), rows[0]!.name)
  }

  /** If it is another epoch than before, all that is known is of another history. */
  #enter(epoch: string, name: string): void {
    const before = this.#epoch
    this.#epoch = epoch
    this.#name = name
    if (before === undefined || before === epoch) return
    this.#last = undefined
    this.#begun = undefined
    this.#options.log?.warn({ before, epoch }, 'Another epoch of the database has begun: whoever watches begins anew.')
    // whatever was changed meanwhile, nobody was told of
    for (const channel of [...this.#guards.keys()]) this.#change(channel)
    for (const here of [...this.#listeners.values()])
      for (const listener of [...here]) this.#tellOne(() => listener.reset())
  }

  async #read(client: pg.Client): Promise<void> {
    const from = this.#last
    if (!this.#listeners.size) {
      this.#last = this.#begun = undefined // whoever comes next begins with a snapshot of their own
      const { rows } = await this.#ask<{ name: string }>(client, NAME)
      if (rows[0]!.name !== this.#name) await this.#enterNext(client)
      return
    }
    const { page, watch } = this.#options
    if (this.#begun) return this.#goOn(client, this.#begun)

    const begun = performance.now()
    const { rows } = await this.#ask<{ snapshot: string; name: string; newest: string | null; events?: string | null }>(
      client,
      from === undefined ? NOW : { ...NEWS, values: [from, page] },
    )
    const { snapshot, name, newest, events } = rows[0]!
    const to = lasting(snapshot, newest)
    if (name !== this.#name) {
      await this.#enterNext(client)
      return this.#read(client) // whoever waits to be attached is so only when it has begun anew
    }
    if (from !== undefined && events) {
      const window = { from, to }
      const news = parse(events)
      const full = news.length === page
      if (full && this.#guards.size) {
        const { rows } = await this.#ask<{ channel: string }>(client, {
          ...GUARDED,
          values: [from, to, [...this.#guards.keys()]],
        })
        for (const { channel } of rows) this.#change(channel)
      } else if (this.#guards.size) for (const { rootType, rootId } of news) this.#change(rootChannel(rootType, rootId))
      this.#handOut(news, window)
      watch?.read?.(news.length, performance.now() - begun)
      if (full) return this.#goOn(client, { window, behind: news.at(-1)! })
    }
    this.#last = to
  }

  /**
   * The further pages of a window. Where one can't be had, the next attempt goes on from there: nobody is told twice.
   */
  async #goOn(client: pg.Client, begun: Begun): Promise<void> {
    const { page, watch } = this.#options
    const { window } = begun
    for (let { behind } = begun; ; ) {
      this.#begun = { window, behind }
      const start = performance.now()
      const { rows } = await this.#ask<{ events: string | null }>(client, {
        ...MORE,
        values: [window.from, page, window.to, behind.rootType, behind.rootId, behind.version],
      })
      const news = parse(rows[0]!.events)
      this.#handOut(news, window)
      watch?.read?.(news.length, performance.now() - start)
      if (news.length < page) break
      behind = news.at(-1)!
    }
    this.#begun = undefined
    this.#last = window.to
    this.#rung = true // it took a while
  }

  #change(channel: string): void {
    for (const changed of [...(this.#guards.get(channel) ?? [])]) this.#tellOne(changed)
  }

  #handOut(news: readonly JournalEvent[], window: Window): void {
    for (const event of news) {
      for (const channel of [rootChannel(event.rootType, event.rootId), event.topic])
        for (const listener of this.#listeners.get(channel) ?? []) this.#tellOne(() => listener.hear(event, window))
    }
  }

  /** One who fails keeps nobody from being told. */
  #tellOne(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#options.log?.error({ err: error }, 'An event could not be handed to one who listens.')
    }
  }
}
