import type { Module } from '../api/module.ts'
import { ConsistencyType, RecommendedAction } from './consistency.ts'
import { demo } from './demo.ts'
import { examples } from './examples.ts'
import { LevelVersion } from './levelHistory.ts'
import { levelUp } from './levelUp.ts'
import { License, LicenseProgression } from './license.ts'
import { RecordSource, SpecializationProgress } from './progress.ts'
import { RecordMismatch } from './recordMismatch.ts'
import { Specialization } from './specialization.ts'
import { standings } from './standingAggregate.ts'
import { levelUpdates } from './levelUpdates.ts'
import { syncRecords } from './syncRecords.ts'
import { updateLevel } from './updateLevel.ts'
import { UpdateLevelsSummary } from './updateLevels.ts'

/** Levels in specializations, and the licenses that certify them. */
export const licensing: Module = {
  name: 'licensing',
  aggregates: [standings],
  verbs: [levelUp, updateLevel, syncRecords],
  nouns: [
    ...[Specialization, SpecializationProgress, LevelVersion, License, LicenseProgression],
    ...[ConsistencyType, RecommendedAction, RecordSource, RecordMismatch, UpdateLevelsSummary],
  ],
  streams: [levelUpdates],
  examples,
  demo,
}
