import {
  type ExecutionArgs,
  type ExecutionResult,
  type FieldNode,
  getNamedType,
  getNullableType,
  getOperationAST,
  GraphQLError,
  type GraphQLOutputType,
  type GraphQLSchema,
  isCompositeType,
  isListType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql'
import type { Plugin } from 'graphql-yoga'

/**
 * The most that an operation may cost. A page of 100 with a list in each and another in each of those is below it; one
 * more list is above.
 */
const MOST = 50_000
/** How many items a list without pages is taken to have. */
const LIST = 10
/** How many a page has when nothing is said, and at most. */
const [PAGE, LARGEST_PAGE] = [20, 100]

/**
 * Refuses an operation that would fetch too much before any of it is fetched: each field counts once for every item
 * that it may be asked of.
 */
export const listLimit: Plugin = {
  onExecute: ({ args, setResultAndStopExecution }) => refuse(args as ExecutionArgs, setResultAndStopExecution),
  // of a subscription, for each of its items
  onSubscribe: ({ args, setResultAndStopExecution }) => refuse(args as ExecutionArgs, setResultAndStopExecution),
}

function refuse(args: ExecutionArgs, answer: (result: ExecutionResult) => void): undefined {
  const cost = costOf(args)
  if (cost <= MOST) return
  const message = `This operation costs ${cost === Number.POSITIVE_INFINITY ? 'far too much' : cost.toLocaleString('en')}, and the most is ${MOST.toLocaleString('en')}: each field counts once for every item of the lists that it is in. Ask for smaller pages (first: 10), or for fewer lists within lists.`
  answer({
    errors: [
      new GraphQLError(message, { extensions: { code: 'QUERY_TOO_EXPENSIVE', http: { status: 400, spec: true } } }),
    ],
  })
}

/** What an operation costs; 0 if it isn't clear which one is meant, which the execution refuses. */
export function costOf({
  schema,
  document,
  operationName,
  variableValues,
}: Pick<ExecutionArgs, 'schema' | 'document' | 'operationName' | 'variableValues'>) {
  const operation = getOperationAST(document, operationName)
  const root = operation && schema.getRootType(operation.operation)
  if (!operation || !root) return 0

  const defaults = new Map(
    operation.variableDefinitions?.map(({ variable, defaultValue }) => [variable.name.value, defaultValue]),
  )
  const fragments = new Map(
    document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
  )
  const known = new Map<string, number>() // of a fragment and a page's size; one that is spread often is counted once and added often

  /** How long a list is that an argument names the length of; undefined if it says nothing. */
  function sizeIn(value: ValueNode | undefined): number | undefined {
    if (value?.kind === Kind.INT) return clamp(Number(value.value))
    if (value?.kind === Kind.LIST) return value.values.length
    if (value?.kind !== Kind.VARIABLE) return undefined
    const given = (variableValues as Record<string, unknown> | undefined | null)?.[value.name.value]
    if (typeof given === 'number') return clamp(given)
    if (Array.isArray(given)) return given.length
    if (given === undefined && defaults.get(value.name.value)) return sizeIn(defaults.get(value.name.value))
    return given === undefined || given === null ? undefined : LARGEST_PAGE
  }

  function field(node: FieldNode, type: GraphQLOutputType, page: number | undefined): number {
    if (!node.selectionSet) return 1
    const argument = (name: string) => sizeIn(node.arguments?.find((each) => each.name.value === name)?.value)
    const named = getNamedType(type)
    const isPage = isObjectType(named) && named.name.endsWith('Connection')
    if (isPage) return 1 + selection(node.selectionSet, named.name, argument('first') ?? argument('last') ?? PAGE)
    const times = isListType(getNullableType(type)) ? (page ?? argument('ids') ?? LIST) : 1
    return 1 + times * selection(node.selectionSet, named.name, undefined)
  }

  function selection({ selections }: SelectionSetNode, typename: string, page: number | undefined): number {
    let cost = 0
    for (const node of selections) {
      if (node.kind === Kind.FIELD) {
        const type = fieldType(schema, typename, node.name.value)
        if (type) cost += field(node, type, page)
      } else if (node.kind === Kind.INLINE_FRAGMENT)
        cost += selection(node.selectionSet, node.typeCondition?.name.value ?? typename, page)
      else cost += spread(node.name.value, page)
    }
    return cost
  }

  function spread(name: string, page: number | undefined): number {
    const key = `${name} ${page}`
    const fragment = fragments.get(name)
    if (!known.has(key) && fragment) {
      known.set(key, 0)
      known.set(key, selection(fragment.selectionSet, fragment.typeCondition.name.value, page))
    }
    return known.get(key) ?? 0
  }

  return selection(operation.selectionSet, root.name, undefined)
}

const clamp = (size: number) => Math.max(0, Math.min(LARGEST_PAGE, size))

/** Undefined for what costs nothing: what the schema says of itself, and __typename. */
function fieldType(schema: GraphQLSchema, typename: string, field: string): GraphQLOutputType | undefined {
  const type = schema.getType(typename)
  return isCompositeType(type) && 'getFields' in type ? type.getFields()[field]?.type : undefined
}
