import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { inSession } from '../src/database/session.ts'

/** Creates a database of a test's own, a clone of the migrated template or an empty one, and returns its URL. */
export async function ownDatabase(kind: 'migrated' | 'empty'): Promise<string> {
  const template = inject('template')
  const source = new URL(template).pathname.slice(1)
  const name = `${source}_${randomUUID().replaceAll('-', '')}`
  const at = (database: string) => Object.assign(new URL(template), { pathname: `/${database}` }).href
  const clause = kind === 'migrated' ? ` template ${source}` : ''
  await inSession(at('postgres'), (client) => client.query(`create database ${name}${clause}`))
  return at(name)
}
