import { builder } from '../api/builder.ts'
import { connectionOf } from '../api/connection.ts'
import { showError } from '../api/domainError.ts'
import { localId, oneOf } from '../api/globalId.ts'
import { codeIn } from './id.ts'
import { HoursNotCounted, LevelOutOfRange, SpecializationNotFound, TotalOutOfRange } from './standingError.ts'

/** A level of a specialization. Its id is the code, with the number of the level. */
export const SpecializationLevel = builder.prismaNode('SpecializationLevel', {
  description: 'A level of a specialization, and the XP that it requires.',
  nullable: true,
  id: { resolve: ({ code, level }) => `${code}~${level}` },
  findUnique: (id) => {
    const [, code = '', level = 0] = /^(.+)~(\d{1,9})$/.exec(id) ?? []
    return { code_level: { code, level: Number(level) } }
  },
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

builder.queryField('specialization', (t) =>
  t.prismaField({
    type: Specialization,
    nullable: true,
    description: 'A specialization by its id or its code; null if there is none. Exactly one of the two is needed.',
    args: {
      id: t.arg.id({ required: false, description: 'A `Specialization.id`.' }),
      code: t.arg.string({ required: false, description: 'A `Specialization.code`.' }),
    },
    resolve: (query, _, { id, code }, { db }) => {
      const name = oneOf({ id, code })
      const wanted = name === 'id' ? localId('Specialization', id!, 'id') : codeIn(code!, 'code')
      return db.specialization.findFirst({ ...query, where: { code: wanted } })
    },
  }),
)

builder.queryField('specializations', (t) =>
  t.prismaConnection(
    {
      type: Specialization,
      cursor: 'code',
      nullable: true,
      description: 'All specializations, ordered by code.',
      totalCount: (_, __, { db }) => db.specialization.count(),
      resolve: (query, _, __, { db }) => db.specialization.findMany({ ...query, orderBy: { code: 'asc' } }),
    },
    connectionOf(Specialization, 'Specialization'),
  ),
)

showError(SpecializationNotFound, 'The specialization does not exist.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'The code in the request.' }),
}))
showError(LevelOutOfRange, 'The specialization does not have this level.', (t) => ({
  requestedLevel: t.exposeInt('requestedLevel', {
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
  currentTotal: t.exposeFloat('currentTotal', { description: 'The current value.' }),
  requestedTotal: t.exposeFloat('requestedTotal', { description: 'The value that the change would make.' }),
  maxTotal: t.exposeFloat('maxTotal', { description: 'The maximum. The minimum is 0.' }),
}))
showError(HoursNotCounted, 'The specialization does not count hours.', (t) => ({
  specialization: t.exposeString('specialization', { description: 'The specialization’s code.' }),
}))
