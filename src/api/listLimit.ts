import {
  type ExecutionArgs,
  type ExecutionResult,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  getNamedType,
  getNullableType,
  getOperationAST,
  GraphQLError,
  type GraphQLSchema,
  isCompositeType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { LARGEST_PAGE, PAGE } from './builder.ts'

/**
 * The most that an operation may cost. A page of 100 with a list in each and another in each of those is below it; one
 * more list is above.
 */
const MOST = 50_000
/** How many items a list without pages is taken to have. */
const LIST = 10

/**
 * Refuses an operation that would load too much, before any of it is loaded. Each field counts once for every item that
 * it may be resolved for. A field that takes more than a look-up has `extensions.cost`, which is added.
 */
export const listLimit: Plugin = {
  onExecute: ({ args, setResultAndStopExecution }) => refuse(args, setResultAndStopExecution),
  // of a subscription, for each of its items
  onSubscribe: ({ args, setResultAndStopExecution }) => refuse(args, setResultAndStopExecution),
}

function refuse(args: Costed, answer: (result: ExecutionResult) => void): undefined {
  const cost = costOf(args)
  if (cost <= MOST) return
  const found = cost === Number.POSITIVE_INFINITY ? 'far too much' : cost.toLocaleString('en')
  const message =
    `This operation costs ${found}, and the most is ${MOST.toLocaleString('en')}: each field counts once for every ` +
    'item of the lists that it is in. Ask for smaller pages (first: 10), or for fewer lists within lists.'
  const extensions = { code: 'QUERY_TOO_EXPENSIVE', http: { status: 400, spec: true } }
  answer({ errors: [new GraphQLError(message, { extensions })] })
}

type Costed = Pick<ExecutionArgs, 'schema' | 'document' | 'operationName' | 'variableValues'>

/** The cost of an operation; 0 if it isn't clear which one is meant, which the execution refuses. */
export function costOf(args: Costed): number {
  const { schema, document, operationName } = args
  const operation = getOperationAST(document, operationName)
  const root = operation && schema.getRootType(operation.operation)
  return operation && root ? new Cost(args, operation).selection(operation.selectionSet, root.name, undefined) : 0
}

/** What the parts of one operation cost. */
class Cost {
  readonly #schema: GraphQLSchema
  readonly #variables: Readonly<Record<string, unknown>>
  readonly #defaults: ReadonlyMap<string, ValueNode | undefined>
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>
  /** Of a fragment within a page of some size: one that is spread often is counted once and added often. */
  readonly #known = new Map<string, number>()

  constructor({ schema, document, variableValues }: Costed, operation: OperationDefinitionNode) {
    this.#schema = schema
    this.#variables = variableValues ?? {}
    this.#defaults = new Map(
      operation.variableDefinitions?.map(({ variable, defaultValue }) => [variable.name.value, defaultValue]),
    )
    this.#fragments = new Map(
      document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
    )
  }

  /** What a selection costs for one item; `page` is the size of the page that it is in, if it is in one. */
  selection({ selections }: SelectionSetNode, typename: string, page: number | undefined): number {
    let cost = 0
    for (const node of selections) {
      if (node.kind === Kind.FIELD) {
        const field = fieldOf(this.#schema, typename, node.name.value)
        if (field) cost += this.#field(node, field, page)
      } else if (node.kind === Kind.INLINE_FRAGMENT)
        cost += this.selection(node.selectionSet, node.typeCondition?.name.value ?? typename, page)
      else cost += this.#spread(node.name.value, page)
    }
    return cost
  }

  #field(node: FieldNode, { type, extensions }: Field, page: number | undefined): number {
    const own = 1 + (typeof extensions.cost === 'number' ? extensions.cost : 0)
    if (!node.selectionSet) return own
    const argument = (name: string) => this.#size(node.arguments?.find((each) => each.name.value === name)?.value)
    const named = getNamedType(type)
    const isPage = isObjectType(named) && named.name.endsWith('Connection')
    if (isPage)
      return own + this.selection(node.selectionSet, named.name, argument('first') ?? argument('last') ?? PAGE)
    const times = isListType(getNullableType(type)) ? (page ?? argument('ids') ?? LIST) : 1
    return own + times * this.selection(node.selectionSet, named.name, undefined)
  }

  #spread(name: string, page: number | undefined): number {
    const key = `${name} ${page}`
    const fragment = this.#fragments.get(name)
    if (!this.#known.has(key) && fragment) {
      this.#known.set(key, 0)
      this.#known.set(key, this.selection(fragment.selectionSet, fragment.typeCondition.name.value, page))
    }
    return this.#known.get(key) ?? 0
  }

  /** How long a list is whose length, or whose items, an argument names; undefined if it says nothing. */
  #size(value: ValueNode | undefined): number | undefined {
    if (value?.kind === Kind.INT) return clamp(Number(value.value))
    if (value?.kind === Kind.LIST) return value.values.length
    if (value?.kind !== Kind.VARIABLE) return undefined
    const given = this.#variables[value.name.value]
    if (typeof given === 'number') return clamp(given)
    if (Array.isArray(given)) return given.length
    const fallback = this.#defaults.get(value.name.value)
    if (given === undefined && fallback) return this.#size(fallback)
    return given === undefined || given === null ? undefined : LARGEST_PAGE
  }
}

const clamp = (size: number) => Math.max(0, Math.min(LARGEST_PAGE, size))

type Field = GraphQLField<unknown, unknown>

/** A field; undefined for those that cost nothing: introspection, and __typename. */
function fieldOf(schema: GraphQLSchema, typename: string, field: string): Field | undefined {
  const type = schema.getType(typename)
  return isCompositeType(type) && 'getFields' in type ? type.getFields()[field] : undefined
}
