import type { GraphQLSchema } from 'graphql'
import { builder } from '../api/builder.ts'
import { refuseAlone } from '../api/refuseAlone.ts'
import '../modules.ts' // each module adds its types and fields to the builder

const DESCRIPTION =
  'Lockstep records what people learn, plan and earn. Each mutation takes effect exactly once; each committed change ' +
  'is pushed to every subscriber, in order, with nothing missed.'

/** The API of all modules. */
export function toSchema(): GraphQLSchema {
  const schema = builder.toSchema()
  schema.description = DESCRIPTION
  refuseAlone(schema)
  return schema
}
