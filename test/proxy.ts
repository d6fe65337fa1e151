import net from 'node:net'

/** What becomes of a COMMIT. */
type AtCommit =
  /** It goes through. */
  | 'pass'
  /** PostgreSQL commits; its reply is lost, and with it the connection. */
  | 'lose the reply'
  /** PostgreSQL never hears of it, and the connection is lost. */
  | 'lose it'
  /** PostgreSQL does not hear of it, and the connection stays. */
  | 'keep it'
  /** PostgreSQL commits; its reply doesn't come, and the connection stays. */
  | 'keep the reply'

/** What becomes of an answer: it is lost, and its connection with it; or it is held back until it is let go. */
type AtAnswer = 'lose' | 'hold'

/** Stands between a client and PostgreSQL, or another server, and does what a network may do. */
export async function proxy(target: string) {
  const pairs = new Set<readonly [net.Socket, net.Socket]>()
  const waiting: (() => void)[] = []
  const traps: { text: string; becomes: AtAnswer; meet(letGo: () => void): void }[] = []
  const p = {
    url: '',
    /** Where new connections lead. */
    target,
    /** What becomes of the next `times` COMMITs; then they pass. */
    atCommit: 'pass' as AtCommit,
    times: Number.POSITIVE_INFINITY,
    /** How many COMMITs met with something. */
    met: 0,
    /** Nobody is let in. */
    unreachable: false,
    /** Nothing is carried any more on the connections there are, and nobody is told. */
    silent: false,
    /** How many connections there are. */
    get connections() {
      return pairs.size
    },
    /** Resolves when a COMMIT meets with something. */
    meeting: () => new Promise<void>((resolve) => waiting.push(resolve)),
    /** What becomes of the next answer that has this text. Resolves when it comes, with what lets it go. */
    atAnswer: (text: string, becomes: AtAnswer) =>
      new Promise<() => void>((meet) => traps.push({ text, becomes, meet })),
    /** All connections are lost. */
    cut() {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        p.cut()
      }),
  }
  const met = () => {
    p.met++
    for (const resolve of waiting.splice(0)) resolve()
  }

  const server = net.createServer((client) => {
    client.on('error', () => {})
    if (p.unreachable) return void client.destroy()
    const { hostname, port } = new URL(p.target)
    const database = net.connect({ host: hostname, port: Number(port) })
    const pair = [client, database] as const
    pairs.add(pair)
    const lose = () => {
      pairs.delete(pair)
      client.destroy()
      database.destroy()
    }
    database.on('error', lose).on('close', lose)
    client.on('error', lose).on('close', lose)

    let silent = false
    let reply: 'pass' | 'lose' | 'keep' = 'pass'
    client.on('data', (data) => {
      silent ||= p.silent
      if (silent) return
      const isCommit = data.includes('COMMIT\0')
      if (isCommit && p.atCommit !== 'pass' && p.times > 0) {
        p.times--
        if (p.atCommit === 'keep it') return met()
        if (p.atCommit === 'lose it') {
          met()
          return lose()
        }
        reply = p.atCommit === 'lose the reply' ? 'lose' : 'keep'
      }
      database.write(data)
    })
    database.on('data', (data) => {
      if (silent || p.silent) return void (silent = true)
      const trap = traps.find(({ text }) => data.includes(text))
      if (trap) {
        traps.splice(traps.indexOf(trap), 1)
        if (trap.becomes === 'lose') lose()
        else database.pause()
        return trap.meet(() => void client.write(data, () => database.resume()))
      }
      if (reply === 'pass') return void client.write(data)
      met()
      if (reply === 'lose') lose()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  p.url = Object.assign(new URL(target), {
    hostname: '127.0.0.1',
    port: String((server.address() as net.AddressInfo).port),
  }).toString()
  return p
}
