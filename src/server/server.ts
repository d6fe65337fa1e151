import type { Commit } from '../commit/commit.ts'
import { graphiqlFiles } from '../graphiql/files.ts'
import { modules } from '../modules.ts'
import type { Config } from '../operator/config.ts'
import type { Listener } from '../operator/listener.ts'
import type { Log } from '../operator/log.ts'
import { say } from './answer.ts'
import { graphqlRoute } from './graphqlRoute.ts'
import { livez, Readiness, readyz } from './health.ts'
import { type Handle, Http } from './http.ts'
import { metricsOf } from './metrics.ts'
import { ServerProcess } from './process.ts'

/**
 * A running server.
 *
 *   starting ── open ──▶ open ── drain ──▶ draining ──▶ gone
 *      └──────────────────── drain ───────────▲
 *
 * It is alive in all of these states but the last, and ready only while open.
 */
export interface Server {
  readonly address: { readonly host: string; readonly port: number }
  /** Connects to the database and becomes ready. Resolves with the way in, for work in the same process. */
  open(options: { databaseUrl: string; demo: boolean }): Promise<Commit>
  /** Accepts nothing more, finishes what is under way, disconnects. */
  drain(): Promise<void>
}

/** What a server has once it is open. */
interface Open {
  readonly parts: ServerProcess
  readonly graphql: Handle
  readonly readiness: Readiness
}

interface StartServerOptions {
  readonly config: Config
  readonly log: Log
  /** Taken over, if there is one; otherwise it listens by itself. */
  readonly listener?: Listener
}

/** Is alive at once, but not ready. Rejects if the address can't be had. */
export async function startServer({ config, log, listener }: StartServerOptions): Promise<Server> {
  const metrics = metricsOf(log)
  let open: Open | undefined

  const routes = new Map<string, Handle>([
    ['/livez', livez],
    ['/readyz', readyz(async () => (http.isDraining ? 'draining' : open ? open.readiness.whyNot() : 'starting'))],
    ['/metrics', metrics.expose],
    ['/graphql', (request, response) => (open ? open.graphql(request, response) : say(response, 503, 'starting'))],
    ...graphiqlFiles,
    ['/', (_, response) => response.writeHead(302, { location: '/graphql' }).end()],
  ])
  const http = new Http({ routes, upgrade: () => open?.parts.sockets.upgrade, onRequest: metrics.http.request, log })
  const address = await (listener ? http.takeOver(listener) : http.listen(config))

  return {
    address,
    async open({ databaseUrl, demo }) {
      const parts = new ServerProcess({ config, log, metrics, modules, databaseUrl, demo })
      const graphql = graphqlRoute(parts, () => http.isDraining)
      open = { parts, graphql, readiness: new Readiness(databaseUrl) }
      return parts.commit
    },
    async drain() {
      await http.drain(() => open?.parts.hangUp())
      await open?.parts.close()
    },
  }
}
