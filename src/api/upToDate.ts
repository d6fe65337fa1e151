import { getOperationAST, OperationTypeNode } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { type Context, contextAgain } from './context.ts'

/** How often an answer is rendered again: each time something newer was committed while it was rendered. */
const MOST_AGAIN = 3

/**
 * Renders the answer to a mutation again if this process has committed or sent a newer version of what it shows
 * meanwhile. Otherwise, a client's cache would go back when the answer arrives after the newer version.
 */
export const upToDate: Plugin<Context> = {
  onExecute({ args, executeFn }) {
    if (getOperationAST(args.document, args.operationName)?.operation !== OperationTypeNode.MUTATION) return undefined
    return {
      async onExecuteDone({ setResult }) {
        const context = args.contextValue
        for (let i = 0; i < MOST_AGAIN && (await context.answers.refresh(context.newest)); i++)
          setResult(await executeFn({ ...args, contextValue: contextAgain(context) }))
      },
    }
  },
}
