import { createHash } from 'node:crypto'

/** An id derived from a name: the first 64 bits of its SHA-256, in hex. The same on every machine. */
export const idOf = (name: string) => createHash('sha256').update(name).digest('hex').slice(0, 16)
