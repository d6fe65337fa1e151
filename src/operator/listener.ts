import type { Server, Socket } from 'node:net'

/** A port that is listened at, for a server to take over. */
export interface Listener {
  readonly server: Server
  /** Connections that arrived before it was taken over, paused. */
  readonly early: readonly Socket[]
}
