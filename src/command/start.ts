import closeWithGrace from 'close-with-grace'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pino, { type Logger } from 'pino'
import { type Config, parseConfig } from '../operator/config.ts'
import { migrate, migrationStatus, refuse } from '../database/migrate.ts'
import { inSession } from '../database/session.ts'
import { demoTokens, isDemo, lacksDemo, seedDemo } from '../demo/demo.ts'
import { exitCode, OperatorError } from '../operator/operatorError.ts'
import { type Server, startServer } from '../server/server.ts'
import { columns, commandLine, print, printJson, report } from '../operator/print.ts'
import { openDatabase, type OpenDatabase } from './openDatabase.ts'
import { strictCommand } from './strictCommand.ts'

interface StartOptions {
  readonly migrate: boolean
  readonly demo: boolean
  readonly json: boolean
}

/** Serves, until it is told to stop. */
export const start = strictCommand({
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

/**
 * The port comes first: a second server that was started by mistake must not touch the database of the first. Until the
 * database is there, health checks are answered: alive, not ready.
 */
async function serve(options: StartOptions) {
  const config = parseConfig()
  const log = pino({ level: config.logLevel }, report)
  const server = await listen(config, log)
  const lifetime: Lifetime = { server }
  const starting = open(lifetime, config, log, options)
  const uninstall = closeWhenTold(lifetime, starting, config, log)
  try {
    await starting
  } catch (error) {
    if (lifetime.ending) return // it was told to stop meanwhile, and does
    uninstall()
    await end(lifetime, config, log)
    throw error
  }
  if (!lifetime.ending) sayWhere(server, lifetime.demo === true, options)
}

/** What there is to end. */
interface Lifetime {
  readonly server: Server
  database?: OpenDatabase
  demo?: boolean
  ending?: true
}

async function listen(config: Config, log: Logger): Promise<Server> {
  const { port, host } = config
  try {
    return await startServer({ config, log })
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EADDRINUSE':
        throw new OperatorError(
          `Port ${port} at ${host} is in use by another program. Stop that one, or set PORT to a port that is free.`,
          exitCode.unavailable,
        )
      case 'EACCES':
        throw new OperatorError(
          `Port ${port} at ${host} may not be used by this user. Set PORT to one above 1023.`,
          exitCode.permission,
        )
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        throw new OperatorError(
          `HOST is ${host}, which is no address of this machine. Set it to 127.0.0.1, or to 0.0.0.0 for all its addresses.`,
          exitCode.unavailable,
        )
    }
    throw error
  }
}

/** Between its steps it looks whether it is still wanted. */
async function open(lifetime: Lifetime, config: Config, log: Logger, options: StartOptions) {
  const database = (lifetime.database = await openDatabase(config, log))
  const { url } = database
  if (lifetime.ending) return
  if (options.migrate) await migrate(url, { log })
  else await refusePending(url)
  if (lifetime.ending) return
  lifetime.demo = await decideOnDemo(url, config, log, options, database.embedded !== undefined)
  if (lifetime.ending) return
  await lifetime.server.open({ databaseUrl: url, demo: lifetime.demo })
}

async function refusePending(url: string) {
  const status = await migrationStatus(url)
  refuse(status)
  const pending = status.filter(({ state }) => state === 'pending')
  if (pending.length === 0) return
  throw new OperatorError(
    `${pending.length === 1 ? 'A migration is' : `${pending.length} migrations are`} pending, the first of them ${pending[0]!.name}. ` +
      `Run ${commandLine('migrate')}, or start without --no-migrate.`,
    exitCode.data,
  )
}

/** Everybody knows the demo's tokens, so they are for this machine alone, unless the operator says otherwise. */
async function decideOnDemo(
  url: string,
  config: Config,
  log: Logger,
  { demo }: StartOptions,
  isEmbedded: boolean,
): Promise<boolean> {
  const isLocal = isLoopback(config.host)
  if (demo || (isEmbedded && isLocal)) {
    await inSession(url, async (client) => {
      // two servers may meet in a new database; freed with the session
      await client.query('select pg_advisory_lock(7270736903)')
      if (await lacksDemo(client)) await seedDemo(url, config, (error) => log.error(error))
    })
  }
  const found = await isDemo(url)
  if (!found || isLocal || demo) return found
  throw new OperatorError(
    `The database holds the demo's users, whose tokens everybody knows, and HOST is ${config.host}, where others can reach it. ` +
      'Use another database, set HOST to 127.0.0.1, or start with --demo if that is what you want.',
    exitCode.config,
  )
}

const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host)

/** npm passes on a Ctrl-C that the terminal has already sent, so that one press comes twice. */
const onePressMs = 500

/** The first signal ends it in order, a second one at once. */
function closeWhenTold(lifetime: Lifetime, starting: Promise<void>, config: Config, log: Logger): () => void {
  let failure: Error | undefined
  const close = async ({ err }: { err?: Error }) => {
    lifetime.ending = true
    if (err) log.fatal(err, 'An error that nobody caught.')
    log.info('Ending: what is under way is finished first.')
    // what is begun is finished first, unless it takes too long, such as waiting for another process that migrates
    await Promise.race([starting.catch(() => {}), sleep(config.shutdownGraceMs)])
    await end(lifetime, config, log)
    await report.flush()
    if (err || failure) process.exit(err ? exitCode.software : exitCode.unavailable)
  }
  const onTimeout = () =>
    log.error(
      'Not everything could be ended in time. A PostgreSQL that is left running is taken over by the next start.',
    )
  const graceful = closeWithGrace(
    { delay: config.shutdownGraceMs + 30_000, logger: false, onTimeout, skip: ['SIGINT', 'SIGTERM', 'beforeExit'] },
    close,
  )
  let told: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (told === undefined) graceful.close()
    else if (performance.now() - told > onePressMs) process.exit(signal === 'SIGINT' ? 130 : 143)
    told ??= performance.now()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  starting.then(
    () =>
      lifetime.database?.embedded?.lost.then((error) => {
        failure = error
        if (!existsSync(path.join(config.data, 'postgres')))
          log.fatal(
            `The data folder ${config.data} is gone: it was removed or renamed while it was in use. Put it back, then start again.`,
          )
        graceful.close()
      }),
    () => {},
  )
  return () => {
    graceful.uninstall()
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

/** First what uses the database, for as long as it may take, then the database. */
async function end({ server, database }: Lifetime, { shutdownGraceMs }: Config, log: Logger) {
  const drained = server.drain().then(
    () => true,
    (error: unknown) => void log.error(error, 'Draining failed.'),
  )
  const inTime = await Promise.race([drained, sleep(shutdownGraceMs, 'late' as const, { ref: false })])
  if (inTime === 'late') log.warn(`Requests were still under way after ${shutdownGraceMs} ms; ending all the same.`)
  await database?.close()
}

/** The last lines that are printed say where to go. */
function sayWhere({ address }: Server, isDemo: boolean, { json }: StartOptions) {
  const host = ['0.0.0.0', '::'].includes(address.host)
    ? 'localhost'
    : address.host.includes(':')
      ? `[${address.host}]`
      : address.host
  const url = `http://${host}:${address.port}`
  const places = { graphiql: `${url}/graphql`, graphql: `${url}/graphql`, health: `${url}/readyz` }
  if (json) return printJson({ ...places, demoTokens: isDemo ? demoTokens : [] })
  const lines = [
    ['GraphiQL', `${places.graphiql} (in a browser)`],
    ['GraphQL', `${places.graphql} (HTTP)`],
    ['Health', places.health],
  ]
  print(`\nLockstep is ready.\n\n${columns(lines.map(([name, place]) => [`  ${name}`, place!]))}`)
  if (isDemo)
    print(
      `\n  The demo's tokens, for the header Authorization: Bearer <token>\n\n${demoTokens.map((token) => `    ${token}`).join('\n')}`,
    )
}
