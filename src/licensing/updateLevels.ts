import { builder } from '../api/builder.ts'
import { Forbidden, InvalidInput, Unauthenticated } from '../commit/errors.ts'
import { updateLevelField } from './updateLevel.ts'
import { mayAdvance } from './standingAggregate.ts'

/** The most levels that are set in one request. */
const MOST = 500

const { input: UpdateLevelInput, payload: UpdateLevelPayload, errors, carryOut } = updateLevelField

type Outcome = Awaited<ReturnType<typeof carryOut>> | Error

/** Named as it was sent: an item's mistake is the item's. */
function at(i: number, error: Error): Error {
  if (!(error instanceof InvalidInput)) return error
  const field = error.field.replace(/^input\b/, `input.items[${i}]`)
  return new InvalidInput(
    field,
    error.message.replace(error.field, () => field),
  )
}

const UpdateLevelsInput = builder.inputType('UpdateLevelsInput', {
  description: 'What updateLevels needs to know.',
  fields: (t) => ({
    items: t.field({
      type: [UpdateLevelInput],
      description: `What to do, 1 to ${MOST} of it, each with a key of its own.`,
    }),
  }),
})

const UpdateLevelsPayload = builder.objectRef<readonly Outcome[]>('UpdateLevelsPayload').implement({
  description: 'What became of each item.',
  fields: (t) => ({
    results: t.field({
      type: [UpdateLevelPayload],
      itemErrors: {
        types: [...errors],
        union: {
          name: 'UpdateLevelsItemResult',
          description: 'What became of an item: as if it had been asked for by itself, by updateLevel.',
        },
      },
      description: 'One for each item, in their order.',
      resolve: (outcomes) => outcomes as never,
    }),
    succeeded: t.int({
      description: 'How many items were carried out, now or before under their key.',
      resolve: (outcomes) => outcomes.filter((outcome) => !(outcome instanceof Error)).length,
    }),
    failed: t.int({
      description: 'How many items were not carried out; each says why.',
      resolve: (outcomes) => outcomes.filter((outcome) => outcome instanceof Error).length,
    }),
  }),
})

// Many requests and no transaction around them: commit() carries out together what comes together, and an item that
// fails fails alone.
builder.mutationField('updateLevels', (t) =>
  t.field({
    type: UpdateLevelsPayload,
    description: `Sets many levels, as updateLevel sets one; for instructors and admins. Each item stands alone: one that cannot be carried out fails by itself, and the others are done. At most ${MOST} at once.`,
    args: { input: t.arg({ type: UpdateLevelsInput, description: 'What is asked.' }) },
    errors: {
      types: [Unauthenticated, Forbidden, InvalidInput],
      union: {
        name: 'UpdateLevelsResult',
        description: 'What updateLevels is answered with: what became of each item, or why none was looked at.',
      },
    },
    resolve: (_, { input: { items } }, context) => {
      if (!context.viewer) throw new Unauthenticated()
      mayAdvance(context.viewer)
      if (!items.length || items.length > MOST)
        throw new InvalidInput(
          'input.items',
          `input.items has ${items.length} items. Wanted are 1 to ${MOST}; send others in another request.`,
        )
      return Promise.all(
        items.map(
          (item, i): Promise<Outcome> => carryOut(item as never, context).catch((error: Error) => at(i, error)),
        ),
      )
    },
  }),
)
