import type { z } from 'zod'
import { exitCode, OperatorError } from './operatorError.ts'
import { type Parsed, parsed, type Setting, settings } from './settings.ts'

/** The connections of a process to its database. Times are in milliseconds unless named otherwise. */
export interface PoolOptions {
  /** How many connections are kept open when idle. */
  readonly size: number
  /** How many there may be at most. */
  readonly max: number
  /** A connection older than this is replaced when it is returned. */
  readonly recycleSeconds: number
  /** A connection that was idle for longer is validated before it is used. */
  readonly validateIdleSeconds: number
  /** How long a caller waits for a connection. */
  readonly waitMs: number
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly isolation: 'read-committed' | 'repeatable-read'
}

type Values = { [K in keyof typeof parsed]: z.output<(typeof parsed)[K]['schema']> }

/** The settings from the environment, or their defaults. */
export interface Config extends Omit<Values, keyof PoolOptions | 'databaseUrl'> {
  /** Absent: Lockstep runs a PostgreSQL itself. */
  readonly databaseUrl?: string
  readonly pool: PoolOptions
}

/**
 * Parses the environment. Throws one OperatorError with everything that is wrong. An empty value is wrong too: it is
 * more likely a script that failed to fill the variable than a wish for the default.
 */
export function parseConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const wrong: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries<Parsed<unknown>>(parsed)) {
    const found = environment[setting.variable] ?? setting.fallback
    if (found === undefined) continue
    const result = found.trim() === '' ? undefined : setting.schema.safeParse(found)
    if (result?.success) values[name] = result.data
    else wrong.push(`${setting.variable} must be ${setting.wanted}, and is ${shown(found, setting)}.`)
  }
  const { size, max, lockTimeoutMs, statementTimeoutMs, ...rest } = values as Values
  if (rest.journalDays && rest.journalDays <= rest.idempotencyKeyDays) {
    wrong.push(
      'JOURNAL_DAYS must be 0 or more than IDEMPOTENCY_KEY_DAYS, since a request sent again is answered from ' +
        `the journal, and is ${rest.journalDays}, with IDEMPOTENCY_KEY_DAYS at ${rest.idempotencyKeyDays}.`,
    )
  }
  if (size > max)
    wrong.push(
      `DATABASE_POOL_SIZE must not be more than DATABASE_POOL_MAX, and is ${size}, with DATABASE_POOL_MAX at ${max}.`,
    )
  if (lockTimeoutMs >= statementTimeoutMs) {
    wrong.push(
      'DATABASE_LOCK_TIMEOUT_MS must be less than DATABASE_STATEMENT_TIMEOUT_MS, so that a wait for a lock ' +
        `ends as such, and is ${lockTimeoutMs}, with DATABASE_STATEMENT_TIMEOUT_MS at ${statementTimeoutMs}.`,
    )
  }
  if (wrong.length > 0) throw new OperatorError(wrong.join('\n'), exitCode.config)
  const { recycleSeconds, validateIdleSeconds, waitMs, isolation, idleTransactionTimeoutMs, ...others } = rest
  return {
    ...others,
    pool: {
      size,
      max,
      recycleSeconds,
      validateIdleSeconds,
      waitMs,
      isolation,
      lockTimeoutMs,
      statementTimeoutMs,
      idleTransactionTimeoutMs,
    },
  }
}

function shown(found: string, { secret }: Setting): string {
  if (found.trim() === '') return 'empty; leave it out for the default'
  return secret ? 'something else (not shown, since it may hold a password)' : JSON.stringify(found)
}

/**
 * The settings as they are now, by variable. A value that may hold a password is returned without it.
 */
export function describeConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { variable: string; value: string | null; set: boolean }[] {
  parseConfig(environment)
  return settings.map(({ variable, fallback, secret }) => {
    const found = environment[variable]
    const value = found !== undefined && secret ? withoutPassword(found) : (found ?? fallback ?? null)
    return { variable, value, set: found !== undefined }
  })
}

/** A database's address as it may be shown: without the password, and without parameters, which may hold one too. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return '(not a URL)'
  const { protocol, username, host, pathname } = new URL(url)
  return `${protocol}//${username ? `${username}@` : ''}${host}${pathname}`
}
