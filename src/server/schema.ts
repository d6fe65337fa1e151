import { type GraphQLSchema, isObjectType } from 'graphql'
import { builder } from '../api/builder.ts'
import '../modules.ts' // each module adds its types and fields to the builder

/** The API of all modules. */
export function toSchema(): GraphQLSchema {
  const schema = builder.toSchema()
  for (const type of Object.values(schema.getTypeMap())) {
    const totalCount = isObjectType(type) && type.getFields().totalCount
    if (totalCount) totalCount.description ??= 'The number of items on all pages.'
  }
  return schema
}
