import { execute, type ExecutionArgs, type ExecutionResult, getOperationAST, Kind } from 'graphql'
import { createContext, type Surroundings } from '../api/context.ts'

/** JSON; undefined: it can't be shared. */
export type Rendered = string | undefined

export interface RenderingOptions {
  readonly surroundings: Surroundings
  /** An error as a client is shown it. */
  readonly shown: (error: unknown) => Error
  readonly watch?: { executed?(how: 'shared' | 'apart' | 'in vain'): void } | undefined
}

/**
 * Renders items as JSON, once for all subscribers with the same document and variables. That is right as long as
 * nothing of the viewer's own is looked at. So a shared rendering has a context without a viewer, and if the viewer is
 * asked for all the same, its result is thrown away and each subscriber's is rendered apart. Who may see a stream at
 * all is decided for each subscriber, elsewhere.
 */
export class Rendering {
  readonly #options: RenderingOptions
  /** By item, then by what was asked of it. */
  readonly #rendered = new WeakMap<object, Map<string, Rendered | Promise<Rendered>>>()
  readonly #documents = new WeakMap<object, number>()
  #documentCount = 0

  constructor(options: RenderingOptions) {
    this.#options = options
  }

  /** The item for all who asked the same, by `nameOf`; undefined: each needs their own. */
  shared(item: object, asked: string, args: ExecutionArgs): Rendered | Promise<Rendered> {
    let byAsked = this.#rendered.get(item)
    if (!byAsked) this.#rendered.set(item, (byAsked = new Map()))
    if (byAsked.has(asked)) return byAsked.get(asked) // also that it can't be shared: found out once, not for each
    const { context, isLooked } = this.#blindfolded()
    const done = (result: ExecutionResult): Rendered => {
      const looked = isLooked()
      const rendered = looked ? undefined : this.#json(result) // errors that are thrown away are not logged either
      byAsked.set(asked, rendered)
      this.#options.watch?.executed?.(looked ? 'in vain' : 'shared')
      return rendered
    }
    const result = execute({ ...args, rootValue: item, contextValue: context })
    if (!(result instanceof Promise)) return done(result)
    const promise = result.then(done)
    byAsked.set(asked, promise)
    return promise
  }

  /** The item for one viewer, who is in the context. */
  apart(item: object, args: ExecutionArgs, contextValue: object): string | Promise<string> {
    this.#options.watch?.executed?.('apart')
    const result = execute({ ...args, rootValue: item, contextValue })
    return result instanceof Promise ? result.then(this.#json) : this.#json(result)
  }

  /** A name for what is asked: the document, its operation, and its variables except the cursor to resume from. */
  nameOf({ document, operationName, variableValues }: ExecutionArgs): string {
    let number = this.#documents.get(document)
    if (number === undefined) this.#documents.set(document, (number = ++this.#documentCount))
    const operation = getOperationAST(document, operationName)
    const [field] = operation?.selectionSet.selections ?? []
    const after =
      field?.kind === Kind.FIELD ? field.arguments?.find(({ name }) => name.value === 'after')?.value : undefined
    const without = after?.kind === Kind.VARIABLE ? after.name.value : undefined
    const values = (operation?.variableDefinitions ?? [])
      .map(({ variable }) => variable.name.value)
      .filter((name) => name !== without)
      .map((name) => (variableValues && Object.hasOwn(variableValues, name) ? [variableValues[name]] : 0))
    return `${number} ${operationName ?? ''} ${JSON.stringify(values)}`
  }

  /** A context that knows no viewer, and whether the viewer was asked for. */
  #blindfolded() {
    let looked = false
    // the context itself and no copy of it, because its loaders load with it
    const context = Object.defineProperty(createContext(this.#options.surroundings, null, 'shared'), 'viewer', {
      get: () => {
        looked = true
        return null
      },
    })
    return { context, isLooked: () => looked }
  }

  readonly #json = ({ errors, data }: ExecutionResult) =>
    JSON.stringify(errors ? { errors: errors.map((error) => this.#options.shown(error)), data } : { data })
}
