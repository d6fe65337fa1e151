import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { StandingEvent, Standings, StandingState } from '../../src/licensing/standingState.ts'
import { standings } from '../../src/licensing/standingAggregate.ts'
import { standingOf } from '../../src/licensing/id.ts'
import { globalId, type serve } from '../api.ts'
import type { Person } from '../academy.ts'
import { graphql } from '../generated/gql.ts'
import type { LevelUpInput, SyncRecordsInput, UpdateLevelInput } from '../generated/graphql.ts'
import { fold, type Journaled, sorted, stored, type world } from '../world.ts'

type World = Awaited<ReturnType<typeof world>>
type Api = Awaited<ReturnType<typeof serve>>

export const UpdateLevel = graphql(`
  mutation UpdateLevel($input: UpdateLevelInput!) {
    updateLevel(input: $input) {
      __typename
      ... on UpdateLevelPayload {
        version replayed message
        committed { version currentLevel totalXp }
        progress { id version currentLevel totalXp completedSessions theoryHours practiceHours }
        license { id currentLevel maxAchievedLevel issuedAt }
        progressions { version from to actorId reason occurredAt }
      }
      ... on DomainError { code message }
      ... on LevelOutOfRange { requestedLevel maxLevel }
      ... on TotalOutOfRange { total currentTotal requestedTotal maxTotal }
      ... on HoursNotCounted { specialization }
      ... on SpecializationNotFound { specialization }
      ... on UserNotFound { userId }
      ... on InvalidInput { field }
      ... on RecordsOutOfSync { recommendedAction consistency { progressLevel licenseLevel } }
      ... on VersionConflict { currentVersion current { __typename id ... on SpecializationProgress { version
      currentLevel theoryHours } } }
    }
  }
`)

export const LevelUp = graphql(`
  mutation LevelUp($input: LevelUpInput!) {
    levelUp(input: $input) {
      __typename
      ... on LevelUpPayload {
        version replayed leveledUp cursor
        committed { version currentLevel totalXp completedSessions }
        progress { id version currentLevel totalXp completedSessions }
        license { id currentLevel maxAchievedLevel }
        progressions { from to }
      }
      ... on DomainError { code message }
      ... on InvalidInput { field }
      ... on TotalOutOfRange { total currentTotal requestedTotal maxTotal }
      ... on RecordsOutOfSync { recommendedAction consistency { progressLevel licenseLevel } }
    }
  }
`)

export const UpdateLevels = graphql(`
  mutation UpdateLevels($input: UpdateLevelsInput!) {
    updateLevels(input: $input) {
      __typename
      ... on UpdateLevelsSummary {
        succeeded failed
        results {
          __typename
          ... on UpdateLevelPayload { version replayed cursor committed { currentLevel totalXp }
            progress { currentLevel totalXp } license { currentLevel } }
          ... on DomainError { code message }
          ... on InvalidInput { field }
        }
      }
      ... on DomainError { code message }
    }
  }
`)

export const SyncRecords = graphql(`
  mutation SyncRecords($input: SyncRecordsInput!) {
    syncRecords(input: $input) {
      __typename
      ... on SyncRecordsPayload {
        version replayed synced
        progress { version currentLevel totalXp }
        license { currentLevel maxAchievedLevel }
        progressions { from to reason }
      }
      ... on DomainError { code message }
      ... on RecordNotFound { record }
    }
  }
`)

export const ConsistencyOf = graphql(`
  query ConsistencyOf($userId: ID!, $specialization: String!) {
    consistency(userId: $userId, specialization: $specialization) {
      consistent message progressExists licenseExists progressLevel licenseLevel difference recommendedAction
    }
  }
`)

export const Desyncs = graphql(`
  query Desyncs($first: Int, $after: String) {
    desyncs(first: $first, after: $after) {
      totalCount
      pageInfo { hasNextPage endCursor }
      edges { node { userId specialization consistency { message recommendedAction } } }
    }
  }
`)

/** Requests about one user in one specialization, made by somebody else. */
export function about(api: Api, { token }: Person, userId: string, specialization = 'PLAYER') {
  const who = { userId: globalId('User', userId), specialization }
  const key = () => ({ idempotencyKey: randomUUID() })
  return {
    update: (input: Partial<UpdateLevelInput>) =>
      api
        .get(UpdateLevel, { input: { ...who, newLevel: 1, reason: 'a test', ...key(), ...input } }, token)
        .then(({ updateLevel }) => updateLevel),
    up: (xpGained: number, input: Partial<LevelUpInput> = {}) =>
      api
        .get(LevelUp, { input: { ...who, xpGained, reason: 'a test', ...key(), ...input } }, token)
        .then(({ levelUp }) => levelUp),
    sync: (source: SyncRecordsInput['source'], input: Partial<SyncRecordsInput> = {}) =>
      api
        .get(SyncRecords, { input: { ...who, source, reason: 'mended', ...input } }, token)
        .then(({ syncRecords }) => syncRecords),
    consistency: () => api.get(ConsistencyOf, who, token).then(({ consistency }) => consistency),
  }
}

/**
 * Expects what must be true of every standing: versions have no gaps, history folds to the rows, each event has the
 * view of its time, progress and license have the same level, the highest level never falls, and each change of level
 * is recorded once. Returns the history.
 */
export async function expectSound(w: World, userId: string, code = 'PLAYER'): Promise<Journaled[]> {
  const id = standingOf(userId, code)
  const history = await w.history('SpecializationProgress', id)
  expect(
    history.map(({ version }) => version),
    'versions are dense',
  ).toEqual(history.map((_, i) => i + 1))

  let state = standings.blank(id)
  const highest: number[] = []
  const changes: string[] = []
  for (const { version, kind, data, view, at } of history) {
    const event = { kind, ...data } as StandingEvent
    const before = state.license?.currentLevel
    state = { ...standings.evolve(state, event, at.toISOString()), version }
    expect(JSON.parse(JSON.stringify(standings.view(state, event))), `the view of version ${version}`).toEqual(view)
    expect(state.progress!.currentLevel, `one level at version ${version}`).toBe(state.license!.currentLevel)
    highest.push(state.license!.maxAchievedLevel)
    const after = state.license!.currentLevel
    if (kind === 'experienceGained')
      for (let level = before!; level < after; level++) changes.push(`${version}: ${level} → ${level + 1}`)
    else if (kind === 'levelUpdated' && before !== after) changes.push(`${version}: ${before} → ${after}`)
    else if (kind === 'recordsSynced' && 'from' in event && event.from !== null && event.from !== after)
      changes.push(`${version}: ${event.from} → ${after}`)
  }
  expect(highest, 'the highest level never falls').toEqual([...highest].sort((a, b) => a - b))
  expect(state, 'the fold of the history').toEqual(fold<Standings>(standings, id, history))
  expect(
    state.progressions
      .slice(-changes.length || state.progressions.length)
      .map(({ version, from, to }) => `${version}: ${from} → ${to}`),
  ).toEqual(changes)

  await expectRows(w, state)
  return history
}

/** Expects that the stored rows are those of the state. */
export async function expectRows({ query }: World, state: StandingState): Promise<void> {
  const rows = standings.rows(state)
  const { id } = state
  const where: Record<string, [column: string, value: string]> = {
    SpecializationProgress: ['id', id],
    License: ['id', id],
    LicenseProgression: ['licenseId', id],
  }
  const { aggregate: _, ...now } = await stored((text, values) => query(text, values), standings, rows, where)
  expect(now, 'history folds to the rows').toEqual(sorted(rows))
}

/** All that is stored of a user's standings, to compare before and after. */
export const everything = async ({ query }: World, userId: string) => ({
  progress: await query('select * from "SpecializationProgress" where "userId" = $1', [userId]),
  license: await query('select * from "License" where "userId" = $1', [userId]),
  progressions: await query('select * from "LicenseProgression" where "userId" = $1', [userId]),
  events: await query(`select count(*)::int as count from "Event" where "rootId" like $1`, [`${userId}.%`]),
})
