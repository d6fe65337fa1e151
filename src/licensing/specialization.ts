import { builder } from '../api/builder.ts'
import { showError } from '../api/domainError.ts'
import { HoursNotCounted, LevelOutOfRange, SpecializationNotFound, TotalOutOfRange } from './standingError.ts'

const SpecializationLevel = builder.prismaObject('SpecializationLevel', {
  description: 'A level of a specialization, and the XP that it requires.',
  fields: (t) => ({
    level: t.exposeInt('level', { description: 'The number of the level, from 1.' }),
    xp: t.exposeInt('xp', { description: 'The total XP that the level requires; 0 for level 1.' }),
  }),
})

/** A specialization: data in the database, so that a new one needs no deployment. */
export const Specialization = builder.prismaNode('Specialization', {
  description: 'What users can specialize in, such as PLAYER or COACH.',
  nullable: true,
  id: { resolve: ({ code }) => code },
  findUnique: (code) => ({ code }),
  fields: (t) => ({
    code: t.exposeString('code', { description: 'The specialization’s code, which inputs and arguments take.' }),
    name: t.exposeString('name', { description: 'The specialization’s name, for people.' }),
    maxLevel: t.exposeInt('maxLevel', { description: 'The highest level.' }),
    countsHours: t.exposeBoolean('countsHours', { description: 'Whether hours of theory and practice are counted.' }),
    levels: t.relation('levels', {
      type: SpecializationLevel,
      description: 'The XP that each level requires, from level 1.',
      query: { orderBy: { level: 'asc' } },
    }),
  }),
})

builder.queryField('specializations', (t) =>
  t.prismaField({
    type: [Specialization],
    description: 'All specializations, ordered by code.',
    resolve: (query, _, __, { db }) => db.specialization.findMany({ ...query, orderBy: { code: 'asc' } }),
  }),
)

showError(SpecializationNotFound, 'The specialization does not exist.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'The code in the request.' }),
}))
showError(LevelOutOfRange, 'The specialization does not have this level.', (t) => ({
  found: t.exposeInt('found', {
    description: 'The level in the request or, for `syncRecords`, of the record chosen as the source.',
  }),
  maxLevel: t.exposeInt('maxLevel', { description: 'The highest level. The lowest is 1.' }),
}))

const Total = builder.enumType('Total', {
  description: 'The totals of a user in a specialization.',
  values: {
    XP: { description: '`SpecializationProgress.totalXp`.' },
    SESSIONS: { description: '`SpecializationProgress.completedSessions`.' },
    THEORY_HOURS: { description: '`SpecializationProgress.theoryHours`.' },
    PRACTICE_HOURS: { description: '`SpecializationProgress.practiceHours`.' },
  } as const,
})

showError(TotalOutOfRange, 'The change would make a total negative, or greater than its maximum.', (t) => ({
  total: t.expose('total', { type: Total, description: 'The total that would be out of range.' }),
  now: t.exposeFloat('now', { description: 'The current value.' }),
  wouldBe: t.exposeFloat('wouldBe', { description: 'The value that the change would make.' }),
  most: t.exposeFloat('most', { description: 'The maximum. The minimum is 0.' }),
}))
showError(HoursNotCounted, 'The specialization does not count hours.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'The specialization’s code.' }),
}))
