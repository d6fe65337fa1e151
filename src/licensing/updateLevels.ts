import { builder } from '../api/builder.ts'
import { Forbidden, InvalidInput, Unauthenticated } from '../commit/errors.ts'
import { mayAdvance } from './standingRules.ts'
import { updateLevelField } from './updateLevel.ts'

/** The most levels that one request sets. */
const MOST = 500

const { input: UpdateLevelInput, payload: UpdateLevelPayload, errors, run } = updateLevelField

type ItemResult = Awaited<ReturnType<typeof run>> | Error

/** The error of item `i`; an invalid input has the item's path. */
function errorAt(i: number, error: Error): Error {
  if (!(error instanceof InvalidInput)) return error
  const field = error.field.replace(/^input\b/, `input.items[${i}]`)
  return new InvalidInput(
    field,
    error.message.replace(error.field, () => field),
  )
}

const UpdateLevelsInput = builder.inputType('UpdateLevelsInput', {
  description: 'Input for updateLevels.',
  fields: (t) => ({
    items: t.field({
      type: [UpdateLevelInput],
      description: `The levels to set, 1 to ${MOST}. Each item has its own key.`,
    }),
  }),
})

/** What updateLevels did, item by item. */
export const UpdateLevelsSummary = builder.objectRef<readonly ItemResult[]>('UpdateLevelsSummary').implement({
  description: 'What updateLevels did, item by item.',
  fields: (t) => ({
    results: t.field({
      type: [UpdateLevelPayload],
      itemErrors: {
        types: [...errors],
        union: {
          name: 'UpdateLevelsItemResult',
          description: 'The result of an item: the same as if it were sent by itself, with updateLevel.',
        },
      },
      description: 'One result for each item, in the order of the items.',
      // itemErrors takes errors as items; its types don't say so
      resolve: (outcomes) => outcomes as readonly Exclude<ItemResult, Error>[],
    }),
    succeeded: t.int({
      description: 'The number of items that succeeded, by this request or by an earlier one with the same key.',
      resolve: (outcomes) => outcomes.filter((outcome) => !(outcome instanceof Error)).length,
    }),
    failed: t.int({
      description: 'The number of items that failed. The result of each is its error.',
      resolve: (outcomes) => outcomes.filter((outcome) => outcome instanceof Error).length,
    }),
  }),
})

// One request for each item, without a transaction around them. commit() batches them, and isolates those that fail.
builder.mutationField('updateLevels', (t) =>
  t.field({
    type: UpdateLevelsSummary,
    description:
      `Sets up to ${MOST} levels, each as updateLevel does. If an item fails, the others are still done. ` +
      'For instructors, but not about themselves, and for admins.',
    args: { input: t.arg({ type: UpdateLevelsInput, description: 'Input for updateLevels.' }) },
    errors: {
      types: [Unauthenticated, Forbidden, InvalidInput],
      union: {
        name: 'UpdateLevelsResult',
        description: 'The payload of updateLevels, or the reason why no item was tried.',
      },
    },
    resolve: (_, { input: { items } }, context, { path }) => {
      if (!context.viewer) throw new Unauthenticated()
      mayAdvance(context.viewer)
      if (!items.length || items.length > MOST)
        throw new InvalidInput(
          'input.items',
          `input.items has ${items.length} items. Wanted are 1 to ${MOST}; send others in another request.`,
        )
      return context.answers.once(String(path.key), () =>
        Promise.all(
          items.map((item, i): Promise<ItemResult> => run(item, context).catch((error: Error) => errorAt(i, error))),
        ),
      )
    },
  }),
)
