import type { Module } from './api/module.ts'
import { users } from './identity/userAggregate.ts'
import { courses } from './learning/courseAggregate.ts'
import { enrollments } from './learning/enrollmentAggregate.ts'
import { keepCaughtUp } from './learning/overdueEnrollments.ts'
import { standings } from './licensing/standingAggregate.ts'
import { plans } from './planning/planAggregate.ts'

/** The modules. For now one that stands for all of them. */
export const modules: readonly Module[] = [
  {
    name: 'all',
    aggregates: [users, courses, enrollments, plans, standings],
    verbs: [],
    nouns: [],
    reactions: [
      {
        name: 'keep enrollments caught up',
        root: 'Course',
        start: ({ db, commit, log }) => keepCaughtUp({ db, commit, log, everyMs: 2_000 }),
      },
    ],
  },
]
