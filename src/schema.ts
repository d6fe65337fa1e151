import { type GraphQLSchema, isObjectType } from 'graphql'
import { builder } from './builder.ts'
import './identity/user.ts'
import './learning/course.ts'
import './learning/lesson.ts'
import './learning/enrollment.ts'
import './learning/enroll.ts'
import './learning/openLesson.ts'
import './learning/completeContent.ts'
import './learning/completeLesson.ts'
import './learning/resetProgress.ts'

/** The API, of all modules: what stands above is the list of them. */
export function toSchema(): GraphQLSchema {
  const schema = builder.toSchema()
  for (const type of Object.values(schema.getTypeMap())) {
    if (isObjectType(type) && type.getFields().totalCount) type.getFields().totalCount!.description ??= 'How many there are in all.'
  }
  return schema
}
