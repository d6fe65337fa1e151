import { type GraphQLSchema, isObjectType } from 'graphql'
import type { Aggregate, Shape } from '../commit/aggregate.ts'
import { builder } from '../api/builder.ts'
import { users } from '../identity/userAggregate.ts'
import { courses } from '../learning/courseAggregate.ts'
import { enrollments } from '../learning/enrollmentAggregate.ts'
import { plans } from '../planning/planAggregate.ts'
import { standings } from '../licensing/standingAggregate.ts'
import '../identity/user.ts'
import '../learning/course.ts'
import '../learning/lesson.ts'
import '../learning/enrollment.ts'
import '../learning/enroll.ts'
import '../learning/openLesson.ts'
import '../learning/completeContent.ts'
import '../learning/completeLesson.ts'
import '../learning/resetProgress.ts'
import '../planning/plan.ts'
import '../planning/workout.ts'
import '../planning/createPlan.ts'
import '../planning/addWorkouts.ts'
import '../planning/renameWorkout.ts'
import '../planning/removeWorkout.ts'
import '../planning/updateSelection.ts'
import '../planning/updateSelections.ts'
import '../planning/clearSelection.ts'
import '../licensing/specialization.ts'
import '../licensing/progress.ts'
import '../licensing/license.ts'
import '../licensing/consistency.ts'
import '../licensing/desync.ts'
import '../licensing/updateLevel.ts'
import '../licensing/updateLevels.ts'
import '../licensing/levelUp.ts'
import '../licensing/syncRecords.ts'
import '../learning/enrollmentUpdates.ts'
import '../learning/courseUpdates.ts'
import '../planning/planUpdates.ts'
import '../licensing/standingUpdates.ts'

/** All kinds of roots. */
export const aggregates = [users, courses, enrollments, plans, standings] as unknown as readonly Aggregate<Shape>[]

/** The API, of all modules: what stands above is the list of them. */
export function toSchema(): GraphQLSchema {
  const schema = builder.toSchema()
  for (const type of Object.values(schema.getTypeMap())) {
    if (isObjectType(type) && type.getFields().totalCount)
      type.getFields().totalCount!.description ??= 'How many there are in all.'
  }
  return schema
}
