import { describe, expect, it } from 'vitest'
import { describeConfig, parseConfig, withoutPassword } from '../../src/operator/config.ts'
import { settings, settingsTable } from '../../src/operator/settings.ts'
import { defaultPool } from '../../src/database/pool.ts'
import { OperatorError } from '../../src/operator/operatorError.ts'

function wrong(environment: Record<string, string>): string[] {
  try {
    parseConfig(environment)
  } catch (error) {
    expect(error).toBeInstanceOf(OperatorError)
    expect((error as OperatorError).exitCode).toBe(78)
    return (error as OperatorError).message.split('\n')
  }
  throw new Error('nothing was found wrong')
}

describe('the environment', () => {
  it('has a default for everything', () => {
    expect(parseConfig({})).toEqual({
      port: 4_000,
      host: '127.0.0.1',
      corsOrigins: [],
      data: './data',
      idempotencyKeyDays: 30,
      journalDays: 0,
      liveConnections: 10_000,
      liveSubscriptionsPerConnection: 100,
      liveSubscriptionsPerUser: 1_000,
      liveBufferBytes: 1_048_576,
      logLevel: 'info',
      shutdownGraceMs: 10_000,
      pool: defaultPool,
    })
  })

  it('is read, each variable for what it says', () => {
    const environment = {
      PORT: '0',
      HOST: '::',
      CORS_ORIGINS: 'https://a.example, http://localhost:5173',
      LOCKSTEP_DATA: '/srv/lockstep',
      DATABASE_URL: 'postgresql://u:p@db:5433/x?sslmode=require',
      DATABASE_POOL_SIZE: '1',
      DATABASE_POOL_MAX: '2',
      DATABASE_POOL_RECYCLE_SECONDS: '3',
      DATABASE_POOL_VALIDATE_IDLE_SECONDS: '4',
      DATABASE_POOL_WAIT_MS: '5',
      DATABASE_ISOLATION: 'repeatable-read',
      DATABASE_LOCK_TIMEOUT_MS: '6',
      DATABASE_STATEMENT_TIMEOUT_MS: '7',
      DATABASE_IDLE_TRANSACTION_TIMEOUT_MS: '8',
      IDEMPOTENCY_KEY_DAYS: '9',
      JOURNAL_DAYS: '11',
      LIVE_CONNECTIONS: '12',
      LIVE_SUBSCRIPTIONS_PER_CONNECTION: '13',
      LIVE_SUBSCRIPTIONS_PER_USER: '14',
      LIVE_BUFFER_BYTES: '1500',
      LOG_LEVEL: 'debug',
      SHUTDOWN_GRACE_MS: '10',
    }
    expect(Object.keys(environment)).toEqual(settings.map(({ variable }) => variable))
    expect(parseConfig(environment)).toEqual({
      port: 0,
      host: '::',
      corsOrigins: ['https://a.example', 'http://localhost:5173'],
      data: '/srv/lockstep',
      databaseUrl: 'postgresql://u:p@db:5433/x?sslmode=require',
      idempotencyKeyDays: 9,
      journalDays: 11,
      liveConnections: 12,
      liveSubscriptionsPerConnection: 13,
      liveSubscriptionsPerUser: 14,
      liveBufferBytes: 1_500,
      logLevel: 'debug',
      shutdownGraceMs: 10,
      pool: {
        size: 1,
        max: 2,
        recycleSeconds: 3,
        validateIdleSeconds: 4,
        waitMs: 5,
        isolation: 'repeatable-read',
        lockTimeoutMs: 6,
        statementTimeoutMs: 7,
        idleTransactionTimeoutMs: 8,
      },
    })
  })

  it('may hold anything else', () => {
    expect(parseConfig({ PATH: '/bin', DATABASE_POOL_SIZES: 'many' })).toEqual(parseConfig({}))
  })

  it.each([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '4000.5'],
    ['PORT', '4e3'],
    ['PORT', '0x10'],
    ['PORT', ' 4000'],
    ['DATABASE_POOL_MAX', '0'],
    ['DATABASE_LOCK_TIMEOUT_MS', '0'],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '99999999999999999999'],
    ['DATABASE_ISOLATION', 'serializable'],
    ['LOG_LEVEL', 'INFO'],
    ['CORS_ORIGINS', 'https://a.example/path'],
  ])('is refused when %s is %j, with what was found and what is wanted', (variable, value) => {
    const { wanted } = settings.find((setting) => setting.variable === variable)!
    expect(wrong({ [variable]: value })).toEqual([`${variable} must be ${wanted}, and is ${JSON.stringify(value)}.`])
  })

  it.each(settings.map(({ variable }) => variable))('is refused when %s is empty', (variable) => {
    for (const value of ['', '  '])
      expect(wrong({ [variable]: value })[0]).toMatch(
        new RegExp(`^${variable} must be .*, and is empty; leave it out for the default\\.$`),
      )
  })

  it('is refused when its variables contradict each other', () => {
    expect(wrong({ DATABASE_POOL_SIZE: '61' })).toEqual([
      'DATABASE_POOL_SIZE must not be more than DATABASE_POOL_MAX, and is 61, with DATABASE_POOL_MAX at 60.',
    ])
    expect(wrong({ DATABASE_LOCK_TIMEOUT_MS: '10000' })).toEqual([
      expect.stringMatching(
        /^DATABASE_LOCK_TIMEOUT_MS must be less than DATABASE_STATEMENT_TIMEOUT_MS, .* and is 10000, with DATABASE_STATEMENT_TIMEOUT_MS at 10000\.$/,
      ),
    ])
  })

  it('keeps events longer than the keys whose answers they bear', () => {
    expect(wrong({ JOURNAL_DAYS: '30' })).toEqual([
      expect.stringMatching(
        /^JOURNAL_DAYS must be 0 or more than IDEMPOTENCY_KEY_DAYS, .* is 30, with IDEMPOTENCY_KEY_DAYS at 30\.$/,
      ),
    ])
    expect(parseConfig({ JOURNAL_DAYS: '31' }).journalDays).toBe(31)
  })

  it('is told all that is wrong with it at once', () => {
    const found = wrong({
      PORT: 'x',
      LOG_LEVEL: 'loud',
      DATABASE_POOL_SIZE: '90',
      DATABASE_URL: 'mysql://u:hidden@h/d',
    })
    expect(found.map((sentence) => sentence.split(' ')[0])).toEqual([
      'PORT',
      'DATABASE_URL',
      'LOG_LEVEL',
      'DATABASE_POOL_SIZE',
    ])
  })

  it('keeps its password', () => {
    const url = 'postgresql://u:hidden@h:99999999/d'
    expect(wrong({ DATABASE_URL: url }).join()).not.toContain('hidden')
    expect(JSON.stringify(describeConfig({ DATABASE_URL: 'postgresql://u:hidden@h/d?password=hidden' }))).not.toContain(
      'hidden',
    )
    expect(withoutPassword('postgresql://u:hidden@h:1/d?x=hidden')).toBe('postgresql://u@h:1/d')
    expect(withoutPassword(url)).toBe('(not a URL)')
  })
})

describe('the table of settings', () => {
  it('tells of each in a sentence, with its default', () => {
    const rows = settingsTable().split('\n').slice(2)
    expect(rows).toHaveLength(settings.length)
    for (const { variable, sentence, fallback = '' } of settings) {
      const row = rows.find((row) => row.startsWith(`| \`${variable}\` |`))
      expect(row).toContain(fallback)
      expect(sentence).toMatch(/^[A-Z].*\.$/)
    }
  })
})
