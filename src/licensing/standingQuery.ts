import { EVERYTHING, type Wanted } from '../commit/aggregate.ts'
import { sql } from '../database/client.ts'
import { codeOf, userOf } from './id.ts'
import { licenseColumns, progressColumns, progressionColumns, type StandingState } from './standingState.ts'

/**
 * Reads each progress, its license, and the specialization. The changes of level are read only with the slice
 * EVERYTHING, or if there is no progress. LATERAL … OFFSET 0 makes PostgreSQL look each row up by its key.
 */
export const readStandings = ({ ids, slices }: Wanted) => sql`
  select json_build_object('id', w.id, 'version', coalesce(p.version, 0),
    'progress', case when p.id is not null then ${progressColumns.select('p')} end,
    'license', case when l.id is not null then ${licenseColumns.select('l')} end,
    'progressions', case when w.everything or p.id is null then (
      select json_agg(${progressionColumns.select('c')} order by c.at, c.version, c."from")
      from "LicenseProgression" c where c."licenseId" = w.id) end,
    'specialization', s.row,
    'registered', exists (select from "User" u where u.id = w."userId")) as row
  from unnest(${ids}::text[], ${ids.map(userOf)}::text[], ${ids.map(codeOf)}::text[],
      ${ids.map((id) => slices.get(id)?.includes(EVERYTHING) ?? false)}::boolean[])
    as w (id, "userId", code, everything)
  left join lateral (select * from "SpecializationProgress" p where p.id = w.id offset 0) p on true
  left join lateral (select * from "License" l where l.id = w.id offset 0) l on true
  left join lateral (
    select json_build_object('maxLevel', s."maxLevel", 'countsHours', s."countsHours", 'levels', (
      select json_agg(json_build_object('level', t.level, 'xp', t.xp))
      from "SpecializationLevel" t where t.code = s.code)) as row
    from "Specialization" s where s.code = w.code offset 0) s on true`

interface StandingRow extends Pick<StandingState, 'id' | 'version' | 'specialization' | 'registered'> {
  readonly progress: readonly unknown[] | null
  readonly license: readonly unknown[] | null
  readonly progressions: readonly (readonly unknown[])[] | null
}

/** The states of the rows that `readStandings` returned. A standing that has not begun has version 0. */
export const loadStandings = (rows: readonly StandingRow[]): StandingState[] =>
  rows.map(({ progress, license, progressions, specialization, ...row }) => ({
    ...row,
    progress: progress && progressColumns.load(progress),
    license: license && licenseColumns.load(license),
    progressions: (progressions ?? []).map(progressionColumns.load),
    specialization: specialization && { ...specialization, levels: specialization.levels ?? [] },
  }))
