import { hash } from 'node:crypto'
import type { Request } from './request.ts'

/** The same for the same operation with the same arguments, whatever the order of their fields; 22 characters. */
export function fingerprintOf({ verb, input, expectedVersion }: Request): string {
  return hash('sha256', `${verb.name} ${expectedVersion} ${canonical(input)}`, 'base64url').slice(0, 22)
}

/** JSON with its fields sorted. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null'
  let text = '{'
  for (const field of Object.keys(value).sort()) {
    const inner = value[field]
    if (inner !== undefined) text += `${JSON.stringify(field)}:${canonical(inner)},`
  }
  return `${text}}`
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
