import { z } from 'zod'

/** One environment variable. */
export interface Setting {
  readonly variable: string
  /**
   * As it would be written in the environment. Absent: the variable may be left out, and the setting is then absent.
   */
  readonly fallback?: string
  /** The allowed values, in words that fit after `must be`. */
  readonly wanted: string
  readonly sentence: string
  /** It may hold a password, and is never shown. */
  readonly secret?: true
}

/** A setting with the schema that parses its text. */
export interface Parsed<T> extends Setting {
  readonly schema: z.ZodType<T, string>
}

/** A day, in milliseconds. PostgreSQL and Node's timers take 24 times that, but some of these are added up. */
const longest = 86_400_000

const text = <T extends Setting>(setting: T) => ({ ...setting, schema: z.string() })

function whole(variable: string, fallback: number, minimum: number, maximum: number, sentence: string): Parsed<number> {
  const schema = z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .pipe(z.number().min(minimum).max(maximum))
  return {
    variable,
    fallback: String(fallback),
    wanted: `a whole number from ${minimum} to ${maximum}`,
    sentence,
    schema,
  }
}

function oneOf<const T extends string>(
  variable: string,
  fallback: T,
  values: readonly T[],
  sentence: string,
): Parsed<T> {
  return { variable, fallback, wanted: `one of ${values.join(', ')}`, sentence, schema: z.enum(values) }
}

const isPostgresUrl = (value: string) => URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol)

/** The settings, by the names they have in the code, in the order in which they are listed. */
export const parsed = {
  port: whole('PORT', 4_000, 0, 65_535, 'Where HTTP is served. 0: any free port.'),
  host: text({
    variable: 'HOST',
    fallback: '127.0.0.1',
    wanted: 'a host name or an address',
    sentence: 'The address to listen at. `0.0.0.0` or `::`: from anywhere.',
  }),
  corsOrigins: {
    ...text({
      variable: 'CORS_ORIGINS',
      fallback: 'none',
      wanted: '`none`, `*`, or origins such as `https://app.example.com`, with commas between them',
      sentence: 'The web pages that may use this API from a browser, besides those of this server itself.',
    }),
    schema: z
      .string()
      .transform((value) => (value === 'none' ? [] : value.split(',').map((origin) => origin.trim())))
      .pipe(
        z.array(
          z.string().refine((origin) => origin === '*' || (URL.canParse(origin) && new URL(origin).origin === origin)),
        ),
      ),
  },
  data: text({
    variable: 'LOCKSTEP_DATA',
    fallback: './data',
    wanted: 'a folder',
    sentence:
      'The data folder, where the PostgreSQL that Lockstep runs itself keeps its files. Not used with DATABASE_URL.',
  }),
  databaseUrl: {
    ...text({
      variable: 'DATABASE_URL',
      wanted: 'a URL that begins with postgresql://',
      secret: true,
      sentence:
        'A PostgreSQL of your own, version 15 or newer, as `postgresql://user:password@host:5432/database`. ' +
        'Left out: Lockstep runs one itself.',
    }),
    schema: z.string().refine(isPostgresUrl),
  },
  size: whole(
    'DATABASE_POOL_SIZE',
    20,
    0,
    10_000,
    'How many connections are kept when they are idle; those above this number are closed when they have ' +
      'been idle for 30 seconds.',
  ),
  max: whole('DATABASE_POOL_MAX', 60, 1, 10_000, 'How many connections there may be at most, under load.'),
  recycleSeconds: whole(
    'DATABASE_POOL_RECYCLE_SECONDS',
    3_600,
    0,
    2_000_000,
    'A connection older than this is replaced when it is returned. 0: never.',
  ),
  validateIdleSeconds: whole(
    'DATABASE_POOL_VALIDATE_IDLE_SECONDS',
    5,
    0,
    2_000_000,
    'A connection that was idle for longer than this is asked whether it still lives before it is used. 0: each time.',
  ),
  waitMs: whole('DATABASE_POOL_WAIT_MS', 10_000, 1, longest, 'How long a request waits for a connection.'),
  isolation: oneOf(
    'DATABASE_ISOLATION',
    'read-committed',
    ['read-committed', 'repeatable-read'],
    'The isolation level of transactions. Both are correct; at repeatable-read, writers that met are retried ' +
      'instead of taking turns.',
  ),
  lockTimeoutMs: whole(
    'DATABASE_LOCK_TIMEOUT_MS',
    4_000,
    1,
    longest,
    'How long a statement waits for a lock. Less than DATABASE_STATEMENT_TIMEOUT_MS.',
  ),
  statementTimeoutMs: whole(
    'DATABASE_STATEMENT_TIMEOUT_MS',
    10_000,
    1,
    longest,
    'How long a statement may take, its waits included.',
  ),
  idleTransactionTimeoutMs: whole(
    'DATABASE_IDLE_TRANSACTION_TIMEOUT_MS',
    15_000,
    1,
    longest,
    'How long a transaction may lie idle before PostgreSQL ends it and frees its locks.',
  ),
  idempotencyKeyDays: whole(
    'IDEMPOTENCY_KEY_DAYS',
    30,
    1,
    36_500,
    'How long the answer given under an idempotency key is remembered.',
  ),
  journalDays: whole(
    'JOURNAL_DAYS',
    0,
    0,
    36_500,
    'How long the journal keeps each event; older ones are folded into one per root. 0: for ever. More than ' +
      'IDEMPOTENCY_KEY_DAYS.',
  ),
  liveConnections: whole(
    'LIVE_CONNECTIONS',
    10_000,
    1,
    1_000_000,
    'How many WebSockets and event streams may be open at once.',
  ),
  liveSubscriptionsPerConnection: whole(
    'LIVE_SUBSCRIPTIONS_PER_CONNECTION',
    100,
    1,
    100_000,
    'How many subscriptions one WebSocket may have at once.',
  ),
  liveSubscriptionsPerUser: whole(
    'LIVE_SUBSCRIPTIONS_PER_USER',
    1_000,
    1,
    1_000_000,
    'How many subscriptions one user may have at once, over all their connections to this process.',
  ),
  liveBufferBytes: whole(
    'LIVE_BUFFER_BYTES',
    1_048_576,
    1_024,
    1_073_741_824,
    'The most bytes that wait for one subscriber. Above that, the subscriber gets a cursor to resume from and is ' +
      'disconnected.',
  ),
  logLevel: oneOf(
    'LOG_LEVEL',
    'info',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'What is logged, as JSON lines on standard error.',
  ),
  shutdownGraceMs: whole(
    'SHUTDOWN_GRACE_MS',
    10_000,
    1,
    longest,
    'How long requests under way may take to finish after SIGTERM or Ctrl-C.',
  ),
}

/** Every environment variable that Lockstep reads, in the order in which they are listed. */
export const settings: readonly Setting[] = Object.values(parsed).map(({ schema: _, ...setting }) => setting)

/** The settings as a table in Markdown, for the documentation. */
export function settingsTable(): string {
  const rows = settings.map(
    ({ variable, fallback, wanted, sentence }) =>
      `| \`${variable}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${sentence} | ${wanted} |`,
  )
  return ['| Variable | Default | | Must be |', '|---|---|---|---|', ...rows].join('\n')
}
