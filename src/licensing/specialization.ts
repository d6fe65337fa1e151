import { builder } from '../api/builder.ts'
import { showError } from '../api/mutation.ts'
import { HoursNotCounted, LevelOutOfRange, SpecializationNotFound, TotalOutOfRange } from './standingAggregate.ts'

const SpecializationLevel = builder.prismaObject('SpecializationLevel', {
  description: 'A level, and what it takes.',
  fields: (t) => ({
    level: t.exposeInt('level', { description: 'From 1.' }),
    xp: t.exposeInt('xp', { description: 'How much XP in all it takes; 0 for level 1.' }),
  }),
})

/** What people can specialize in. */
export const Specialization = builder.prismaNode('Specialization', {
  description: 'What people can specialize in, such as PLAYER or COACH.',
  nullable: true,
  id: { resolve: ({ code }) => code },
  findUnique: (code) => ({ code }),
  fields: (t) => ({
    code: t.exposeString('code', { description: 'How inputs name it.' }),
    name: t.exposeString('name', { description: 'What it is called.' }),
    maxLevel: t.exposeInt('maxLevel', { description: 'The highest level that there is.' }),
    countsHours: t.exposeBoolean('countsHours', { description: 'Whether hours of theory and practice are counted.' }),
    levels: t.relation('levels', {
      type: SpecializationLevel,
      description: 'How much XP each level takes, from level 1.',
      query: { orderBy: { level: 'asc' } },
    }),
  }),
})

builder.queryField('specializations', (t) =>
  t.prismaField({
    type: [Specialization],
    description: 'All specializations, by code.',
    resolve: (query, _, __, { db }) => db.specialization.findMany({ ...query, orderBy: { code: 'asc' } }),
  }),
)

showError(SpecializationNotFound, 'There is no such specialization.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'The code that was asked for.' }),
}))
showError(LevelOutOfRange, 'The specialization has no such level.', (t) => ({
  found: t.exposeInt('found', { description: 'The level that was asked for.' }),
  maxLevel: t.exposeInt('maxLevel', { description: 'The highest level that there is; the lowest is 1.' }),
}))

const Total = builder.enumType('Total', {
  description: 'What is counted of a person in a specialization.',
  values: {
    XP: { description: '`totalXp`.' },
    SESSIONS: { description: '`completedSessions`.' },
    THEORY_HOURS: { description: '`theoryHours`.' },
    PRACTICE_HOURS: { description: '`practiceHours`.' },
  } as const,
})

showError(TotalOutOfRange, 'A total would be less than nothing, or more than is counted.', (t) => ({
  total: t.expose('total', { type: Total, description: 'Which.' }),
  now: t.exposeFloat('now', { description: 'What it is.' }),
  wouldBe: t.exposeFloat('wouldBe', { description: 'What it would have been.' }),
  most: t.exposeFloat('most', { description: 'The most that it may be; the least is 0.' }),
}))
showError(HoursNotCounted, 'The specialization counts no hours.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'Its code.' }),
}))
