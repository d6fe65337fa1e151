import { decodeGlobalID, encodeGlobalID } from '@pothos/plugin-relay'
import { GraphQLError, type GraphQLSchema, isInterfaceType } from 'graphql'
import { system } from '../commit/aggregate.ts'
import { InvalidInput } from '../commit/errors.ts'

/** The most things that `nodes` looks up at once. */
const MOST_IDS = 100

type GlobalId = { readonly typename: string } | null | undefined

/** Throws where `node` or `nodes` is asked for too many ids, or for the id of a type that is no Node. */
export function checkNodeIds(ids: readonly GlobalId[], schema: GraphQLSchema): void {
  if (ids.length > MOST_IDS)
    throw new InvalidInput('ids', `ids has ${ids.length} ids. Wanted are ${MOST_IDS} at most; send several requests.`)
  const node = schema.getType('Node')
  const types = isInterfaceType(node) ? schema.getPossibleTypes(node).map(({ name }) => name) : []
  if (ids.every((id) => !id || types.includes(id.typename))) return
  throw new GraphQLError(
    `The id is of a type that has no global ids here. Wanted is an id that a query returned: of ` +
      `${types.sort().map(one).join(', ')}.`,
    { extensions: { code: 'BAD_REQUEST' } },
  )
}

/** A type's name with its article; that of `User` is `a`. */
const one = (typename: string) => `${/^[AEIO]/.test(typename) ? 'an' : 'a'} ${typename}`

/** The id in a global id of this type. Throws InvalidInput for anything else; `field` is where it was found. */
export function localId(typename: string, globalId: string, field: string): string {
  const wanted = `Wanted is the id of ${one(typename)}, as a query returned it.`
  let decoded: { typename: string; id: string }
  try {
    decoded = decodeGlobalID(globalId)
  } catch {
    throw new InvalidInput(field, `${field} is no global id. ${wanted}`)
  }
  if (decoded.typename !== typename) {
    const found = /^[A-Za-z]{1,40}$/.test(decoded.typename) ? one(decoded.typename) : 'something else'
    throw new InvalidInput(field, `${field} is the id of ${found}. ${wanted}`)
  }
  if (!/^[\w.-]{1,200}$/.test(decoded.id))
    throw new InvalidInput(field, `${field} is no id that this server returned. ${wanted}`)
  return decoded.id
}

/**
 * The name of the one argument that was given, of several ways to name the same thing. Throws InvalidInput if none was
 * given, or several.
 */
export function oneOf<Names extends string>(given: Readonly<Record<Names, unknown>>): Names {
  const names = Object.keys(given) as Names[] // Object.keys forgets the names
  const found = names.filter((name) => given[name] !== null && given[name] !== undefined)
  if (found.length === 1) return found[0]!
  const wanted = `Wanted is exactly one of ${names.join(', ')}.`
  const what = found.length ? `Both ${found.join(' and ')} were given` : `None of ${names.join(', ')} was given`
  throw new InvalidInput(found[0] ?? names[0]!, `${what}. ${wanted}`)
}

/** Throws InvalidInput where arguments were given that say nothing beside this one. */
export function alone(name: string, others: Readonly<Record<string, unknown>>): void {
  for (const [other, value] of Object.entries(others))
    if (value !== null && value !== undefined)
      throw new InvalidInput(other, `${other} was given together with ${name}. Wanted is ${name} alone.`)
}

/** The global id of an actor; null: the system. */
export const actorIdOf = (actor: string) => (actor === system.id ? null : encodeGlobalID('User', actor))
