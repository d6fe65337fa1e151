import net from 'node:net'

// A process of its own that plays many clients over WebSocket: as little work a message as can be, so that it is the
// server that is measured. It counts the messages that arrive, and says when (CLOCK_MONOTONIC, which all processes
// share) the last of those that are expected did.

/** The orders to the crowd, and its answers. */
export type Told =
  | {
      readonly do: 'connect'
      readonly port: number
      readonly path: string
      readonly protocol?: string
      readonly send: readonly (readonly string[])[]
    }
  | { readonly do: 'expect'; readonly count: number }
  | { readonly do: 'watch' }
  | { readonly do: 'leave' }
export type Answer =
  | { readonly did: 'connect' | 'leave' }
  | { readonly did: 'arrived'; readonly at: string }
  | { readonly did: 'seen'; readonly messages: readonly (readonly [at: string, text: string])[] }

const sockets: net.Socket[] = []
let arrived = 0
let expected = Number.POSITIVE_INFINITY
let watching: [string, string][] | undefined
const answer = (message: Answer) => process.send!(message)
const now = () => process.hrtime.bigint()

function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const header =
    payload.length < 126
      ? Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0])
      : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0])
  return Buffer.concat([header, payload]) // masked with zeros, which is a mask
}

/** The answer to a ping. A client that does not answer is taken for gone. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])

/** Counts the text frames of a connection, which may arrive in any pieces. */
function counter(heard: (text: () => string) => void, pinged: () => void) {
  let rest: Buffer | undefined
  return (chunk: Buffer) => {
    let data = rest ? Buffer.concat([rest, chunk]) : chunk
    rest = undefined
    while (data.length >= 2) {
      const short = data[1]! & 127
      const start = short < 126 ? 2 : short === 126 ? 4 : 10
      if (data.length < start) break
      const length = short < 126 ? short : short === 126 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2))
      if (data.length < start + length) break
      if ((data[0]! & 15) === 1) {
        const body = data
        heard(() => body.toString('utf8', start, start + length))
      } else if ((data[0]! & 15) === 9) pinged()
      data = data.subarray(start + length)
    }
    if (data.length) rest = Buffer.from(data)
  }
}

async function connect({ port, path, protocol, send }: Extract<Told, { do: 'connect' }>) {
  let next = 0
  const one = async () => {
    while (next < send.length) {
      const messages = send[next++]!
      await new Promise<void>((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1')
        sockets.push(socket)
        socket.setNoDelay(true)
        socket.once('error', reject).once('close', () => reject(new Error('closed')))
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
            `${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`,
        )
        socket.once('data', (head) => {
          const end = head.indexOf('\r\n\r\n')
          if (!head.toString('latin1', 0, 12).endsWith('101')) return reject(new Error(head.toString()))
          let said = 0
          const say = () => (said < messages.length ? socket.write(frame(messages[said++]!)) : resolve())
          // the server answers each message once before the next is sent, and before the connection counts
          let settled = !messages.length
          const hear = counter(
            (text) => {
              if (!settled) {
                settled = said === messages.length
                return say()
              }
              arrived++
              if (watching) watching.push([String(now()), text()])
              if (arrived === expected) answer({ did: 'arrived', at: String(now()) })
            },
            () => socket.write(PONG),
          )
          socket.on('data', hear)
          hear(head.subarray(end + 4))
          say()
        })
      })
    }
  }
  await Promise.all(Array.from({ length: 100 }, one))
  answer({ did: 'connect' })
}

function fail(error: unknown) {
  console.error(error)
  process.exit(1)
}

process.on('message', (told: Told) => {
  if (told.do === 'connect') connect(told).catch(fail)
  else if (told.do === 'expect') {
    arrived = 0
    expected = told.count
  } else if (told.do === 'watch') {
    answer({ did: 'seen', messages: watching ?? [] })
    watching = []
  } else {
    for (const socket of sockets.splice(0)) socket.destroy()
    watching = undefined
    answer({ did: 'leave' })
  }
})
