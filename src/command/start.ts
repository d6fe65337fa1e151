import pino, { type Logger } from 'pino'
import { migrate, migrationStatus, refuse } from '../database/migrate.ts'
import { inSession } from '../database/session.ts'
import { type Config, parseConfig } from '../operator/config.ts'
import type { Listener } from '../operator/listener.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { aligned, commandLine, print, printJson, report } from '../operator/print.ts'
import { bind, isLoopback, urlOf } from './address.ts'
import { Lifetime } from './lifetime.ts'
import { openDatabase } from './openDatabase.ts'
import { strictCommand } from './strictCommand.ts'

interface StartOptions {
  readonly migrate: boolean
  readonly demo: boolean
  readonly json: boolean
}

/** Serves until a signal ends it. */
export const start = strictCommand({
  examples: ['start', 'start --no-migrate --json'],
  args: {
    migrate: {
      type: 'boolean',
      default: true,
      description: 'Apply pending migrations first',
      negativeDescription: 'Refuse to start when migrations are pending',
    },
    demo: {
      type: 'boolean',
      default: false,
      description: 'Fill a database that is new with the demo, and serve its users to others than this machine',
    },
    json: { type: 'boolean', default: false, description: 'When ready, say where in JSON' },
  },
  run: ({ args }) => serve(args),
})

/** The port comes first: a second server that was started by mistake must not touch the database of the first. */
async function serve(options: StartOptions) {
  const config = parseConfig()
  const listener = await bind(config)
  const log = pino({ level: config.logLevel }, report)
  const lifetime = new Lifetime(config, log)
  await lifetime.begin(() => open(lifetime, config, log, options, listener))
}

/** Until the database is there, health checks are answered: alive, not ready. Each step looks whether to go on. */
async function open(lifetime: Lifetime, config: Config, log: Logger, options: StartOptions, listener: Listener) {
  const { server, database } = await serveAndOpen(lifetime, config, log, listener)
  const { url, embedded } = database
  if (lifetime.isEnding) return
  if (options.migrate) await migrate(url, { log })
  else await refusePending(url)
  if (lifetime.isEnding) return
  const tokens = await demoTokensOf(url, config, log, options, embedded !== undefined)
  if (lifetime.isEnding) return
  await server.open({ databaseUrl: url, demo: tokens.length > 0 })
  if (!lifetime.isEnding) sayWhere(urlOf(server.address), tokens, options)
}

/** Both at once: the server's modules take a while to load, and initdb and PostgreSQL are other processes. */
async function serveAndOpen(lifetime: Lifetime, config: Config, log: Logger, listener: Listener) {
  const serving = import('../server/server.ts')
    .then(({ startServer }) => startServer({ config, log, listener }))
    .then((server) => (lifetime.server = server))
  const opening = (lifetime.database = openDatabase(config, log))
  await Promise.allSettled([serving, opening]) // if one fails, the other must be there to be ended
  return { server: await serving, database: await opening }
}

async function refusePending(url: string) {
  const status = await migrationStatus(url)
  refuse(status)
  const pending = status.filter(({ state }) => state === 'pending')
  if (pending.length === 0) return
  const count = pending.length === 1 ? 'A migration is' : `${pending.length} migrations are`
  throw new OperatorError(
    `${count} pending, the first of them ${pending[0]!.name}. ` +
      `Run ${commandLine('migrate')}, or start without --no-migrate.`,
    exitCode.data,
  )
}

/**
 * Makes the demo where it is wanted; the tokens of its users, if they are in the database. Everybody knows these, so
 * they are for this machine alone, unless the operator says otherwise.
 */
async function demoTokensOf(
  url: string,
  config: Config,
  log: Logger,
  { demo }: StartOptions,
  isEmbedded: boolean,
): Promise<readonly string[]> {
  const { isDemo, lacksDemo, seedDemo } = await import('../demo/demo.ts')
  const isLocal = isLoopback(config.host)
  if (demo || (isEmbedded && isLocal)) {
    await inSession(url, async (client) => {
      // two servers may meet in a new database; freed with the session
      await client.query('select pg_advisory_lock(7270736903)')
      if (await lacksDemo(client)) await seedDemo(url, config, (error) => log.error(error))
    })
  }
  const found = await isDemo(url)
  if (!found) return []
  if (isLocal || demo) return (await import('../identity/demo.ts')).demoTokens
  throw new OperatorError(
    `The database holds the demo's users, whose tokens everybody knows, and HOST is ${config.host}, where ` +
      'others can reach it. ' +
      'Use another database, set HOST to 127.0.0.1, or start with --demo if that is what you want.',
    exitCode.config,
  )
}

/** The last lines that are printed say where to go. */
function sayWhere(url: string, demoTokens: readonly string[], { json }: StartOptions) {
  const places = { graphiql: `${url}/graphql`, graphql: `${url}/graphql`, health: `${url}/readyz` }
  if (json) return printJson({ ...places, demoTokens })
  const lines = [
    ['  GraphiQL', `${places.graphiql} (in a browser)`],
    ['  GraphQL', `${places.graphql} (HTTP)`],
    ['  Health', places.health],
  ]
  print(`\nLockstep is ready.\n\n${aligned(lines)}`)
  if (demoTokens.length === 0) return
  const list = demoTokens.map((token) => `    ${token}`).join('\n')
  print(`\n  The demo's tokens, for the header Authorization: Bearer <token>\n\n${list}`)
}
